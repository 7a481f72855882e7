//! Bodies in protobuf: kubectl's typed commands (`create namespace`, `create secret`, `auth can-i`, …) send nothing
//! else. Of Kubernetes' messages there are the shallow kinds that these make.
//!
//! The envelope is `k8s\0` and a `runtime.Unknown`; numbers are those of the `generated.proto` files.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};
use thiserror::Error;

const MAGIC: &[u8] = b"k8s\0";

/// Why a body is not read.
#[derive(Debug, Error, Eq, PartialEq)]
pub enum ProtobufError {
    /// Another envelope.
    #[error("the body does not begin as Kubernetes' protobuf does")]
    Magic,
    /// It ends too early, or is none.
    #[error("the body is no protobuf message")]
    Message,
    /// Not among the known kinds.
    #[error(
        "the k3s stand-in reads no `{kind}` of `{api_version}` in protobuf; send JSON or YAML (kubectl create -f)"
    )]
    Kind {
        /// Version.
        api_version: String,
        /// Kind.
        kind: String,
    },
}

/// What a field holds.
#[derive(Clone, Copy, Debug)]
enum Field {
    Text,
    Texts,
    Bool,
    TextMap,
    BytesMap,
    One(Message),
    Many(Message),
}

/// Fields by number; others are skipped.
type Message = &'static [(u64, &'static str, Field)];

const METADATA: Message = &[
    (1, "name", Field::Text),
    (2, "generateName", Field::Text),
    (3, "namespace", Field::Text),
    (11, "labels", Field::TextMap),
    (12, "annotations", Field::TextMap),
    (14, "finalizers", Field::Texts),
];
const RULE: Message = &[
    (1, "verbs", Field::Texts),
    (2, "apiGroups", Field::Texts),
    (3, "resources", Field::Texts),
    (4, "resourceNames", Field::Texts),
    (5, "nonResourceURLs", Field::Texts),
];
const SUBJECT: Message = &[
    (1, "kind", Field::Text),
    (2, "apiGroup", Field::Text),
    (3, "name", Field::Text),
    (4, "namespace", Field::Text),
];
const ROLE_REFERENCE: Message =
    &[(1, "apiGroup", Field::Text), (2, "kind", Field::Text), (3, "name", Field::Text)];
const ROLE: Message = &[(1, "metadata", Field::One(METADATA)), (2, "rules", Field::Many(RULE))];
const BINDING: Message = &[
    (1, "metadata", Field::One(METADATA)),
    (2, "subjects", Field::Many(SUBJECT)),
    (3, "roleRef", Field::One(ROLE_REFERENCE)),
];
const RESOURCE_ATTRIBUTES: Message = &[
    (1, "namespace", Field::Text),
    (2, "verb", Field::Text),
    (3, "group", Field::Text),
    (4, "version", Field::Text),
    (5, "resource", Field::Text),
    (6, "subresource", Field::Text),
    (7, "name", Field::Text),
];
const PATH_ATTRIBUTES: Message = &[(1, "path", Field::Text), (2, "verb", Field::Text)];
const REVIEW: Message = &[
    (1, "resourceAttributes", Field::One(RESOURCE_ATTRIBUTES)),
    (2, "nonResourceAttributes", Field::One(PATH_ATTRIBUTES)),
];

/// The message of a kind.
fn message(api_version: &str, kind: &str) -> Option<Message> {
    Some(match (api_version, kind) {
        ("v1", "Namespace" | "ServiceAccount") | ("authentication.k8s.io/v1", "SelfSubjectReview") => {
            &[(1, "metadata", Field::One(METADATA))]
        }
        ("authorization.k8s.io/v1", "SelfSubjectAccessReview") => {
            &[(1, "metadata", Field::One(METADATA)), (2, "spec", Field::One(REVIEW))]
        }
        ("v1", "ConfigMap") => &[
            (1, "metadata", Field::One(METADATA)),
            (2, "data", Field::TextMap),
            (3, "binaryData", Field::BytesMap),
            (4, "immutable", Field::Bool),
        ],
        ("v1", "Secret") => &[
            (1, "metadata", Field::One(METADATA)),
            (2, "data", Field::BytesMap),
            (3, "type", Field::Text),
            (4, "stringData", Field::TextMap),
            (5, "immutable", Field::Bool),
        ],
        ("rbac.authorization.k8s.io/v1", "Role" | "ClusterRole") => ROLE,
        ("rbac.authorization.k8s.io/v1", "RoleBinding" | "ClusterRoleBinding") => BINDING,
        _ => return None,
    })
}

/// The object in a body.
pub fn parse(body: &[u8]) -> Result<Value, ProtobufError> {
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &b""[..]);
    for (number, value) in fields(body.strip_prefix(MAGIC).ok_or(ProtobufError::Magic)?)? {
        match (number, value) {
            (1, Wire::Bytes(type_meta)) => {
                for (number, value) in fields(type_meta)? {
                    match (number, value) {
                        (1, Wire::Bytes(value)) => api_version = text(value),
                        (2, Wire::Bytes(value)) => kind = text(value),
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(value)) => raw = value,
            _ => {}
        }
    }
    let Some(message) = message(&api_version, &kind) else {
        return Err(ProtobufError::Kind { api_version, kind });
    };
    let mut object = read(message, raw)?;
    object.insert("apiVersion".to_owned(), api_version.into());
    object.insert("kind".to_owned(), kind.into());
    Ok(Value::Object(object))
}

/// Messages are nested no deeper than the tables above.
fn read(message: Message, bytes: &[u8]) -> Result<Map<String, Value>, ProtobufError> {
    let mut object = Map::new();
    for (number, value) in fields(bytes)? {
        let Some((_, name, field)) = message.iter().find(|(known, ..)| *known == number) else { continue };
        let name = (*name).to_owned();
        match (field, value) {
            // Go writes empty texts as well, where JSON leaves them out.
            (Field::Text, Wire::Bytes([])) => {}
            (Field::Text, Wire::Bytes(value)) => drop(object.insert(name, text(value).into())),
            (Field::Bool, Wire::Number(value)) => drop(object.insert(name, (value != 0).into())),
            (Field::One(inner), Wire::Bytes(value)) => drop(object.insert(name, read(inner, value)?.into())),
            (Field::Texts, Wire::Bytes(value)) => push(&mut object, name, text(value).into()),
            (Field::Many(inner), Wire::Bytes(value)) => push(&mut object, name, read(inner, value)?.into()),
            (Field::TextMap | Field::BytesMap, Wire::Bytes(value)) => {
                let (mut key, mut content) = (String::new(), &b""[..]);
                for (number, value) in fields(value)? {
                    match (number, value) {
                        (1, Wire::Bytes(value)) => key = text(value),
                        (2, Wire::Bytes(value)) => content = value,
                        _ => {}
                    }
                }
                let shown = if matches!(field, Field::TextMap) {
                    text(content)
                } else {
                    BASE64_STANDARD.encode(content)
                };
                let map = object.entry(name).or_insert_with(|| Value::Object(Map::new()));
                if let Some(map) = map.as_object_mut() {
                    map.insert(key, shown.into());
                }
            }
            _ => return Err(ProtobufError::Message),
        }
    }
    Ok(object)
}

fn push(object: &mut Map<String, Value>, name: String, value: Value) {
    if let Some(list) = object.entry(name).or_insert_with(|| Value::Array(Vec::new())).as_array_mut() {
        list.push(value);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A value on the wire.
#[derive(Clone, Copy, Debug)]
enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Other,
}

/// Numbers and values of a message, in their order.
fn fields(mut bytes: &[u8]) -> Result<Vec<(u64, Wire<'_>)>, ProtobufError> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let (tag, rest) = varint(bytes)?;
        let (value, rest) = match tag & 7 {
            0 => varint(rest).map(|(number, rest)| (Wire::Number(number), rest))?,
            1 => split(rest, 8).map(|(_, rest)| (Wire::Other, rest))?,
            2 => {
                let (length, rest) = varint(rest)?;
                split(rest, length).map(|(value, rest)| (Wire::Bytes(value), rest))?
            }
            5 => split(rest, 4).map(|(_, rest)| (Wire::Other, rest))?,
            _ => return Err(ProtobufError::Message),
        };
        found.push((tag >> 3, value));
        bytes = rest;
    }
    Ok(found)
}

fn split(bytes: &[u8], at: u64) -> Result<(&[u8], &[u8]), ProtobufError> {
    let at = usize::try_from(at).map_err(|_| ProtobufError::Message)?;
    bytes.split_at_checked(at).ok_or(ProtobufError::Message)
}

fn varint(bytes: &[u8]) -> Result<(u64, &[u8]), ProtobufError> {
    let mut number = 0_u64;
    for (index, byte) in bytes.iter().enumerate().take(10) {
        let shift = u32::try_from(index).unwrap_or(u32::MAX).saturating_mul(7);
        number |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Ok((number, bytes.get(index.saturating_add(1)..).unwrap_or_default()));
        }
    }
    Err(ProtobufError::Message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn field(number: u8, value: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(value.len()).unwrap()], value].concat()
    }

    fn envelope(kind: &str, raw: &[u8]) -> Vec<u8> {
        let type_meta = [field(1, b"v1"), field(2, kind.as_bytes())].concat();
        [MAGIC, &field(1, &type_meta), &field(2, raw), &field(3, b""), &field(4, b"")].concat()
    }

    #[test]
    fn a_secret_is_read_as_from_json() {
        let label = [field(1, b"a"), field(2, b"b")].concat();
        let metadata = [field(1, b"s"), field(2, b""), field(11, &label)].concat();
        let entry = [field(1, b"k"), field(2, b"\xff\0")].concat();
        let raw = [field(1, &metadata), field(2, &entry), field(3, b"Opaque"), vec![5 << 3, 1]].concat();
        let expected = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "labels": {"a": "b"}},
            "data": {"k": "/wA="}, "type": "Opaque", "immutable": true,
        });
        assert_eq!(parse(&envelope("Secret", &raw)).unwrap(), expected);
    }

    #[test]
    fn what_is_not_read_is_said() {
        assert_eq!(parse(b"{}"), Err(ProtobufError::Magic));
        assert_eq!(parse(&[MAGIC, &[0x0a, 0x7f]].concat()), Err(ProtobufError::Message));
        assert_eq!(parse(&[MAGIC, &[0xff; 12]].concat()), Err(ProtobufError::Message));
        let error = parse(&envelope("Pod", b"")).unwrap_err();
        assert_eq!(error, ProtobufError::Kind { api_version: "v1".to_owned(), kind: "Pod".to_owned() });
    }
}
