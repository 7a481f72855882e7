//! Removing objects, and what goes with them: contents of namespaces, instances of definitions, dependents.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Cluster, DEFINITIONS, Inner, in_version, key, now};
use crate::api::resources::Resource;
use crate::api::selector::Selector;
use crate::api::status::Status;
use crate::store::Key;

/// `DeleteOptions`, as far as they matter.
#[derive(Clone, Debug, Default)]
pub struct Deletion {
    /// Only the object with this UID.
    pub uid: Option<String>,
    /// Only in this state.
    pub resource_version: Option<String>,
    /// Whether it is only tried.
    pub is_dry: bool,
}

impl Deletion {
    /// From the body of a request, which may be empty.
    pub fn parse(options: &Value, is_dry: bool) -> Self {
        let text = |pointer: &str| options.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let is_dry =
            is_dry || options.get("dryRun").and_then(Value::as_array).is_some_and(|list| !list.is_empty());
        Self {
            uid: text("/preconditions/uid"),
            resource_version: text("/preconditions/resourceVersion"),
            is_dry,
        }
    }
}

impl Cluster {
    /// Deletes an object: at once, or, where it has finalizers, by asking them to finish. What the client is
    /// told, and whether the object is gone.
    pub fn delete(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
        options: &Deletion,
    ) -> Result<(Value, bool), Status> {
        self.change(|inner| {
            let live = inner.find(resource, namespace, name)?;
            let text = |pointer: &str| live.pointer(pointer).and_then(Value::as_str);
            for (wanted, is) in [
                (&options.uid, text("/metadata/uid")),
                (&options.resource_version, text("/metadata/resourceVersion")),
            ] {
                if let Some(wanted) = wanted.as_deref().filter(|wanted| Some(*wanted) != is) {
                    let why =
                        format!("Precondition failed: it is `{}`, not `{wanted}`", is.unwrap_or_default());
                    return Err(Status::conflict(&resource.qualified(), name, &why));
                }
            }
            if options.is_dry {
                return Ok((in_version(resource, &live), false));
            }
            let key = key(resource, namespace, name);
            let left = remove(inner, &key, &live)?;
            Ok(match left {
                Some(left) => (in_version(resource, &left), false),
                None => (done(resource, name, &live), true),
            })
        })
    }

    /// Deletes what a selector shows; what was there.
    pub fn delete_all(
        &self,
        resource: &Resource,
        namespace: Option<&str>,
        selector: &Selector,
        options: &Deletion,
    ) -> Result<Vec<Value>, Status> {
        let (objects, _) = self.list(resource, namespace, selector);
        for object in &objects {
            let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            match self.delete(resource, text("/metadata/namespace"), text("/metadata/name"), options) {
                Err(status) if status.code != 404 => return Err(status),
                _ => {}
            }
        }
        Ok(objects)
    }
}

fn done(resource: &Resource, name: &str, live: &Value) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "details": {
            "name": name, "group": resource.group, "kind": resource.plural,
            "uid": live.pointer("/metadata/uid"),
        },
    })
}

/// Removes an object; what is left of it while finalizers hold it.
fn remove(inner: &mut Inner, key: &Key, live: &Arc<Value>) -> Result<Option<Arc<Value>>, Status> {
    let finalizers = live.pointer("/metadata/finalizers").and_then(Value::as_array);
    let is_held = finalizers.is_some_and(|finalizers| !finalizers.is_empty());
    let has_contents = (key.group.is_empty() && key.resource == "namespaces")
        || (key.group.as_str(), key.resource.as_str()) == DEFINITIONS;
    if is_held || has_contents {
        let mut going = live.as_ref().clone();
        if let Some(metadata) = going.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.entry("deletionTimestamp").or_insert_with(|| now().into());
            metadata.entry("deletionGracePeriodSeconds").or_insert_with(|| 0.into());
        }
        if key.resource == "namespaces"
            && let Some(status) = going.get_mut("status").and_then(Value::as_object_mut)
        {
            status.insert("phase".to_owned(), "Terminating".into());
        }
        if going != **live {
            let going = inner.put(key.clone(), Some(going))?;
            if is_held {
                return Ok(Some(going));
            }
        } else if is_held {
            return Ok(Some(live.clone()));
        }
    }
    if has_contents {
        empty(inner, key, live)?;
    }
    inner.put(key.clone(), None)?;
    collect_garbage(inner, live)?;
    Ok(None)
}

/// Removes what lies in a namespace, or what a definition defined. A finalizer in there is not waited for: none of
/// its controllers run here.
fn empty(inner: &mut Inner, key: &Key, object: &Value) -> Result<(), Status> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (group, plural) = (text("/spec/group"), text("/spec/names/plural"));
    let is_inside = |inside: &Key| match key.resource.as_str() {
        "namespaces" => inside.namespace == key.name,
        _ => inside.group == group && inside.resource == plural,
    };
    let inside: Vec<Key> =
        inner.store.all().map(|(key, _)| key).filter(|key| is_inside(key)).cloned().collect();
    for key in inside {
        inner.put(key, None)?;
    }
    Ok(())
}

/// Removes what names the removed object as its only owner.
pub(super) fn collect_garbage(inner: &mut Inner, removed: &Value) -> Result<(), Status> {
    let Some(uid) = removed.pointer("/metadata/uid").and_then(Value::as_str) else { return Ok(()) };
    let owners = |object: &Value| {
        object.pointer("/metadata/ownerReferences").and_then(Value::as_array).cloned().unwrap_or_default()
    };
    let is_dependent = |object: &Value| {
        let owners = owners(object);
        !owners.is_empty() && owners.iter().all(|owner| owner.get("uid").and_then(Value::as_str) == Some(uid))
    };
    let dependents: Vec<(Key, Arc<Value>)> = inner
        .store
        .all()
        .filter(|(_, object)| is_dependent(object))
        .map(|(key, object)| (key.clone(), object.clone()))
        .collect();
    for (key, object) in dependents {
        // One of them may have gone with another.
        if inner.store.get(&key).is_some() {
            remove(inner, &key, &object)?;
        }
    }
    Ok(())
}
