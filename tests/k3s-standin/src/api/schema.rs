//! Structural schemas of custom resources: unknown fields are pruned, defaults set, values checked.
//!
//! After "Extend the Kubernetes API with `CustomResourceDefinitions`". Of validation there is what definitions
//! are mostly made of: types, required fields, enumerations, patterns, lengths and limits; no CEL rules.

use regex::Regex;
use serde_json::{Map, Value};

/// What is known of every object, whatever its schema says.
const COMMON: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// A schema.
#[derive(Clone, Debug)]
pub struct Schema(Value);

/// What became of an object.
#[derive(Debug, Default)]
pub struct Findings {
    /// Paths of pruned fields.
    pub unknown: Vec<String>,
    /// (field, what is wrong with it)
    pub invalid: Vec<(String, String)>,
}

impl Schema {
    /// Of a definition's version; without one, everything is kept.
    pub fn new(schema: Option<&Value>) -> Self {
        let keep_all = || serde_json::json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        Self(schema.cloned().unwrap_or_else(keep_all))
    }

    /// As in the definition.
    pub fn as_json(&self) -> &Value {
        &self.0
    }

    /// Prunes, defaults and checks a whole object.
    pub fn settle(&self, object: &mut Value) -> Findings {
        let mut findings = Findings::default();
        settle(&self.0, object, "", true, &mut findings);
        findings
    }

    /// The schema of the field that `path` leads to, through lists and maps.
    pub fn at<'a>(&'a self, path: &[&str]) -> Option<&'a Value> {
        path.iter().try_fold(&self.0, |schema, step| {
            let schema = schema.get("items").unwrap_or(schema);
            schema
                .get("properties")
                .and_then(|known| known.get(*step))
                .or_else(|| schema.get("additionalProperties"))
        })
    }
}

fn flag(schema: &Value, name: &str) -> bool {
    schema.get(name) == Some(&Value::Bool(true))
}

fn settle(schema: &Value, value: &mut Value, path: &str, is_object_root: bool, findings: &mut Findings) {
    if value.is_null() && flag(schema, "nullable") {
        return;
    }
    check(schema, value, path, findings);
    match value {
        Value::Object(fields) => settle_fields(schema, fields, path, is_object_root, findings),
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                for (index, item) in items.iter_mut().enumerate() {
                    settle(schema, item, &format!("{path}[{index}]"), false, findings);
                }
            }
        }
        _ => {}
    }
}

fn settle_fields(
    schema: &Value,
    fields: &mut Map<String, Value>,
    path: &str,
    is_object_root: bool,
    findings: &mut Findings,
) {
    let embedded = is_object_root || flag(schema, "x-kubernetes-embedded-resource");
    let known = schema.get("properties").and_then(Value::as_object);
    let others = schema.get("additionalProperties");
    let keeps = flag(schema, "x-kubernetes-preserve-unknown-fields") || others == Some(&Value::Bool(true));
    for (name, property) in known.into_iter().flatten() {
        if let (false, Some(default)) = (fields.contains_key(name), property.get("default")) {
            fields.insert(name.clone(), default.clone());
        }
        // A null is pruned where it has a default or may not be one.
        if fields.get(name) == Some(&Value::Null) && !flag(property, "nullable") {
            match property.get("default") {
                Some(default) => drop(fields.insert(name.clone(), default.clone())),
                None => drop(fields.remove(name)),
            }
        }
    }
    let mut unknown = Vec::new();
    for (name, value) in fields.iter_mut() {
        if embedded && COMMON.contains(&name.as_str()) {
            continue;
        }
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match known.and_then(|known| known.get(name)).or_else(|| others.filter(|others| others.is_object())) {
            Some(schema) => settle(schema, value, &path, false, findings),
            None if keeps => {}
            None => {
                unknown.push(name.clone());
                findings.unknown.push(path);
            }
        }
    }
    for name in unknown {
        fields.remove(&name);
    }
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    for name in required.filter_map(Value::as_str).filter(|name| !fields.contains_key(*name)) {
        let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        findings.invalid.push((path, "Required value".to_owned()));
    }
}

/// Checks the value itself, not what is in it.
fn check(schema: &Value, value: &Value, path: &str, findings: &mut Findings) {
    let mut wrong = |why: String| findings.invalid.push((path.to_owned(), why));
    let is = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if let Some(wanted) = schema.get("type").and_then(Value::as_str) {
        let either = flag(schema, "x-kubernetes-int-or-string") && matches!(is, "integer" | "string");
        if wanted != is && !(wanted == "number" && is == "integer") && !either {
            wrong(format!("Invalid value: \"{is}\": must be of type {wanted}: \"{is}\""));
            return;
        }
    }
    if let Some(allowed) = schema.get("enum").and_then(Value::as_array)
        && !allowed.contains(value)
    {
        let allowed: Vec<String> = allowed.iter().map(ToString::to_string).collect();
        wrong(format!("Unsupported value: {value}: supported values: {}", allowed.join(", ")));
    }
    let limit = |name: &str| schema.get(name).and_then(Value::as_u64);
    let length = match value {
        Value::String(text) => Some((text.chars().count(), limit("minLength"), limit("maxLength"))),
        Value::Array(items) => Some((items.len(), limit("minItems"), limit("maxItems"))),
        _ => None,
    };
    if let Some((length, least, most)) = length {
        let length = u64::try_from(length).unwrap_or(u64::MAX);
        if let Some(least) = least.filter(|least| length < *least) {
            wrong(format!("Invalid value: {value}: should be at least {least} long"));
        }
        if let Some(most) = most.filter(|most| length > *most) {
            wrong(format!("Too long: may not be more than {most}"));
        }
    }
    if let (Some(text), Some(pattern)) = (value.as_str(), schema.get("pattern").and_then(Value::as_str))
        && Regex::new(pattern).is_ok_and(|pattern| !pattern.is_match(text))
    {
        wrong(format!("Invalid value: {value}: should match '{pattern}'"));
    }
    if let Some(number) = value.as_f64() {
        if let Some(least) = schema.get("minimum").and_then(Value::as_f64).filter(|least| number < *least) {
            wrong(format!("Invalid value: {value}: should be greater than or equal to {least}"));
        }
        if let Some(most) = schema.get("maximum").and_then(Value::as_f64).filter(|most| number > *most) {
            wrong(format!("Invalid value: {value}: should be less than or equal to {most}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Schema {
        Schema::new(Some(&json!({
            "type": "object", "required": ["spec"],
            "properties": {
                "spec": {
                    "type": "object", "required": ["node"],
                    "properties": {
                        "node": {"type": "string", "pattern": "^[a-z]+$"},
                        "role": {"type": "string", "enum": ["edge", "worker"], "default": "edge"},
                        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                    },
                },
            },
        })))
    }

    #[test]
    fn prunes_unknown_fields_and_sets_defaults() {
        let mut object = json!({
            "apiVersion": "a/v1", "kind": "A", "metadata": {"name": "x", "labels": {}}, "other": 1,
            "spec": {"node": "a", "typo": 1, "free": {"any": 1}, "labels": {"a": "b"}},
        });
        let findings = schema().settle(&mut object);
        assert_eq!(findings.unknown, ["other", "spec.typo"]);
        assert_eq!(findings.invalid, []);
        assert_eq!(
            object["spec"],
            json!({"node": "a", "free": {"any": 1}, "labels": {"a": "b"}, "role": "edge"})
        );
        assert!(object.get("other").is_none() && object["metadata"]["name"] == "x");
    }

    #[test]
    fn names_what_is_invalid() {
        for (spec, field, message) in [
            (json!({}), "spec.node", "Required value"),
            (
                json!({"node": 1}),
                "spec.node",
                "Invalid value: \"integer\": must be of type string: \"integer\"",
            ),
            (json!({"node": "A"}), "spec.node", "Invalid value: \"A\": should match '^[a-z]+$'"),
            (
                json!({"node": "a", "role": "x"}),
                "spec.role",
                "Unsupported value: \"x\": supported values: \"edge\", \"worker\"",
            ),
            (
                json!({"node": "a", "labels": {"a": 1}}),
                "spec.labels.a",
                "Invalid value: \"integer\": must be of type string: \"integer\"",
            ),
        ] {
            let findings = schema().settle(&mut json!({"spec": spec}));
            assert_eq!(findings.invalid, [(field.to_owned(), message.to_owned())]);
        }
    }
}
