//! Patches: JSON patch, JSON merge patch, and strategic merge patch as kubectl sends it.

use serde_json::{Map, Value};

use super::lists::{self, ListKind};
use super::status::Status;

/// The kinds of patch, by media type.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PatchKind {
    /// RFC 6902.
    Json,
    /// RFC 7386.
    Merge,
    /// Kubernetes' own, which knows which lists are merged.
    Strategic,
    /// Server-side apply.
    Apply,
}

impl PatchKind {
    /// Of a `Content-Type`.
    pub fn of(media_type: &str) -> Option<Self> {
        match media_type.split(';').next().unwrap_or_default().trim() {
            "application/json-patch+json" => Some(Self::Json),
            "application/merge-patch+json" => Some(Self::Merge),
            "application/strategic-merge-patch+json" => Some(Self::Strategic),
            "application/apply-patch+yaml" => Some(Self::Apply),
            _ => None,
        }
    }
}

/// Applies a JSON patch.
pub fn json(object: &mut Value, patch: &Value) -> Result<(), Status> {
    let patch: json_patch::Patch = serde_json::from_value(patch.clone())
        .map_err(|error| Status::bad_request(format!("error decoding patch: {error}")))?;
    json_patch::patch(object, &patch)
        .map_err(|error| Status::invalid("", "", &[("patch".to_owned(), error.to_string())]))
}

/// Applies a merge patch.
pub fn merge(object: &mut Value, patch: &Value) {
    json_patch::merge(object, patch);
}

/// Applies a strategic merge patch.
pub fn strategic(object: &mut Value, change: &Value) {
    let mut path = Vec::new();
    strategic_at(object, change, &mut path);
}

fn strategic_at<'a>(object: &mut Value, wanted: &'a Value, path: &mut Vec<&'a str>) {
    let Some(changes) = wanted.as_object() else {
        *object = wanted.clone();
        return;
    };
    if changes.get("$patch").and_then(Value::as_str) == Some("replace") {
        *object = strip(wanted);
        return;
    }
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    let Some(fields) = object.as_object_mut() else { return };
    if let Some(kept) = changes.get("$retainKeys").and_then(Value::as_array) {
        fields.retain(|name, _| kept.iter().any(|kept| kept == name));
    }
    for (name, change) in changes {
        if let Some(field) = name.strip_prefix("$deleteFromPrimitiveList/") {
            let gone = change.as_array().cloned().unwrap_or_default();
            if let Some(list) = fields.get_mut(field).and_then(Value::as_array_mut) {
                list.retain(|item| !gone.contains(item));
            }
        } else if name.starts_with('$') {
            // Orders are taken after the merge.
        } else if change.is_null() || is_deletion(change) {
            fields.remove(name);
        } else {
            path.push(name);
            let field = fields.entry(name.clone()).or_insert(Value::Null);
            match change.as_array() {
                Some(items) => merge_list(field, items, path),
                None => strategic_at(field, change, path),
            }
            path.pop();
        }
    }
    for (name, order) in changes {
        if let (Some(field), Some(order)) = (name.strip_prefix("$setElementOrder/"), order.as_array())
            && let Some(list) = fields.get_mut(field).and_then(Value::as_array_mut)
        {
            path.push(field);
            sort(list, order, &lists::kind(path, None));
            path.pop();
        }
    }
}

fn merge_list<'a>(field: &mut Value, changes: &'a [Value], path: &mut Vec<&'a str>) {
    let kind = lists::kind(path, None);
    if !field.is_array() || kind == ListKind::Atomic {
        *field = Value::Array(changes.iter().filter(|item| !is_deletion(item)).map(strip).collect());
        return;
    }
    let Some(list) = field.as_array_mut() else { return };
    // Strategic merge patches know the first key only.
    let key = match &kind {
        ListKind::Map(keys) => keys.first().cloned(),
        _ => None,
    };
    if changes.iter().any(|item| item.get("$patch").and_then(Value::as_str) == Some("replace")) {
        *list = changes.iter().filter(|item| item.get("$patch").is_none()).map(strip).collect();
        return;
    }
    for change in changes {
        let same = |item: &Value| match &key {
            Some(key) => item.get(key) == change.get(key),
            None => item == change,
        };
        if is_deletion(change) {
            list.retain(|item| !same(item));
        } else if let Some(item) = list.iter_mut().find(|item| same(item)) {
            strategic_at(item, change, path);
        } else {
            list.push(strip(change));
        }
    }
}

fn is_deletion(item: &Value) -> bool {
    item.get("$patch").and_then(Value::as_str) == Some("delete")
}

/// Sorts by the order that the patch names; what it does not name stays behind.
fn sort(list: &mut [Value], order: &[Value], kind: &ListKind) {
    let key = match kind {
        ListKind::Map(keys) => keys.first().cloned(),
        _ => None,
    };
    list.sort_by_key(|item| {
        let same = |wanted: &Value| match &key {
            Some(key) => item.get(key) == wanted.get(key),
            None => item == wanted,
        };
        order.iter().position(same).unwrap_or(usize::MAX)
    });
}

/// Without directives.
fn strip(value: &Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .filter(|(name, value)| !name.starts_with('$') && !value.is_null())
                .map(|(name, value)| (name.clone(), strip(value)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(strip).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn strategic_patches_merge_lists_by_their_keys() {
        let mut object = json!({"spec": {"taints": [{"key": "a"}], "containers": [
            {"name": "a", "image": "a:1", "env": [{"name": "X", "value": "1"}]}, {"name": "b", "image": "b:1"}]}});
        strategic(
            &mut object,
            &json!({"spec": {
                "$setElementOrder/containers": [{"name": "c"}, {"name": "a"}],
                "taints": [{"key": "b"}],
                "containers": [
                    {"name": "a", "image": "a:2", "env": [{"name": "Y", "value": "2"}]},
                    {"name": "b", "$patch": "delete"},
                    {"name": "c", "image": "c:1"},
                ],
            }}),
        );
        assert_eq!(
            object,
            json!({"spec": {"taints": [{"key": "b"}], "containers": [
                {"name": "c", "image": "c:1"},
                {"name": "a", "image": "a:2",
                    "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}]}]}})
        );
    }

    #[test]
    fn strategic_patches_remove_and_replace() {
        let mut object = json!({"a": 1, "b": {"x": 1, "y": 2}, "c": {"x": 1, "y": 2}, "metadata": {"finalizers": ["a", "b"]}});
        let patch = json!({"a": null, "b": {"$patch": "replace", "z": 3}, "c": {"$retainKeys": ["x"], "x": 2},
            "metadata": {"$deleteFromPrimitiveList/finalizers": ["a"], "finalizers": ["c"]}});
        strategic(&mut object, &patch);
        assert_eq!(object, json!({"b": {"z": 3}, "c": {"x": 2}, "metadata": {"finalizers": ["b", "c"]}}));
    }
}
