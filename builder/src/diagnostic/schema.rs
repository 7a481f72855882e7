//! JSON Schemas of settings files, in draft 2020-12, from the types that they are read into.

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema};

/// The schema of the file that is read into `T`.
pub(crate) fn of<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12().with_transform(WithoutNull).into_generator().into_root_schema_for::<T>()
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
