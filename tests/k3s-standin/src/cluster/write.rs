//! Create, update, patch, apply.

use std::sync::Arc;

use rustix::rand::{GetRandomFlags, getrandom};
use serde_json::{Map, Value};

use super::{Cluster, Inner, admit, in_version, key, now};
use crate::api::managed::{self, Writer};
use crate::api::patch::{self, PatchKind};
use crate::api::resources::Resource;
use crate::api::schema::Schema;
use crate::api::status::Status;

/// What a write is about, and how it is done.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    /// Of which kind.
    pub resource: &'a Resource,
    /// In which namespace; empty where there are none.
    pub namespace: &'a str,
    /// Who; empty: nobody keeps account.
    pub manager: &'a str,
    /// By which subresource.
    pub subresource: Option<&'a str>,
    /// Whether it is only tried.
    pub is_dry: bool,
    /// Whether unknown fields are an error.
    pub is_strict: bool,
    /// Whether apply takes fields from others.
    pub is_forced: bool,
}

impl<'a> Write<'a> {
    /// A plain write.
    pub fn by(resource: &'a Resource, namespace: &'a str, manager: &'a str) -> Self {
        Self {
            resource,
            namespace,
            manager,
            subresource: None,
            is_dry: false,
            is_strict: false,
            is_forced: false,
        }
    }

    /// The same, of the status.
    #[must_use]
    pub fn status(self) -> Self {
        Self { subresource: Some("status"), ..self }
    }

    fn schema(&self) -> Option<&Schema> {
        self.resource.custom.as_ref().map(|custom| custom.schema.as_ref())
    }
}

impl Cluster {
    /// Creates an object.
    pub fn create(&self, write: &Write<'_>, mut object: Value) -> Result<Value, Status> {
        admit::identify(write, &mut object, None)?;
        self.change(|inner| {
            let name = admit::name(write.resource, &object)?;
            if inner.get(write.resource, write.namespace, &name).is_some() {
                return Err(Status::already_exists(&write.resource.qualified(), &name));
            }
            commit(inner, write, None, object, true)
        })
    }

    /// Replaces an object.
    pub fn update(&self, write: &Write<'_>, name: &str, mut object: Value) -> Result<Value, Status> {
        admit::identify(write, &mut object, Some(name))?;
        self.change(|inner| {
            let live = inner.find(write.resource, write.namespace, name)?;
            commit(inner, write, Some(live), object, true)
        })
    }

    /// Changes an object by what it is now.
    pub fn modify(
        &self,
        write: &Write<'_>,
        name: &str,
        modify: impl FnOnce(&mut Value),
    ) -> Result<Value, Status> {
        self.change(|inner| {
            let live = inner.find(write.resource, write.namespace, name)?;
            let mut object = in_version(write.resource, &live);
            modify(&mut object);
            commit(inner, write, Some(live), object, true)
        })
    }

    /// Patches an object; whether it is new. Only apply makes new ones.
    pub fn patch(
        &self,
        write: &Write<'_>,
        name: &str,
        kind: PatchKind,
        change: &Value,
    ) -> Result<(Value, bool), Status> {
        if kind == PatchKind::Strategic && !write.resource.is_builtin() {
            return Err(Status::unsupported_media_type("application/strategic-merge-patch+json"));
        }
        if kind == PatchKind::Apply {
            return self.apply(write, name, change.clone());
        }
        self.change(|inner| {
            let live = inner.find(write.resource, write.namespace, name)?;
            let mut object = in_version(write.resource, &live);
            match kind {
                PatchKind::Json => patch::json(&mut object, change)?,
                PatchKind::Strategic => patch::strategic(&mut object, change),
                PatchKind::Merge | PatchKind::Apply => patch::merge(&mut object, change),
            }
            admit::identify(write, &mut object, Some(name))?;
            Ok((commit(inner, write, Some(live), object, true)?, false))
        })
    }

    fn apply(&self, write: &Write<'_>, name: &str, mut config: Value) -> Result<(Value, bool), Status> {
        if write.manager.is_empty() {
            return Err(Status::bad_request("fieldManager is required for apply patch"));
        }
        if config.pointer("/metadata/managedFields").is_some_and(|fields| !fields.is_null()) {
            return Err(Status::bad_request("metadata.managedFields must be nil"));
        }
        admit::identify(write, &mut config, Some(name))?;
        admit::fold_strings(write.resource, &mut config);
        self.change(|inner| {
            let live = inner.get(write.resource, write.namespace, name);
            let is_new = live.is_none();
            if is_new && write.subresource.is_some() {
                return Err(Status::not_found(&write.resource.qualified(), name));
            }
            let shown = live.as_ref().map(|live| in_version(write.resource, live));
            let (api_version, now) = (write.resource.api_version(), now());
            let writer = Writer {
                manager: write.manager,
                api_version: &api_version,
                subresource: write.subresource,
                now: &now,
            };
            let schema = write.schema();
            if write.is_strict {
                // Before the merge, in which a typo would have an owner.
                admit::check_unknown(write, &mut config.clone())?;
            }
            let merged = managed::apply(shown.as_ref(), &config, schema, &writer, write.is_forced)?;
            Ok((commit(inner, write, live, merged, false)?, is_new))
        })
    }
}

/// What a write goes through last; `live` is what it replaces.
fn commit(
    inner: &mut Inner,
    write: &Write<'_>,
    live: Option<Arc<Value>>,
    mut object: Value,
    is_tracked: bool,
) -> Result<Value, Status> {
    let resource = write.resource;
    let name = admit::name(resource, &object)?;
    let live = live.map(|live| in_version(resource, &live));
    if let Some(live) = &live {
        keep_identity(resource, &name, live, &mut object)?;
    } else {
        check_namespace(inner, write)?;
        be_born(&mut object)?;
    }
    admit::keep_other_half(write, live.as_ref(), &mut object);
    admit::settle(inner, write, live.as_ref(), &mut object)?;
    count_generation(resource, live.as_ref(), &mut object);
    if is_tracked && !write.manager.is_empty() {
        let (api_version, now) = (resource.api_version(), now());
        let writer = Writer {
            manager: write.manager,
            api_version: &api_version,
            subresource: write.subresource,
            now: &now,
        };
        managed::track(live.as_ref(), &mut object, write.schema(), &writer);
    }
    if let Some(live) = live.filter(|live| *live == object) {
        return Ok(live);
    }
    if write.is_dry {
        return Ok(object);
    }
    let key = key(resource, write.namespace, &name);
    if is_over(&object) {
        inner.put(key, None)?;
        super::delete::collect_garbage(inner, &object)?;
        return Ok(object);
    }
    Ok(in_version(resource, inner.put(key, Some(object))?.as_ref()))
}

/// Whether the last finalizer of an object that is being deleted has gone.
fn is_over(object: &Value) -> bool {
    let has = |pointer: &str| object.pointer(pointer).is_some_and(|value| !value.is_null());
    let finalizers = object.pointer("/metadata/finalizers").and_then(Value::as_array);
    has("/metadata/deletionTimestamp") && finalizers.is_none_or(Vec::is_empty)
}

fn check_namespace(inner: &Inner, write: &Write<'_>) -> Result<(), Status> {
    if !write.resource.is_namespaced {
        return Ok(());
    }
    let namespaces = inner.registry.find("", "v1", "namespaces").ok_or_else(Status::no_path)?;
    let namespace = inner.find(namespaces, "", write.namespace)?;
    if namespace.pointer("/metadata/deletionTimestamp").is_some() {
        return Err(Status::forbidden(format!(
            "unable to create new content in namespace {} because it is being terminated",
            write.namespace
        )));
    }
    Ok(())
}

fn metadata(object: &mut Value) -> Option<&mut Map<String, Value>> {
    object.get_mut("metadata").and_then(Value::as_object_mut)
}

fn be_born(object: &mut Value) -> Result<(), Status> {
    let sent = object.pointer("/metadata/resourceVersion").and_then(Value::as_str).unwrap_or_default();
    if !sent.is_empty() {
        return Err(Status::bad_request("resourceVersion should not be set on objects to be created"));
    }
    let mut random = [0; 16];
    getrandom(&mut random, GetRandomFlags::empty()).map_err(Status::internal)?;
    let uid = uuid::Builder::from_random_bytes(random).into_uuid().to_string();
    if let Some(metadata) = metadata(object) {
        metadata.insert("uid".to_owned(), uid.into());
        metadata.insert("creationTimestamp".to_owned(), now().into());
        metadata.remove("deletionTimestamp");
        metadata.remove("resourceVersion");
    }
    Ok(())
}

/// What a client can't change, and what it must know of.
fn keep_identity(resource: &Resource, name: &str, live: &Value, object: &mut Value) -> Result<(), Status> {
    let Some(metadata) = metadata(object) else { return Ok(()) };
    for (field, what) in [
        (
            "resourceVersion",
            "the object has been modified; please apply your changes to the latest version and try again",
        ),
        ("uid", "Precondition failed: UID in precondition differs from UID in object meta"),
    ] {
        let sent = metadata.get(field).and_then(Value::as_str).unwrap_or_default();
        let is = live.pointer(&format!("/metadata/{field}")).and_then(Value::as_str).unwrap_or_default();
        if !sent.is_empty() && sent != is {
            return Err(Status::conflict(&resource.qualified(), name, what));
        }
    }
    for field in
        ["uid", "creationTimestamp", "resourceVersion", "deletionTimestamp", "generation", "namespace"]
    {
        match live.pointer(&format!("/metadata/{field}")) {
            Some(value) => drop(metadata.insert(field.to_owned(), value.clone())),
            None => drop(metadata.remove(field)),
        }
    }
    Ok(())
}

/// `metadata.generation` counts changes of what is wanted.
fn count_generation(resource: &Resource, live: Option<&Value>, object: &mut Value) {
    let has_spec = object.get("spec").is_some() || !resource.is_builtin();
    let wanted = |object: &Value| {
        let mut object = object.clone();
        if let Some(fields) = object.as_object_mut() {
            fields.remove("metadata");
            fields.remove("status");
        }
        object
    };
    let before =
        live.and_then(|live| live.pointer("/metadata/generation")).and_then(Value::as_u64).unwrap_or(0);
    let changed = live.is_none_or(|live| wanted(live) != wanted(object));
    if let Some(metadata) = metadata(object).filter(|_| has_spec && changed) {
        metadata.insert("generation".to_owned(), before.saturating_add(1).into());
    }
}
