//! Who set which field: `metadata.managedFields`, kept by every write, and server-side apply, which needs it.

use serde_json::{Map, Value, json};

use super::fields::{self, Fields};
use super::lists::{self, ListKind};
use super::schema::Schema;
use super::status::Status;

/// Who writes, and how.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'a> {
    /// Name of the field manager.
    pub manager: &'a str,
    /// In which version of the API.
    pub api_version: &'a str,
    /// By which subresource.
    pub subresource: Option<&'a str>,
    /// When.
    pub now: &'a str,
}

#[derive(Clone, Debug)]
struct Entry {
    manager: String,
    operation: String,
    api_version: String,
    subresource: String,
    time: String,
    fields: Fields,
}

impl Entry {
    fn is(&self, writer: &Writer<'_>, operation: &str) -> bool {
        self.manager == writer.manager
            && self.operation == operation
            && self.api_version == writer.api_version
            && self.subresource == writer.subresource.unwrap_or_default()
    }

    fn describe(&self) -> String {
        let subresource = match self.subresource.as_str() {
            "" => String::new(),
            name => format!(" with subresource \"{name}\""),
        };
        format!("\"{}\"{subresource} using {}", self.manager, self.api_version)
    }
}

fn entries(object: Option<&Value>) -> Vec<Entry> {
    let list = object.and_then(|object| object.pointer("/metadata/managedFields")).and_then(Value::as_array);
    let text =
        |entry: &Value, name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    list.into_iter()
        .flatten()
        .filter(|entry| entry.get("fieldsV1").is_some())
        .map(|entry| Entry {
            manager: text(entry, "manager"),
            operation: text(entry, "operation"),
            api_version: text(entry, "apiVersion"),
            subresource: text(entry, "subresource"),
            time: text(entry, "time"),
            fields: Fields::parse(entry.get("fieldsV1").unwrap_or(&Value::Null)),
        })
        .collect()
}

fn set_entries(object: &mut Value, entries: &[Entry]) {
    let list: Vec<Value> = entries
        .iter()
        .filter(|entry| !entry.fields.0.is_empty())
        .map(|entry| {
            let mut json = json!({
                "manager": entry.manager, "operation": entry.operation, "apiVersion": entry.api_version,
                "time": entry.time, "fieldsType": "FieldsV1", "fieldsV1": entry.fields.to_json(),
            });
            if let (false, Some(json)) = (entry.subresource.is_empty(), json.as_object_mut()) {
                json.insert("subresource".to_owned(), entry.subresource.clone().into());
            }
            json
        })
        .collect();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        if list.is_empty() {
            metadata.remove("managedFields");
        } else {
            metadata.insert("managedFields".to_owned(), list.into());
        }
    }
}

fn own<'a>(entries: &'a mut Vec<Entry>, writer: &Writer<'_>, operation: &str) -> &'a mut Entry {
    let index = entries.iter().position(|entry| entry.is(writer, operation)).unwrap_or(entries.len());
    if index == entries.len() {
        entries.push(Entry {
            manager: writer.manager.to_owned(),
            operation: operation.to_owned(),
            api_version: writer.api_version.to_owned(),
            subresource: writer.subresource.unwrap_or_default().to_owned(),
            time: writer.now.to_owned(),
            fields: Fields::default(),
        });
    }
    &mut entries[index]
}

/// After a write that is no apply: what changed belongs to the writer, and to nobody else.
pub fn track(live: Option<&Value>, new: &mut Value, schema: Option<&Schema>, writer: &Writer<'_>) {
    // What the client sends of it counts where it sends any: kubectl rewrites it when it begins to apply
    // server-side.
    let sent =
        new.pointer("/metadata/managedFields").and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    let mut entries = entries(if sent { Some(new) } else { live });
    let before = live.map(|live| Fields::of(live, schema)).unwrap_or_default();
    let after = Fields::of(new, schema);
    let differs = |path: &fields::Path| {
        !before.0.contains(path)
            || (!is_item(path) && live.and_then(|live| fields::get(live, path)) != fields::get(new, path))
    };
    let changed: Vec<fields::Path> = after.0.iter().filter(|path| differs(path)).cloned().collect();
    for entry in &mut entries {
        entry.fields.0.retain(|path| after.0.contains(path));
        if !entry.is(writer, "Update") {
            for path in &changed {
                entry.fields.0.remove(path);
            }
        }
    }
    if !changed.is_empty() {
        let entry = own(&mut entries, writer, "Update");
        writer.now.clone_into(&mut entry.time);
        entry.fields.0.extend(changed);
    }
    set_entries(new, &entries);
}

/// Whether a path names a list item, not a value.
fn is_item(path: &[String]) -> bool {
    path.last().is_some_and(|step| step.starts_with("k:"))
}

/// Server-side apply of `config` to `live`.
pub fn apply(
    live: Option<&Value>,
    config: &Value,
    schema: Option<&Schema>,
    writer: &Writer<'_>,
    is_forced: bool,
) -> Result<Value, Status> {
    let mut entries = entries(live);
    let applied = Fields::of(config, schema);
    if let Some(live) = live {
        let forgiven = last_applied(live, schema, writer);
        let (mut conflicts, mut is_forgiven) = (Vec::new(), true);
        for entry in entries.iter_mut().filter(|entry| !entry.is(writer, "Apply")) {
            let contested: Vec<fields::Path> = applied
                .0
                .iter()
                .filter(|path| entry.fields.0.contains(*path) && conflict(live, config, path))
                .cloned()
                .collect();
            conflicts.extend(contested.iter().map(|path| (entry.describe(), fields::display(path))));
            is_forgiven = is_forgiven && contested.iter().all(|path| forgiven.0.contains(path));
            for path in &contested {
                entry.fields.0.remove(path);
            }
        }
        if !is_forced && !is_forgiven {
            return Err(Status::apply_conflict(&conflicts));
        }
    }
    let mut merged = live.cloned().unwrap_or_else(|| json!({}));
    merge(&mut merged, config, schema, &mut Vec::new());
    let previous = own(&mut entries, writer, "Apply").fields.clone();
    // From the top, so that list items are found by their keys.
    for path in previous.0.difference(&applied.0) {
        let is_others = entries.iter().any(|entry| !entry.is(writer, "Apply") && entry.fields.reaches(path));
        if !is_others && !applied.reaches(path) {
            fields::remove(&mut merged, path);
        }
    }
    let entry = own(&mut entries, writer, "Apply");
    if entry.fields != applied {
        writer.now.clone_into(&mut entry.time);
    }
    entry.fields = applied;
    set_entries(&mut merged, &entries);
    Ok(merged)
}

/// What kubectl has applied client-side it may take over server-side (Kubernetes, `lastAppliedManager`).
fn last_applied(live: &Value, schema: Option<&Schema>, writer: &Writer<'_>) -> Fields {
    const ANNOTATION: &str = "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration";
    let text = live.pointer(ANNOTATION).and_then(Value::as_str).filter(|_| writer.manager == "kubectl");
    let applied = text.and_then(|text| serde_json::from_str(text).ok());
    applied.map(|applied: Value| Fields::of(&applied, schema)).unwrap_or_default()
}

fn conflict(live: &Value, config: &Value, path: &[String]) -> bool {
    if is_item(path) {
        return false;
    }
    let (live, wanted) = (fields::get(live, path), fields::get(config, path));
    let both_objects = live.is_some_and(Value::is_object) && wanted.is_some_and(Value::is_object);
    live != wanted && !both_objects
}

/// Puts what `config` says into `object`, list by list as they are merged.
fn merge<'a>(object: &mut Value, config: &'a Value, schema: Option<&Schema>, names: &mut Vec<&'a str>) {
    match config {
        Value::Object(wanted) => {
            if !object.is_object() {
                *object = Value::Object(Map::new());
            }
            let Some(fields) = object.as_object_mut() else { return };
            for (name, value) in wanted.iter().filter(|(_, value)| !value.is_null()) {
                names.push(name);
                merge(fields.entry(name.clone()).or_insert(Value::Null), value, schema, names);
                names.pop();
            }
        }
        Value::Array(wanted) => {
            let kind = lists::kind(names, schema);
            let Some(items) = object.as_array_mut().filter(|_| kind != ListKind::Atomic) else {
                *object = config.clone();
                return;
            };
            for value in wanted {
                let same = |item: &&mut Value| match &kind {
                    ListKind::Map(keys) => lists::key_of(item, keys) == lists::key_of(value, keys),
                    _ => **item == *value,
                };
                match items.iter_mut().find(same) {
                    Some(item) => merge(item, value, schema, names),
                    None => items.push(value.clone()),
                }
            }
        }
        value => *object = value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer(manager: &str) -> Writer<'_> {
        Writer { manager, api_version: "v1", subresource: None, now: "2026-01-01T00:00:00Z" }
    }

    fn config(data: &Value) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data})
    }

    #[test]
    fn what_is_no_longer_applied_goes_and_the_rest_stays() {
        let live = apply(None, &config(&json!({"a": "1", "b": "2"})), None, &writer("one"), false).unwrap();
        let live = apply(Some(&live), &config(&json!({"c": "3"})), None, &writer("two"), false).unwrap();
        let live = apply(Some(&live), &config(&json!({"a": "1"})), None, &writer("one"), false).unwrap();
        assert_eq!(live["data"], json!({"a": "1", "c": "3"}));
        let again = apply(Some(&live), &config(&json!({"a": "1"})), None, &writer("one"), false).unwrap();
        assert_eq!(live, again);
    }

    #[test]
    fn fields_of_others_are_conflicts_until_forced() {
        let live = apply(None, &config(&json!({"a": "1"})), None, &writer("one"), false).unwrap();
        let wanted = config(&json!({"a": "2"}));
        let error = apply(Some(&live), &wanted, None, &writer("two"), false).unwrap_err();
        assert_eq!(error.message, "Apply failed with 1 conflict: conflict with \"one\" using v1: .data.a");
        let live = apply(Some(&live), &wanted, None, &writer("two"), true).unwrap();
        assert_eq!(live["data"]["a"], "2");
        let error = apply(Some(&live), &config(&json!({"a": "1"})), None, &writer("one"), false).unwrap_err();
        assert_eq!(error.code, 409, "it is two's now");
        // The same value is shared.
        apply(Some(&live), &wanted, None, &writer("one"), false).unwrap();
    }

    #[test]
    fn updates_take_fields_over() {
        let live = apply(None, &config(&json!({"a": "1", "b": "1"})), None, &writer("one"), false).unwrap();
        let mut new = live.clone();
        new["data"]["a"] = "2".into();
        track(Some(&live), &mut new, None, &writer("editor"));
        let error = apply(Some(&new), &config(&json!({"a": "1", "b": "1"})), None, &writer("one"), false)
            .unwrap_err();
        assert_eq!(error.message, "Apply failed with 1 conflict: conflict with \"editor\" using v1: .data.a");
    }

    #[test]
    fn list_items_are_merged_by_key() {
        let pod = |containers: Value| json!({"metadata": {"name": "a"}, "spec": {"containers": containers}});
        let live =
            apply(None, &pod(json!([{"name": "a", "image": "1"}])), None, &writer("one"), false).unwrap();
        let live =
            apply(Some(&live), &pod(json!([{"name": "b", "image": "1"}])), None, &writer("two"), false)
                .unwrap();
        assert_eq!(live["spec"]["containers"].as_array().unwrap().len(), 2);
        let live =
            apply(Some(&live), &pod(json!([{"name": "c", "image": "1"}])), None, &writer("one"), false)
                .unwrap();
        let names: Vec<_> =
            live["spec"]["containers"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
        assert_eq!(names, ["b", "c"]);
    }
}
