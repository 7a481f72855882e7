//! The objects of the cluster, with the rules of the API: what may be written, and what follows from it.

mod admit;
mod delete;
#[cfg(test)]
mod tests;
mod write;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::api::resources::{Registry, Resource};
use crate::api::selector::Selector;
use crate::api::status::Status;
use crate::store::log::LogError;
use crate::store::{Change, Key, Store};

pub use delete::Deletion;
pub use write::Write;

/// Namespaces that are there from the start.
const NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];
/// Where custom resources are defined.
const DEFINITIONS: (&str, &str) = ("apiextensions.k8s.io", "customresourcedefinitions");

/// All objects, for everybody who reads or writes them.
#[derive(Debug)]
pub struct Cluster {
    inner: Mutex<Inner>,
    revision: watch::Sender<u64>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    registry: Arc<Registry>,
}

impl Inner {
    fn get(&self, resource: &Resource, namespace: &str, name: &str) -> Option<Arc<Value>> {
        self.store.get(&key(resource, namespace, name))
    }

    fn find(&self, resource: &Resource, namespace: &str, name: &str) -> Result<Arc<Value>, Status> {
        self.get(resource, namespace, name).ok_or_else(|| Status::not_found(&resource.qualified(), name))
    }

    fn put(&mut self, key: Key, object: Option<Value>) -> Result<Arc<Value>, Status> {
        let is_definition = (key.group.as_str(), key.resource.as_str()) == DEFINITIONS;
        let put = self.store.put(key, object).map_err(Status::internal)?;
        if is_definition {
            self.registry = Arc::new(registry(&self.store));
        }
        Ok(put)
    }
}

fn registry(store: &Store) -> Registry {
    Registry::new(store.list(DEFINITIONS.0, DEFINITIONS.1, None).map(|(_, object)| object.as_ref()))
}

fn key(resource: &Resource, namespace: &str, name: &str) -> Key {
    Key {
        group: resource.group.clone(),
        resource: resource.plural.clone(),
        namespace: if resource.is_namespaced { namespace.to_owned() } else { String::new() },
        name: name.to_owned(),
    }
}

/// Now, in whole seconds.
pub fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

impl Cluster {
    /// Opens the cluster kept at `path`; a new one has its namespaces.
    pub fn open(path: &Path) -> Result<Self, LogError> {
        let store = Store::open(path)?;
        let revision = store.revision();
        let registry = Arc::new(registry(&store));
        let cluster =
            Self { inner: Mutex::new(Inner { store, registry }), revision: watch::Sender::new(revision) };
        for namespace in NAMESPACES {
            let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
            if let Err(status) = cluster.ensure("v1", "Namespace", &object) {
                tracing_line(&status);
            }
        }
        Ok(cluster)
    }

    /// The kinds of this moment.
    pub fn registry(&self) -> Arc<Registry> {
        self.lock().registry.clone()
    }

    /// One object.
    pub fn get(&self, resource: &Resource, namespace: &str, name: &str) -> Result<Value, Status> {
        let object = self.lock().find(resource, namespace, name)?;
        Ok(in_version(resource, &object))
    }

    /// The objects of a kind, and the revision they are of. No namespace means all.
    pub fn list(
        &self,
        resource: &Resource,
        namespace: Option<&str>,
        selector: &Selector,
    ) -> (Vec<Value>, u64) {
        let inner = self.lock();
        let objects = inner.store.list(&resource.group, &resource.plural, namespace);
        let shown = objects.filter(|(_, object)| selector.matches(object));
        (shown.map(|(_, object)| in_version(resource, object)).collect(), inner.store.revision())
    }

    /// Changes of a kind after `revision`, and the last revision they cover.
    pub fn changes(
        &self,
        resource: &Resource,
        namespace: Option<&str>,
        revision: u64,
    ) -> Result<(Vec<Change>, u64), Status> {
        let inner = self.lock();
        if revision < inner.store.forgotten() {
            return Err(Status::expired(revision, inner.store.forgotten()));
        }
        let of_kind = inner.store.changes(revision).filter(|change| {
            change.key.group == resource.group
                && change.key.resource == resource.plural
                && namespace.is_none_or(|namespace| change.key.namespace == namespace)
        });
        Ok((of_kind.cloned().collect(), inner.store.revision()))
    }

    /// Wakes when there are changes.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    /// A built-in kind, for the stand-in's own controllers.
    pub fn kind(&self, api_version: &str, kind: &str) -> Result<Arc<Resource>, Status> {
        self.registry().of_kind(api_version, kind).cloned().ok_or_else(Status::no_path)
    }

    /// Creates `object` if nothing is there by its name.
    pub fn ensure(&self, api_version: &str, kind: &str, object: &Value) -> Result<Value, Status> {
        let resource = self.kind(api_version, kind)?;
        let text = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
        if let Ok(there) = self.get(&resource, namespace, name) {
            return Ok(there);
        }
        self.create(&Write::by(&resource, namespace, "k3s-stand-in"), object.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `change` under the lock and tells watches.
    fn change<T>(&self, change: impl FnOnce(&mut Inner) -> Result<T, Status>) -> Result<T, Status> {
        let mut inner = self.lock();
        let result = change(&mut inner);
        self.revision.send_replace(inner.store.revision());
        result
    }
}

/// As seen in the version of `resource`: kinds are kept once, whatever the version.
pub fn in_version(resource: &Resource, object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.insert("apiVersion".to_owned(), resource.api_version().into());
        fields.insert("kind".to_owned(), resource.kind.clone().into());
    }
    object
}

fn tracing_line(status: &Status) {
    crate::output::error(&format!("namespaces: {status}"));
}
