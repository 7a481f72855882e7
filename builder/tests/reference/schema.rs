//! The cluster file, from its JSON Schema.

use std::fmt::Write as _;

use serde_json::Value;

/// Tables in the order people write them: header, place in the schema.
const TABLES: [(&str, &str); 7] = [
    ("Top level", ""),
    ("[cluster]", "/properties/cluster"),
    ("[network]", "/$defs/network"),
    ("[k3s]", "/properties/k3s"),
    ("[gitops]", "/$defs/gitops"),
    ("[[node]]", "/$defs/node"),
    ("[[node.interfaces]]", "/$defs/interface"),
];

pub(crate) fn page(schema: &Value) -> String {
    let mut text =
        "# cluster.toml\n\nMade from the schema that `imgbuild check --json-schema` prints.\n".to_owned();
    for (header, pointer) in TABLES {
        let table = schema.pointer(pointer).unwrap_or_else(|| panic!("no {pointer}"));
        let about = table["description"].as_str().unwrap_or_default();
        let _ = write!(text, "\n## {header}\n\n{about}\n\n| key | type | means |\n|---|---|---|\n");
        let required: Vec<&str> =
            table["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for (key, value) in table["properties"].as_object().unwrap_or_else(|| panic!("{header} has no keys"))
        {
            let _ = writeln!(
                text,
                "| `{key}` | {} | {} |",
                kind(schema, value),
                meaning(schema, value, required.contains(&key.as_str()))
            );
        }
    }
    text
}

/// The schema that a reference stands for.
fn resolved<'schema>(schema: &'schema Value, value: &'schema Value) -> &'schema Value {
    let place = value["$ref"].as_str().and_then(|place| place.strip_prefix('#'));
    place.map_or(value, |place| schema.pointer(place).unwrap_or_else(|| panic!("no {place}")))
}

fn kind(schema: &Value, value: &Value) -> String {
    let target = resolved(schema, value);
    match target["type"].as_str() {
        Some("array") => format!("list of {}", kind(schema, &target["items"])),
        Some("object") => "table".to_owned(),
        Some(kind) => kind.to_owned(),
        None => "value".to_owned(),
    }
}

fn meaning(schema: &Value, value: &Value, is_required: bool) -> String {
    let target = resolved(schema, value);
    let about =
        [value, target].into_iter().find_map(|value| value["description"].as_str()).unwrap_or_default();
    let mut text = about.replace('\n', " ").replace('|', "\\|");
    if let Some(values) = value["enum"].as_array() {
        let values: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
        let _ = write!(text, " One of {}.", values.join(", "));
    }
    match &value["default"] {
        Value::Null if is_required => text += " Required.",
        Value::Null => {}
        default => _ = write!(text, " Default: `{default}`."),
    }
    text
}
