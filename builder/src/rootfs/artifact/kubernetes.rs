//! A Kubernetes manifest as the list of objects that firstboot applies: JSON, so that no node parses YAML, and each
//! object in the namespace it shall be in, which projects leave to whoever applies their manifest.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde_json::{Value, json};
use thiserror::Error;

/// Kinds that are in no namespace, of those that manifests of controllers hold (`kubectl api-resources
/// --namespaced=false`); custom ones are known by their definitions in the same manifest.
const CLUSTER_SCOPED: [&str; 14] = [
    "APIService",
    "ClusterRole",
    "ClusterRoleBinding",
    "CSIDriver",
    "CustomResourceDefinition",
    "IngressClass",
    "MutatingWebhookConfiguration",
    "Namespace",
    "PersistentVolume",
    "PriorityClass",
    "RuntimeClass",
    "StorageClass",
    "ValidatingAdmissionPolicy",
    "ValidatingWebhookConfiguration",
];
/// What others need before they can be made, in this order; everything else keeps its place behind.
const FIRST: [&str; 3] = ["Namespace", "CustomResourceDefinition", "ServiceAccount"];

/// Why a text is no manifest.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// Not text.
    #[error("byte {offset} is no UTF-8")]
    Text {
        /// Where.
        offset: usize,
    },
    /// Not YAML.
    #[error("it is no YAML")]
    Yaml(#[source] Box<serde_saphyr::Error>),
    /// A document is no object of Kubernetes.
    #[error("document {number} has no `{key}`, which every object has")]
    Key {
        /// Counted from 1.
        number: usize,
        /// The missing key.
        key: &'static str,
    },
    /// There is nothing in it.
    #[error("it holds no object")]
    Empty,
}

/// The objects of a manifest as JSON, with `namespace` itself first: `{"version": 1, "objects": [...]}`.
pub(super) fn convert(manifest: &[u8], namespace: &str) -> Result<Bytes, ManifestError> {
    let list = json!({ "version": 1, "objects": objects(manifest, namespace)? });
    Ok(format!("{list}\n").into())
}

fn objects(manifest: &[u8], namespace: &str) -> Result<Vec<Value>, ManifestError> {
    let text =
        std::str::from_utf8(manifest).map_err(|fault| ManifestError::Text { offset: fault.valid_up_to() })?;
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(text).map_err(|fault| ManifestError::Yaml(Box::new(fault)))?;
    let mut objects = Vec::new();
    // Documents of comments only hold nothing.
    for (index, document) in documents.into_iter().enumerate().filter(|(_, document)| !document.is_null()) {
        check(&document, index + 1)?;
        objects.push(document);
    }
    if objects.is_empty() {
        return Err(ManifestError::Empty);
    }
    let own: BTreeSet<String> = objects.iter().filter_map(cluster_scoped_by_definition).collect();
    for object in &mut objects {
        set_namespace(object, namespace, &own);
    }
    let names_namespace =
        |object: &Value| object["kind"] == "Namespace" && object["metadata"]["name"] == namespace;
    if !objects.iter().any(names_namespace) {
        objects
            .insert(0, json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } }));
    }
    objects
        .sort_by_key(|object| FIRST.iter().position(|kind| object["kind"] == *kind).unwrap_or(FIRST.len()));
    Ok(objects)
}

fn check(document: &Value, number: usize) -> Result<(), ManifestError> {
    let missing = |key| ManifestError::Key { number, key };
    for key in ["apiVersion", "kind"] {
        document.get(key).and_then(Value::as_str).ok_or_else(|| missing(key))?;
    }
    let name = document.get("metadata").and_then(|metadata| metadata.get("name"));
    name.and_then(Value::as_str).ok_or_else(|| missing("metadata.name"))?;
    Ok(())
}

/// The kind that a definition in the manifest makes, if it is in no namespace.
fn cluster_scoped_by_definition(object: &Value) -> Option<String> {
    let spec = object.get("spec").filter(|_| object["kind"] == "CustomResourceDefinition")?;
    (spec["scope"] == "Cluster").then(|| spec["names"]["kind"].as_str().map(str::to_owned))?
}

/// What names a namespace already keeps it.
fn set_namespace(object: &mut Value, namespace: &str, own: &BTreeSet<String>) {
    let kind = object["kind"].as_str().unwrap_or_default();
    if CLUSTER_SCOPED.contains(&kind) || own.contains(kind) {
        return;
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.entry("namespace").or_insert_with(|| namespace.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "\
# A project's own words
---
apiVersion: v1
kind: ConfigMap
metadata: { name: settings }
data:
  text: |
    on: no
  port: '8080'
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: server
  namespace: elsewhere
spec: { replicas: 1 }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: reader }
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: sites.example.org }
spec: { scope: Cluster, names: { kind: Site } }
---
apiVersion: example.org/v1
kind: Site
metadata: { name: harbour }
---
";

    fn brief(objects: &[Value]) -> Vec<String> {
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let one = |object: &Value| {
            let metadata = &object["metadata"];
            format!("{} {} {}", text(&object["kind"]), text(&metadata["namespace"]), text(&metadata["name"]))
        };
        objects.iter().map(one).collect()
    }

    #[test]
    fn every_object_is_in_its_namespace_and_definitions_come_first() {
        let objects = objects(MANIFEST.as_bytes(), "argocd").unwrap();
        assert_eq!(
            brief(&objects),
            [
                "Namespace - argocd",
                "CustomResourceDefinition - sites.example.org",
                "ConfigMap argocd settings",
                "Deployment elsewhere server",
                "ClusterRole - reader",
                "Site - harbour",
            ]
        );
        assert_eq!(objects[2]["data"], json!({ "text": "on: no\n", "port": "8080" }));
        assert_eq!(objects[3]["spec"]["replicas"], 1);
    }

    #[test]
    fn the_same_manifest_gives_the_same_bytes() {
        let converted = convert(MANIFEST.as_bytes(), "argocd").unwrap();
        assert_eq!(converted, convert(MANIFEST.as_bytes(), "argocd").unwrap());
        assert!(converted.starts_with(b"{\"objects\":[{\"apiVersion\":\"v1\",\"kind\":\"Namespace\""));
    }

    #[test]
    fn what_is_no_manifest_is_told_by_document() {
        for (text, expected) in [
            (&b""[..], "it holds no object"),
            (b"---\n# nothing\n", "it holds no object"),
            (b"kind: List\n", "document 1 has no `apiVersion`, which every object has"),
            (
                b"---\napiVersion: v1\nkind: Pod\nmetadata: {}\n",
                "document 1 has no `metadata.name`, which every object has",
            ),
            (b"- 1\n", "document 1 has no `apiVersion`, which every object has"),
            (b"a: [\n", "it is no YAML"),
            (b"a: \xff\n", "byte 3 is no UTF-8"),
        ] {
            assert_eq!(convert(text, "argocd").unwrap_err().to_string(), expected, "{text:?}");
        }
    }
}
