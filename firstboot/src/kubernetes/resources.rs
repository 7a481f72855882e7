//! From objects to the paths that they are served at, by what the API says of itself (discovery).

use std::collections::BTreeMap;

use serde_json::Value;
use thiserror::Error;

use super::{Api, ApiError};

/// Makes and changes objects of any kind.
#[derive(Debug)]
pub struct Resources {
    api: Api,
    /// By `apiVersion`, then by kind.
    known: BTreeMap<String, BTreeMap<String, Resource>>,
}

/// Where objects of a kind are.
#[derive(Clone, Debug)]
struct Resource {
    plural: String,
    is_namespaced: bool,
}

/// Why an object was not made.
#[derive(Debug, Error)]
pub enum ResourceError {
    /// The API said no, or does not answer.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The API knows no such objects, or not yet.
    #[error("the API does not serve {kind} of {version}")]
    Kind {
        /// Kind.
        kind: String,
        /// `apiVersion`.
        version: String,
    },
    /// Not an object of Kubernetes.
    #[error("an object without `{key}`")]
    Key {
        /// What is missing.
        key: &'static str,
    },
}

impl Resources {
    /// Objects of `api`.
    pub const fn new(api: Api) -> Self {
        Self { api, known: BTreeMap::new() }
    }

    /// The API.
    pub const fn api(&self) -> &Api {
        &self.api
    }

    /// Applies an object, server-side.
    pub fn apply(&mut self, object: &Value) -> Result<(), ResourceError> {
        let (collection, name) = self.place(object)?;
        self.api.apply(&format!("{collection}/{name}"), object)?;
        Ok(())
    }

    /// Applies objects in their order.
    pub fn apply_all<'a>(
        &mut self,
        objects: impl IntoIterator<Item = &'a Value>,
    ) -> Result<(), ResourceError> {
        objects.into_iter().try_for_each(|object| self.apply(object))
    }

    /// Makes an object; one of its name that is there stays as it is.
    pub fn ensure(&mut self, object: &Value) -> Result<(), ResourceError> {
        let (collection, _) = self.place(object)?;
        self.api.create(&collection, object)?;
        Ok(())
    }

    /// Path of the collection, and the object's name.
    fn place(&mut self, object: &Value) -> Result<(String, String), ResourceError> {
        let text = |value: &Value, key| value.as_str().map(str::to_owned).ok_or(ResourceError::Key { key });
        let version = text(&object["apiVersion"], "apiVersion")?;
        let kind = text(&object["kind"], "kind")?;
        let name = text(&object["metadata"]["name"], "metadata.name")?;
        let root = root(&version);
        let resource = self.resource(&version, &kind)?;
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default");
        let collection = if resource.is_namespaced {
            format!("{root}/namespaces/{namespace}/{}", resource.plural)
        } else {
            format!("{root}/{}", resource.plural)
        };
        Ok((collection, name))
    }

    fn resource(&mut self, version: &str, kind: &str) -> Result<Resource, ResourceError> {
        let known = |all: &BTreeMap<String, BTreeMap<_, Resource>>| all.get(version)?.get(kind).cloned();
        if let Some(resource) = known(&self.known) {
            return Ok(resource);
        }
        // Asked again for a kind that is not there: it may have been defined just now.
        if let Some(list) = self.api.get(&root(version))? {
            self.known.insert(version.to_owned(), kinds(&list));
        }
        let unknown = || ResourceError::Kind { kind: kind.to_owned(), version: version.to_owned() };
        known(&self.known).ok_or_else(unknown)
    }
}

/// `v1` is where the oldest kinds are.
fn root(version: &str) -> String {
    if version.contains('/') { format!("/apis/{version}") } else { format!("/api/{version}") }
}

/// The kinds of an `APIResourceList`.
fn kinds(list: &Value) -> BTreeMap<String, Resource> {
    let resource = |entry: &Value| {
        let plural = entry["name"].as_str()?.to_owned();
        // `pods/log` and its like are no objects.
        let is_object = !plural.contains('/');
        let is_namespaced = entry["namespaced"].as_bool()?;
        is_object.then_some((entry["kind"].as_str()?.to_owned(), Resource { plural, is_namespaced }))
    };
    list["resources"].as_array().into_iter().flatten().filter_map(resource).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn kinds_are_where_the_api_says() {
        let list = json!({ "resources": [
            { "name": "networkpolicies", "kind": "NetworkPolicy", "namespaced": true },
            { "name": "ingressclasses", "kind": "IngressClass", "namespaced": false },
            { "name": "networkpolicies/status", "kind": "NetworkPolicy", "namespaced": true },
        ] });
        let found: Vec<String> = kinds(&list)
            .into_iter()
            .map(|(kind, resource)| format!("{kind} {} {}", resource.plural, resource.is_namespaced))
            .collect();
        assert_eq!(found, ["IngressClass ingressclasses false", "NetworkPolicy networkpolicies true"]);
        assert_eq!([root("v1"), root("apps/v1")], ["/api/v1", "/apis/apps/v1"]);
    }
}
