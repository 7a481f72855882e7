//! Tables, as `kubectl get` asks for them (`meta/v1` `Table`).

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::resources::Resource;

/// One column.
struct Column {
    name: String,
    kind: String,
    priority: u64,
    cell: Cell,
}

enum Cell {
    /// What `JSONPath`s of definitions point to.
    Path(String),
    Age,
    Of(fn(&Value) -> Value),
}

/// `objects` as a table.
pub fn table(resource: &Resource, objects: &[Value], revision: &str) -> Value {
    let columns = columns(resource);
    let definitions: Vec<Value> = columns
        .iter()
        .map(|column| {
            json!({
                "name": column.name, "type": column.kind, "priority": column.priority, "description": "",
                "format": if column.name == "Name" { "name" } else { "" },
            })
        })
        .collect();
    let rows: Vec<Value> = objects
        .iter()
        .map(|object| {
            let cells: Vec<Value> = columns.iter().map(|column| cell(column, object)).collect();
            json!({"cells": cells, "object": {
                "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object.get("metadata"),
            }})
        })
        .collect();
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {"resourceVersion": revision},
        "columnDefinitions": definitions, "rows": rows,
    })
}

fn columns(resource: &Resource) -> Vec<Column> {
    let of = |name: &str, priority: u64, cell: fn(&Value) -> Value| Column {
        name: name.to_owned(),
        kind: "string".to_owned(),
        priority,
        cell: Cell::Of(cell),
    };
    let path = |name: &str, priority: u64, path: &str| Column {
        name: name.to_owned(),
        kind: "string".to_owned(),
        priority,
        cell: Cell::Path(path.to_owned()),
    };
    let mut columns = vec![path("Name", 0, ".metadata.name")];
    if let Some(custom) = &resource.custom {
        let text = |column: &Value, name: &str| {
            column.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        columns.extend(custom.columns.iter().map(|column| Column {
            name: text(column, "name"),
            kind: text(column, "type"),
            priority: column.get("priority").and_then(Value::as_u64).unwrap_or(0),
            cell: if text(column, "type") == "date"
                && text(column, "jsonPath") == ".metadata.creationTimestamp"
            {
                Cell::Age
            } else {
                Cell::Path(text(column, "jsonPath"))
            },
        }));
        if custom.columns.iter().any(|column| text(column, "name") == "Age") {
            return columns;
        }
    }
    match resource.kind.as_str() {
        "Node" => columns.extend([of("Status", 0, node_status), of("Roles", 0, node_roles)]),
        "Namespace" => columns.push(path("Status", 0, ".status.phase")),
        "Secret" => columns.extend([path("Type", 0, ".type"), of("Data", 0, data)]),
        "ConfigMap" => columns.push(of("Data", 0, data)),
        "CustomResourceDefinition" => columns.push(path("Created At", 0, ".metadata.creationTimestamp")),
        "Service" => {
            columns.extend([path("Type", 0, ".spec.type"), path("Cluster-IP", 0, ".spec.clusterIP")]);
        }
        "Deployment" | "StatefulSet" | "ReplicaSet" => {
            columns.push(path("Replicas", 0, ".spec.replicas"));
        }
        "Lease" => columns.push(path("Holder", 0, ".spec.holderIdentity")),
        "Event" => columns.extend([
            path("Type", 0, ".type"),
            path("Reason", 0, ".reason"),
            path("Message", 0, ".message"),
        ]),
        _ => {}
    }
    if resource.kind != "CustomResourceDefinition" {
        columns.push(Column {
            name: "Age".to_owned(),
            kind: "string".to_owned(),
            priority: 0,
            cell: Cell::Age,
        });
    }
    if resource.kind == "Node" {
        columns.extend([
            path("Version", 0, ".status.nodeInfo.kubeletVersion"),
            of("Internal-IP", 1, |node| address(node, "InternalIP")),
            of("External-IP", 1, |node| address(node, "ExternalIP")),
            path("OS-Image", 1, ".status.nodeInfo.osImage"),
        ]);
    }
    columns
}

fn cell(column: &Column, object: &Value) -> Value {
    match &column.cell {
        Cell::Of(of) => of(object),
        Cell::Age => {
            let born =
                object.pointer("/metadata/creationTimestamp").and_then(Value::as_str).unwrap_or_default();
            let age = humantime::parse_rfc3339(born)
                .ok()
                .and_then(|born| SystemTime::now().duration_since(born).ok());
            self::age(age.unwrap_or_default()).into()
        }
        Cell::Path(path) => {
            let found = json_path(object, path);
            let text: Vec<String> = found
                .iter()
                .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
                .collect();
            match (found.as_slice(), column.kind.as_str()) {
                ([], _) => {
                    if column.kind == "string" {
                        "".into()
                    } else {
                        Value::Null
                    }
                }
                ([value], "integer" | "number" | "boolean") => (*value).clone(),
                _ => text.join(",").into(),
            }
        }
    }
}

/// As kubectl says it: the two largest units at most.
fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 => format!("{}m{}s", seconds / 60, seconds % 60),
        600..10_800 => format!("{}m", seconds / 60),
        10_800..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Fields, `[*]`, `[0]` and `[?(@.field=="value")]`: what printer columns are written in.
fn json_path<'a>(object: &'a Value, path: &str) -> Vec<&'a Value> {
    let mut found = vec![object];
    let mut rest = path.trim_start_matches('.');
    while !rest.is_empty() {
        if let Some((inside, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            let items = found.into_iter().filter_map(Value::as_array);
            found = match (inside.parse::<usize>(), condition(inside)) {
                (Ok(index), _) => items.filter_map(|items| items.get(index)).collect(),
                (_, Some((field, value))) => items
                    .flatten()
                    .filter(|item| item.get(field).and_then(Value::as_str) == Some(value))
                    .collect(),
                _ => items.flatten().collect(),
            };
            rest = after.trim_start_matches('.');
        } else {
            // A dot may be escaped, in names of labels.
            let end = rest.char_indices().find(|(index, character)| {
                matches!(character, '.' | '[') && !rest.get(..*index).unwrap_or_default().ends_with('\\')
            });
            let (name, after) = rest.split_at(end.map_or(rest.len(), |(index, _)| index));
            let name = name.replace('\\', "");
            found = found.into_iter().filter_map(|value| value.get(&name)).collect();
            rest = after.trim_start_matches('.');
        }
    }
    found
}

/// `?(@.field=="value")`
fn condition(inside: &str) -> Option<(&str, &str)> {
    let (field, value) = inside.strip_prefix("?(@.")?.strip_suffix(')')?.split_once("==")?;
    Some((field.trim(), value.trim().trim_matches(['"', '\''])))
}

fn node_status(node: &Value) -> Value {
    let conditions = node.pointer("/status/conditions").and_then(Value::as_array);
    let ready =
        conditions.into_iter().flatten().find(|condition| condition.get("type") == Some(&"Ready".into()));
    let mut status = match ready.and_then(|ready| ready.get("status")).and_then(Value::as_str) {
        Some("True") => "Ready".to_owned(),
        Some(_) => "NotReady".to_owned(),
        None => "Unknown".to_owned(),
    };
    if node.pointer("/spec/unschedulable") == Some(&Value::Bool(true)) {
        status.push_str(",SchedulingDisabled");
    }
    status.into()
}

fn node_roles(node: &Value) -> Value {
    let labels = node.pointer("/metadata/labels").and_then(Value::as_object);
    let roles: Vec<&str> = labels
        .into_iter()
        .flatten()
        .filter_map(|(name, _)| name.strip_prefix("node-role.kubernetes.io/"))
        .filter(|role| !role.is_empty())
        .collect();
    if roles.is_empty() { "<none>".into() } else { roles.join(",").into() }
}

fn address(node: &Value, kind: &str) -> Value {
    let addresses = node.pointer("/status/addresses").and_then(Value::as_array);
    let found = addresses.into_iter().flatten().find(|address| address.get("type") == Some(&kind.into()));
    found.and_then(|address| address.get("address").cloned()).unwrap_or_else(|| "<none>".into())
}

fn data(object: &Value) -> Value {
    let count = |field: &str| object.get(field).and_then(Value::as_object).map_or(0, serde_json::Map::len);
    count("data").saturating_add(count("binaryData")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_printer_columns() {
        let object = json!({"a": {"b.c": 1}, "list": [{"type": "X", "s": "1"}, {"type": "Y", "s": "2"}]});
        for (path, expected) in [
            (".a.b\\.c", vec![json!(1)]),
            (".list[*].s", vec![json!("1"), json!("2")]),
            (".list[1].s", vec![json!("2")]),
            (".list[?(@.type==\"Y\")].s", vec![json!("2")]),
            (".none.x", vec![]),
        ] {
            assert_eq!(json_path(&object, path).into_iter().cloned().collect::<Vec<_>>(), expected, "{path}");
        }
    }

    #[test]
    fn ages_are_short() {
        for (seconds, text) in [(5, "5s"), (125, "2m5s"), (3600, "60m"), (20_000, "5h"), (200_000, "2d")] {
            assert_eq!(age(Duration::from_secs(seconds)), text);
        }
    }
}
