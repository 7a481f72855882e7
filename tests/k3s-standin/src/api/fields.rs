//! Sets of fields, as `managedFields` has them (structured-merge-diff, `FieldsV1`).
//!
//! A field is a path of steps: `f:name` for a field, `k:{…}` for a list item by its keys, `v:…` for one by its
//! value.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::lists::{self, ListKind};
use super::schema::Schema;

/// The steps from the object to a field.
pub type Path = Vec<String>;

/// What the server itself sets belongs to nobody.
const UNMANAGED: [&str; 10] = [
    "name",
    "namespace",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
    "uid",
    "generation",
    "managedFields",
    "resourceVersion",
];

/// Fields of an object.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Fields(pub BTreeSet<Path>);

impl Fields {
    /// All that `object` has.
    pub fn of(object: &Value, schema: Option<&Schema>) -> Self {
        let mut walk = Walk { schema, path: Vec::new(), names: Vec::new(), found: BTreeSet::new() };
        for (name, value) in object.as_object().into_iter().flatten() {
            match name.as_str() {
                "apiVersion" | "kind" => {}
                "metadata" => {
                    let fields = value.as_object().into_iter().flatten();
                    for (field, value) in fields.filter(|(field, _)| !UNMANAGED.contains(&field.as_str())) {
                        walk.path.push("f:metadata".to_owned());
                        walk.names.push("metadata");
                        walk.field(field, value);
                        walk.names.pop();
                        walk.path.pop();
                    }
                }
                _ => walk.field(name, value),
            }
        }
        Self(walk.found)
    }

    /// From `FieldsV1`.
    pub fn parse(fields: &Value) -> Self {
        let mut found = BTreeSet::new();
        parse(fields, &mut Vec::new(), &mut found);
        Self(found)
    }

    /// As `FieldsV1`.
    pub fn to_json(&self) -> Value {
        let mut root = Map::new();
        for path in &self.0 {
            mark(&mut root, path);
        }
        let mut root = Value::Object(root);
        unmark_leaves(&mut root);
        root
    }

    /// Whether a member lies at `path` or below it.
    pub fn reaches(&self, path: &Path) -> bool {
        self.0.range(path.clone()..).next().is_some_and(|first| first.starts_with(path))
    }
}

fn parse(fields: &Value, path: &mut Path, found: &mut BTreeSet<Path>) {
    let Some(fields) = fields.as_object() else { return };
    if fields.is_empty() && !path.is_empty() {
        found.insert(path.clone());
    }
    for (step, below) in fields {
        if step == "." {
            found.insert(path.clone());
        } else {
            path.push(step.clone());
            parse(below, path, found);
            path.pop();
        }
    }
}

/// Marks the member at `path`; the mark is dropped again where there is nothing else.
fn mark(place: &mut Map<String, Value>, path: &[String]) {
    let Some((step, below)) = path.split_first() else {
        place.insert(".".to_owned(), json!({}));
        return;
    };
    if let Some(next) = place.entry(step.clone()).or_insert_with(|| json!({})).as_object_mut() {
        mark(next, below);
    }
}

fn unmark_leaves(node: &mut Value) {
    let Some(fields) = node.as_object_mut() else { return };
    if fields.len() == 1 && fields.contains_key(".") {
        fields.clear();
    }
    for (name, below) in fields.iter_mut() {
        if name != "." {
            unmark_leaves(below);
        }
    }
}

struct Walk<'a> {
    schema: Option<&'a Schema>,
    path: Path,
    names: Vec<&'a str>,
    found: BTreeSet<Path>,
}

impl<'a> Walk<'a> {
    fn field(&mut self, name: &'a str, value: &'a Value) {
        self.path.push(format!("f:{name}"));
        self.names.push(name);
        self.value(value);
        self.names.pop();
        self.path.pop();
    }

    fn value(&mut self, value: &'a Value) {
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                for (name, value) in fields {
                    self.field(name, value);
                }
            }
            Value::Array(items) if !items.is_empty() => self.list(items),
            _ => drop(self.found.insert(self.path.clone())),
        }
    }

    fn list(&mut self, items: &'a [Value]) {
        match lists::kind(&self.names, self.schema) {
            ListKind::Atomic => drop(self.found.insert(self.path.clone())),
            ListKind::Set => {
                for item in items {
                    let mut path = self.path.clone();
                    path.push(format!("v:{item}"));
                    self.found.insert(path);
                }
            }
            ListKind::Map(keys) => {
                for item in items {
                    self.path.push(key_step(item, &keys));
                    self.found.insert(self.path.clone());
                    for (name, value) in item.as_object().into_iter().flatten() {
                        self.field(name, value);
                    }
                    self.path.pop();
                }
            }
        }
    }
}

/// `k:{"name":"a"}`
fn key_step(item: &Value, keys: &[String]) -> String {
    let values = lists::key_of(item, keys);
    let key: Map<String, Value> =
        keys.iter().cloned().zip(values).filter(|(_, value)| !value.is_null()).collect();
    format!("k:{}", Value::Object(key))
}

/// The value at `path`.
pub fn get<'a>(object: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(object, |place, step| match step.split_once(':')? {
        ("f", name) => place.get(name),
        (_, _) => place.as_array()?.get(position(place, step)?),
    })
}

/// Removes the value at `path`.
pub fn remove(object: &mut Value, path: &[String]) {
    let Some((last, above)) = path.split_last() else { return };
    let mut place = object;
    for step in above {
        let next = match step.split_once(':') {
            Some(("f", name)) => place.get_mut(name),
            _ => match position(place, step) {
                Some(index) => place.get_mut(index),
                None => None,
            },
        };
        let Some(next) = next else { return };
        place = next;
    }
    match (last.split_once(':'), &mut *place) {
        (Some(("f", name)), Value::Object(fields)) => drop(fields.remove(name)),
        (_, Value::Array(_)) => {
            if let (Some(index), Value::Array(items)) = (position(place, last), place) {
                items.remove(index);
            }
        }
        _ => {}
    }
}

/// Where in the list `place` the item of a step is.
fn position(place: &Value, step: &str) -> Option<usize> {
    let items = place.as_array()?;
    let (kind, text) = step.split_once(':')?;
    let wanted: Value = serde_json::from_str(text).ok()?;
    if kind == "v" {
        return items.iter().position(|item| *item == wanted);
    }
    let wanted = wanted.as_object()?;
    items.iter().position(|item| {
        wanted.iter().all(|(key, value)| *item.get(key).unwrap_or(&lists::default_key(key)) == *value)
    })
}

/// As errors name it: `.spec.containers[name="a"].image`.
pub fn display(path: &[String]) -> String {
    let mut text = String::new();
    for step in path {
        match step.split_once(':') {
            Some(("f", name)) => {
                text.push('.');
                text.push_str(name);
            }
            Some(("k", key)) => {
                let key: Map<String, Value> = serde_json::from_str(key).unwrap_or_default();
                let listed: Vec<String> = key.iter().map(|(name, value)| format!("{name}={value}")).collect();
                let _ = write!(text, "[{}]", listed.join(","));
            }
            Some((_, value)) => {
                let _ = write!(text, "[={value}]");
            }
            None => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_those_of_kubernetes() {
        let object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "a", "uid": "1", "labels": {"x": "y"}, "finalizers": ["f"]},
            "spec": {"empty": {}, "template": {"spec": {"containers": [
                {"name": "c", "args": ["1", "2"], "ports": [{"containerPort": 80}]}]}}},
        });
        let fields = Fields::of(&object, None);
        let expected = json!({
            "f:metadata": {"f:finalizers": {"v:\"f\"": {}}, "f:labels": {"f:x": {}}},
            "f:spec": {"f:empty": {}, "f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"c\"}": {
                ".": {}, "f:args": {}, "f:name": {},
                "f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}},
            }}}}},
        });
        assert_eq!(fields.to_json(), expected);
        assert_eq!(Fields::parse(&expected), fields);
        for path in &fields.0 {
            assert!(get(&object, path).is_some(), "{}", display(path));
        }
    }

    #[test]
    fn removes_items_by_key() {
        let mut object = json!({"env": [{"name": "a"}, {"name": "b"}], "set": [1, 2]});
        remove(&mut object, &["f:env".to_owned(), "k:{\"name\":\"a\"}".to_owned()]);
        remove(&mut object, &["f:set".to_owned(), "v:2".to_owned()]);
        assert_eq!(object, json!({"env": [{"name": "b"}], "set": [1]}));
    }
}
