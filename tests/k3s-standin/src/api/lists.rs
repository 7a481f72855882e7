//! Which lists are merged by item, and by which keys: strategic merge patches and server-side apply ask.
//!
//! For built-in kinds a table of field names stands for the API's Go structs (`patchMergeKey`, `listMapKey`);
//! custom resources say it in their schema (`x-kubernetes-list-type`).

use serde_json::Value;

use super::schema::Schema;

/// How a list is merged.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ListKind {
    /// As a whole.
    Atomic,
    /// By value.
    Set,
    /// By these fields of its items.
    Map(Vec<String>),
}

/// Lists of built-in kinds, by the field's name and where that is not enough the one above.
const KNOWN: &[(&str, &str, &[&str])] = &[
    ("containers", "ports", &["containerPort", "protocol"]),
    ("initContainers", "ports", &["containerPort", "protocol"]),
    ("ephemeralContainers", "ports", &["containerPort", "protocol"]),
    ("spec", "ports", &["port", "protocol"]),
    ("", "containers", &["name"]),
    ("", "initContainers", &["name"]),
    ("", "ephemeralContainers", &["name"]),
    ("", "volumes", &["name"]),
    ("", "imagePullSecrets", &["name"]),
    ("", "env", &["name"]),
    ("", "secrets", &["name"]),
    ("", "volumeMounts", &["mountPath"]),
    ("", "volumeDevices", &["devicePath"]),
    ("", "conditions", &["type"]),
    ("status", "addresses", &["type"]),
    ("", "hostAliases", &["ip"]),
    ("", "topologySpreadConstraints", &["topologyKey", "whenUnsatisfiable"]),
    ("metadata", "ownerReferences", &["uid"]),
    ("", "webhooks", &["name"]),
];

/// Of the list at `path`, which has no list items in it.
pub fn kind(path: &[&str], schema: Option<&Schema>) -> ListKind {
    let (parent, field) = match path {
        [] => return ListKind::Atomic,
        [field] => ("", *field),
        [.., parent, field] => (*parent, *field),
    };
    if (parent, field) == ("metadata", "finalizers") || (schema.is_none() && field == "podCIDRs") {
        return ListKind::Set;
    }
    if let Some(schema) = schema.filter(|_| parent != "metadata") {
        return of_schema(schema.at(path));
    }
    let known =
        KNOWN.iter().find(|(above, name, _)| *name == field && (above.is_empty() || *above == parent));
    known.map_or(ListKind::Atomic, |(_, _, keys)| {
        ListKind::Map(keys.iter().map(|key| (*key).to_owned()).collect())
    })
}

fn of_schema(schema: Option<&Value>) -> ListKind {
    let text = |name: &str| schema.and_then(|schema| schema.get(name));
    match text("x-kubernetes-list-type").and_then(Value::as_str) {
        Some("set") => ListKind::Set,
        Some("map") => {
            let keys = text("x-kubernetes-list-map-keys").and_then(Value::as_array).into_iter().flatten();
            ListKind::Map(keys.filter_map(Value::as_str).map(str::to_owned).collect())
        }
        _ => ListKind::Atomic,
    }
}

/// The value that stands for a missing key field: ports are TCP unless they say otherwise.
pub fn default_key(field: &str) -> Value {
    if field == "protocol" { "TCP".into() } else { Value::Null }
}

/// Values of the key fields of an item.
pub fn key_of(item: &Value, keys: &[String]) -> Vec<Value> {
    keys.iter().map(|key| item.get(key).cloned().unwrap_or_else(|| default_key(key))).collect()
}
