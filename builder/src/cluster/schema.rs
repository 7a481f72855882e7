//! The JSON Schema of the cluster file, for editors (`imgbuild check --json-schema`).

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;

use super::network::Range;
use super::raw::RawFile;

/// The schema, in draft 2020-12.
pub fn schema() -> Schema {
    SchemaSettings::draft2020_12()
        .with_transform(WithoutNull)
        .into_generator()
        .into_root_schema_for::<RawFile>()
}

/// Takes `null` out of optional keys: TOML has none.
#[derive(Clone, Debug)]
struct WithoutNull;

impl Transform for WithoutNull {
    fn transform(&mut self, schema: &mut Schema) {
        if let Some(kinds) = schema.get_mut("type").and_then(serde_json::Value::as_array_mut) {
            kinds.retain(|kind| kind != "null");
            if let [kind] = kinds.as_slice() {
                let kind = kind.clone();
                schema.insert("type".to_owned(), kind);
            }
        }
        if let Some(choices) = schema.get_mut("anyOf").and_then(serde_json::Value::as_array_mut) {
            choices.retain(|choice| choice.get("type").is_none_or(|kind| kind != "null"));
            if let [choice] = choices.as_slice()
                && let Some(only) = choice.as_object().cloned()
            {
                schema.remove("anyOf");
                only.into_iter().for_each(|(key, value)| _ = schema.insert(key, value));
            }
        }
        transform_subschemas(self, schema);
    }
}

impl JsonSchema for Range {
    fn schema_name() -> Cow<'static, str> {
        "Range".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An IPv4 network in CIDR notation, `10.44.0.0/16`.",
            "type": "string",
            "pattern": r"^[0-9]{1,3}(\.[0-9]{1,3}){3}/[0-9]{1,2}$",
        })
    }
}
