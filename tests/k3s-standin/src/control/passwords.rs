//! Password Secrets belong to their Node, and go with it (k3s, `pkg/nodepassword/controller.go`).

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::api::selector::Selector;
use crate::cluster::{Cluster, Deletion, Write};

const NAMESPACE: &str = "kube-system";
const TYPE: &str = "type=k3s.cattle.io/node-password";
/// How old a Secret without a Node may become.
const ORPHANS: Duration = Duration::from_mins(10);

/// Gives Secrets their owner, and removes what has none.
pub fn pass(cluster: &Cluster) {
    let (Ok(secrets), Ok(nodes)) = (cluster.kind("v1", "Secret"), cluster.kind("v1", "Node")) else { return };
    let selector = Selector::parse("", TYPE).unwrap_or_default();
    for secret in cluster.list(&secrets, Some(NAMESPACE), &selector).0 {
        let text = |pointer: &str| secret.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let name = text("/metadata/name");
        let Some(node) = name.strip_suffix(".node-password.k3s") else { continue };
        match cluster.get(&nodes, "", node) {
            Ok(node) if secret.pointer("/metadata/ownerReferences").is_none() => {
                let owner = json!([{
                    "apiVersion": "v1", "kind": "Node", "name": node.pointer("/metadata/name"),
                    "uid": node.pointer("/metadata/uid"),
                }]);
                let write = Write::by(&secrets, NAMESPACE, "k3s-stand-in");
                drop(cluster.modify(&write, name, |secret| {
                    if let Some(metadata) = secret.get_mut("metadata").and_then(Value::as_object_mut) {
                        metadata.insert("ownerReferences".to_owned(), owner);
                    }
                }));
            }
            Ok(_) => {}
            Err(_) => {
                let born = humantime::parse_rfc3339_weak(text("/metadata/creationTimestamp")).ok();
                let age = born.and_then(|born| SystemTime::now().duration_since(born).ok());
                if age.is_some_and(|age| age > ORPHANS) {
                    drop(cluster.delete(&secrets, NAMESPACE, name, &Deletion::default()));
                }
            }
        }
    }
}
