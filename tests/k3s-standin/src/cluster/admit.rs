//! The rules of single kinds: names, secrets, definitions, schemas.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustix::rand::{GetRandomFlags, getrandom};
use serde_json::{Map, Value, json};

use super::write::Write;
use super::{Inner, now};
use crate::api::resources::Resource;
use crate::api::status::Status;

/// Letters of generated names (Kubernetes, `util/rand`).
const ALPHANUMERICS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// Sets kind, version and namespace; refuses what contradicts the path.
pub(super) fn identify(write: &Write<'_>, object: &mut Value, name: Option<&str>) -> Result<(), Status> {
    let resource = write.resource;
    let wrong = |field: &str, is: &str, wanted: &str| {
        Err(Status::bad_request(format!(
            "the {field} of the object (`{is}`) does not match the request's (`{wanted}`)"
        )))
    };
    let fields = object.as_object_mut().ok_or_else(|| Status::bad_request("the body is no object"))?;
    for (field, wanted) in [("apiVersion", resource.api_version()), ("kind", resource.kind.clone())] {
        let is = fields.get(field).and_then(Value::as_str).unwrap_or_default();
        if !is.is_empty() && is != wanted {
            return wrong(field, is, &wanted);
        }
        fields.insert(field.to_owned(), wanted.into());
    }
    let metadata = fields.entry("metadata").or_insert_with(|| json!({}));
    if metadata.is_null() {
        *metadata = json!({});
    }
    let metadata = metadata.as_object_mut().ok_or_else(|| Status::bad_request("metadata is no object"))?;
    let namespace = metadata.get("namespace").and_then(Value::as_str).unwrap_or_default();
    if resource.is_namespaced {
        if !namespace.is_empty() && namespace != write.namespace {
            return wrong("namespace", namespace, write.namespace);
        }
        metadata.insert("namespace".to_owned(), write.namespace.into());
    } else {
        metadata.remove("namespace");
    }
    let is = metadata.get("name").and_then(Value::as_str).unwrap_or_default();
    match name {
        Some(name) if is.is_empty() => drop(metadata.insert("name".to_owned(), name.into())),
        Some(name) if is != name => return wrong("name", is, name),
        None if is.is_empty() => generate_name(metadata)?,
        Some(_) | None => {}
    }
    Ok(())
}

fn generate_name(metadata: &mut Map<String, Value>) -> Result<(), Status> {
    let Some(prefix) =
        metadata.get("generateName").and_then(Value::as_str).filter(|prefix| !prefix.is_empty())
    else {
        return Err(Status::bad_request("name or generateName is required"));
    };
    let mut random = [0_u8; 5];
    getrandom(&mut random, GetRandomFlags::empty()).map_err(Status::internal)?;
    let letters =
        random.iter().filter_map(|byte| ALPHANUMERICS.get(usize::from(*byte) % ALPHANUMERICS.len()));
    let name: String = prefix.chars().chain(letters.map(|letter| char::from(*letter))).collect();
    metadata.insert("name".to_owned(), name.into());
    Ok(())
}

/// The name of an object, which must be one.
pub(super) fn name(resource: &Resource, object: &Value) -> Result<String, Status> {
    let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_subdomain = name.bytes().all(|byte| is_letter(byte) || byte == b'-' || byte == b'.')
        && name.bytes().next().is_some_and(is_letter)
        && name.bytes().last().is_some_and(is_letter)
        && name.len() <= 253;
    // Roles may be called anything that can stand in a path.
    let is_path_segment = !matches!(name, "" | "." | "..") && !name.contains(['/', '%']);
    if if resource.group == "rbac.authorization.k8s.io" { is_path_segment } else { is_subdomain } {
        return Ok(name.to_owned());
    }
    let why = format!(
        "Invalid value: \"{name}\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character"
    );
    Err(Status::invalid(&resource.kind, name, &[("metadata.name".to_owned(), why)]))
}

/// `stringData` of secrets becomes `data`.
pub(super) fn fold_strings(resource: &Resource, object: &mut Value) {
    if resource.kind != "Secret" || !resource.group.is_empty() {
        return;
    }
    let Some(fields) = object.as_object_mut() else { return };
    let Some(Value::Object(strings)) = fields.remove("stringData") else { return };
    let data = fields.entry("data").or_insert_with(|| json!({}));
    if data.is_null() {
        *data = json!({});
    }
    if let Some(data) = data.as_object_mut() {
        let encoded = strings.iter().map(|(name, text)| {
            (name.clone(), BASE64_STANDARD.encode(text.as_str().unwrap_or_default()).into())
        });
        data.extend(encoded);
    }
}

/// Where the status is apart, a write touches only its half.
pub(super) fn keep_other_half(write: &Write<'_>, live: Option<&Value>, object: &mut Value) {
    if !write.resource.has_status {
        return;
    }
    let Some(fields) = object.as_object_mut() else { return };
    match (write.subresource, live) {
        (Some("status"), Some(live)) => {
            let status = fields.remove("status");
            let metadata = fields.remove("metadata");
            *object = live.clone();
            let Some(fields) = object.as_object_mut() else { return };
            match status {
                Some(status) => drop(fields.insert("status".to_owned(), status)),
                None => drop(fields.remove("status")),
            }
            // Kept: who owns what, which apply has worked out.
            let managed = metadata.and_then(|metadata| metadata.get("managedFields").cloned());
            if let (Some(managed), Some(metadata)) =
                (managed, fields.get_mut("metadata").and_then(Value::as_object_mut))
            {
                metadata.insert("managedFields".to_owned(), managed);
            }
        }
        (_, Some(live)) => match live.get("status") {
            Some(status) => drop(fields.insert("status".to_owned(), status.clone())),
            None => drop(fields.remove("status")),
        },
        // Nodes come with theirs (Kubernetes, registry/core/node).
        (_, None) if write.resource.kind == "Node" => {}
        (_, None) => drop(fields.remove("status")),
    }
}

/// Unknown fields of custom resources, where the client wants to be told.
pub(super) fn check_unknown(write: &Write<'_>, object: &mut Value) -> Result<(), Status> {
    let Some(custom) = &write.resource.custom else { return Ok(()) };
    let unknown = custom.schema.settle(object).unknown;
    if unknown.is_empty() {
        return Ok(());
    }
    let listed: Vec<String> = unknown.iter().map(|field| format!("unknown field \"{field}\"")).collect();
    Err(Status::bad_request(format!("strict decoding error: {}", listed.join(", "))))
}

/// Rules of single kinds, the schema last.
pub(super) fn settle(
    inner: &Inner,
    write: &Write<'_>,
    live: Option<&Value>,
    object: &mut Value,
) -> Result<(), Status> {
    fold_strings(write.resource, object);
    match (write.resource.group.as_str(), write.resource.kind.as_str()) {
        ("", "Secret" | "ConfigMap") => keep_immutable(write.resource, live, object)?,
        ("", "Namespace") => set_phase(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => define(inner, object)?,
        _ => {}
    }
    if write.is_strict {
        check_unknown(write, &mut object.clone())?;
    }
    if let Some(custom) = &write.resource.custom {
        let findings = custom.schema.settle(object);
        if !findings.invalid.is_empty() {
            let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
            return Err(Status::invalid(&write.resource.kind, name, &findings.invalid));
        }
    }
    Ok(())
}

fn keep_immutable(resource: &Resource, live: Option<&Value>, object: &mut Value) -> Result<(), Status> {
    let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let refuse = |field: &str, why: &str| {
        Err(Status::invalid(&resource.kind, &name, &[(field.to_owned(), why.to_owned())]))
    };
    if resource.kind == "Secret" {
        let fields = object.as_object_mut().into_iter();
        for fields in fields {
            fields.entry("type").or_insert_with(|| "Opaque".into());
            for (key, value) in fields.get("data").and_then(Value::as_object).into_iter().flatten() {
                if value.as_str().is_none_or(|text| BASE64_STANDARD.decode(text).is_err()) {
                    return Err(Status::bad_request(format!(
                        "Secret in version \"v1\" cannot be handled as a Secret: data.{key} is no base64"
                    )));
                }
            }
        }
    }
    let Some(live) = live else { return Ok(()) };
    if resource.kind == "Secret" && live.get("type") != object.get("type") {
        return refuse("type", "field is immutable");
    }
    if live.get("immutable") == Some(&Value::Bool(true)) {
        for field in ["immutable", "data", "binaryData"] {
            if live.get(field) != object.get(field) {
                return refuse(field, "Forbidden: field is immutable when `immutable` is set");
            }
        }
    }
    Ok(())
}

fn set_phase(object: &mut Value) {
    let is_going = object.pointer("/metadata/deletionTimestamp").is_some();
    let name = object.pointer("/metadata/name").cloned().unwrap_or_default();
    let Some(fields) = object.as_object_mut() else { return };
    fields.insert("status".to_owned(), json!({"phase": if is_going { "Terminating" } else { "Active" }}));
    let spec = fields.entry("spec").or_insert_with(|| json!({}));
    if let Some(spec) = spec.as_object_mut() {
        spec.insert("finalizers".to_owned(), json!(["kubernetes"]));
    }
    if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
        let labels = metadata.entry("labels").or_insert_with(|| json!({}));
        if let Some(labels) = labels.as_object_mut() {
            labels.insert("kubernetes.io/metadata.name".to_owned(), name);
        }
    }
}

/// A definition is established at once: there is nobody to wait for.
fn define(inner: &Inner, object: &mut Value) -> Result<(), Status> {
    let text = |object: &Value, pointer: &str| {
        object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let name = text(object, "/metadata/name");
    let (group, plural) = (text(object, "/spec/group"), text(object, "/spec/names/plural"));
    let mut causes = Vec::new();
    if name != format!("{plural}.{group}") {
        causes.push((
            "metadata.name".to_owned(),
            "Invalid value: must be spec.names.plural+\".\"+spec.group".to_owned(),
        ));
    }
    let versions = object.pointer("/spec/versions").and_then(Value::as_array).cloned().unwrap_or_default();
    if versions.iter().filter(|version| version.get("storage") == Some(&Value::Bool(true))).count() != 1 {
        causes.push((
            "spec.versions".to_owned(),
            "Invalid value: must have exactly one version marked as storage version".to_owned(),
        ));
    }
    for version in &versions {
        if version.pointer("/schema/openAPIV3Schema").is_none() {
            causes.push((
                "spec.versions.schema.openAPIV3Schema".to_owned(),
                "Required value: schemas are required".to_owned(),
            ));
        }
    }
    let taken = inner
        .registry
        .iter()
        .any(|other| other.is_builtin() && other.group == group && other.plural == plural);
    if taken {
        causes.push((
            "spec.names.plural".to_owned(),
            format!("Invalid value: \"{plural}\" is a built-in resource"),
        ));
    }
    if !causes.is_empty() {
        return Err(Status::invalid("CustomResourceDefinition", &name, &causes));
    }
    let kind = text(object, "/spec/names/kind");
    if let Some(names) = object.pointer_mut("/spec/names").and_then(Value::as_object_mut) {
        names.entry("listKind").or_insert_with(|| format!("{kind}List").into());
        names.entry("singular").or_insert_with(|| kind.to_lowercase().into());
    }
    if let Some(spec) = object.pointer_mut("/spec").and_then(Value::as_object_mut) {
        spec.entry("conversion").or_insert_with(|| json!({"strategy": "None"}));
    }
    let stored: Vec<Value> = versions
        .iter()
        .filter(|version| version.get("storage") == Some(&Value::Bool(true)))
        .filter_map(|version| version.get("name").cloned())
        .collect();
    let since =
        object.pointer("/status/conditions/0/lastTransitionTime").cloned().unwrap_or_else(|| now().into());
    let condition = |kind: &str, reason: &str, message: &str| json!({"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": since});
    let status = json!({
        "acceptedNames": object.pointer("/spec/names"),
        "storedVersions": stored,
        "conditions": [
            condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ],
    });
    if let Some(fields) = object.as_object_mut() {
        fields.insert("status".to_owned(), status);
    }
    Ok(())
}
