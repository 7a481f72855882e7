use serde_json::json;

use super::*;
use crate::api::patch::PatchKind;

fn cluster() -> (tempfile::TempDir, Cluster) {
    let folder = tempfile::tempdir().unwrap();
    let cluster = Cluster::open(&folder.path().join("log")).unwrap();
    (folder, cluster)
}

fn secret(name: &str) -> Value {
    json!({"metadata": {"name": name}, "stringData": {"a": "b"}, "immutable": true})
}

#[test]
fn a_name_is_given_once() {
    let (_folder, cluster) = cluster();
    let resource = cluster.kind("v1", "Secret").unwrap();
    let write = Write::by(&resource, "kube-system", "test");
    let made = cluster.create(&write, secret("x")).unwrap();
    assert_eq!(made["data"], json!({"a": "Yg=="}));
    let error = cluster.create(&write, secret("x")).unwrap_err();
    assert_eq!((error.code, error.reason), (409, "AlreadyExists"));
    let error = cluster.create(&Write::by(&resource, "nowhere", "test"), secret("x")).unwrap_err();
    assert_eq!(error.message, "namespaces \"nowhere\" not found");
    let mut changed = made.clone();
    changed["data"]["a"] = "Yw==".into();
    let error = cluster.update(&write, "x", changed).unwrap_err();
    assert_eq!(
        error.message,
        "Secret \"x\" is invalid: data: Forbidden: field is immutable when `immutable` is set"
    );
}

#[test]
fn an_old_resource_version_is_a_conflict() {
    let (_folder, cluster) = cluster();
    let resource = cluster.kind("v1", "ConfigMap").unwrap();
    let write = Write::by(&resource, "default", "test");
    let first = cluster.create(&write, json!({"metadata": {"name": "x"}, "data": {"a": "1"}})).unwrap();
    let patch = json!({"data": {"b": "2"}});
    let (second, _) = cluster.patch(&write, "x", PatchKind::Merge, &patch).unwrap();
    assert_ne!(first["metadata"]["resourceVersion"], second["metadata"]["resourceVersion"]);
    let (same, _) = cluster.patch(&write, "x", PatchKind::Merge, &patch).unwrap();
    assert_eq!(second, same, "nothing changed");
    let error = cluster.update(&write, "x", first).unwrap_err();
    assert_eq!((error.code, error.reason), (409, "Conflict"));
}

#[test]
fn definitions_make_kinds_and_take_them_with_them() {
    let (_folder, cluster) = cluster();
    let definitions = cluster.kind("apiextensions.k8s.io/v1", "CustomResourceDefinition").unwrap();
    let schema = json!({"type": "object", "properties": {
        "spec": {"type": "object", "properties": {"node": {"type": "string"}}}, "status": {"type": "object", "properties": {"phase": {"type": "string"}}}}});
    let definition = json!({"metadata": {"name": "edgenodes.imgbuild.io"}, "spec": {
        "group": "imgbuild.io", "scope": "Cluster", "names": {"kind": "EdgeNode", "plural": "edgenodes"},
        "versions": [{"name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
            "schema": {"openAPIV3Schema": schema}}]}});
    let made = cluster.create(&Write::by(&definitions, "", "test"), definition).unwrap();
    assert_eq!(made["status"]["conditions"][1]["type"], "Established");

    let resource = cluster.kind("imgbuild.io/v1", "EdgeNode").unwrap();
    let write = Write::by(&resource, "", "test");
    let object =
        json!({"metadata": {"name": "e"}, "spec": {"node": "e", "typo": 1}, "status": {"phase": "x"}});
    let made = cluster.create(&write, object.clone()).unwrap();
    assert_eq!((&made["spec"], made.get("status")), (&json!({"node": "e"}), None));
    let error = cluster.create(&Write { is_strict: true, ..write }, object).unwrap_err();
    assert_eq!(error.code, 409, "the name comes first");
    let strict = Write { is_strict: true, ..write };
    let typo = json!({"metadata": {"name": "f"}, "spec": {"nod": "e"}});
    let error = cluster.create(&strict, typo).unwrap_err();
    assert_eq!(error.message, "strict decoding error: unknown field \"spec.nod\"");
    let status = json!({"spec": {"node": "other"}, "status": {"phase": "Ready"}});
    let (made, _) = cluster.patch(&write.status(), "e", PatchKind::Merge, &status).unwrap();
    assert_eq!((&made["spec"]["node"], &made["status"]["phase"]), (&json!("e"), &json!("Ready")));
    assert_eq!(made["metadata"]["generation"], 1);

    cluster.delete(&definitions, "", "edgenodes.imgbuild.io", &Deletion::default()).unwrap();
    assert_eq!(cluster.kind("imgbuild.io/v1", "EdgeNode").unwrap_err().code, 404);
    assert_eq!(cluster.get(&resource, "", "e").unwrap_err().code, 404);
}

#[test]
fn finalizers_hold_and_owners_take_with_them() {
    let (_folder, cluster) = cluster();
    let nodes = cluster.kind("v1", "Node").unwrap();
    let secrets = cluster.kind("v1", "Secret").unwrap();
    let write = Write::by(&nodes, "", "test");
    let node = cluster.create(&write, json!({"metadata": {"name": "n", "finalizers": ["x/y"]}})).unwrap();
    let owner = json!({"apiVersion": "v1", "kind": "Node", "name": "n", "uid": node["metadata"]["uid"]});
    let mut dependent = secret("n.node-password.k3s");
    dependent["metadata"]["ownerReferences"] = json!([owner]);
    cluster.create(&Write::by(&secrets, "kube-system", "test"), dependent).unwrap();
    let (left, is_gone) = cluster.delete(&nodes, "", "n", &Deletion::default()).unwrap();
    assert!(!is_gone && left["metadata"]["deletionTimestamp"].is_string());
    cluster.get(&secrets, "kube-system", "n.node-password.k3s").unwrap();
    cluster.patch(&write, "n", PatchKind::Merge, &json!({"metadata": {"finalizers": null}})).unwrap();
    assert_eq!(cluster.get(&nodes, "", "n").unwrap_err().code, 404);
    assert_eq!(cluster.get(&secrets, "kube-system", "n.node-password.k3s").unwrap_err().code, 404);
}

#[test]
fn namespaces_take_their_contents_with_them() {
    let (_folder, cluster) = cluster();
    let namespaces = cluster.kind("v1", "Namespace").unwrap();
    let secrets = cluster.kind("v1", "Secret").unwrap();
    cluster.create(&Write::by(&namespaces, "", "test"), json!({"metadata": {"name": "a"}})).unwrap();
    cluster.create(&Write::by(&secrets, "a", "test"), secret("x")).unwrap();
    let (_, is_gone) = cluster.delete(&namespaces, "", "a", &Deletion::default()).unwrap();
    assert!(is_gone);
    assert_eq!(cluster.get(&secrets, "a", "x").unwrap_err().code, 404);
    let (left, _) = cluster.list(&namespaces, None, &Selector::default());
    assert_eq!(left.len(), NAMESPACES.len());
}

#[test]
fn apply_twice_is_one_change_and_secrets_keep_one_form() {
    let (_folder, cluster) = cluster();
    let secrets = cluster.kind("v1", "Secret").unwrap();
    let write = Write::by(&secrets, "default", "kubectl");
    let config = json!({"metadata": {"name": "x"}, "stringData": {"a": "b"}});
    let (first, is_new) = cluster.patch(&write, "x", PatchKind::Apply, &config).unwrap();
    assert!(is_new && first["data"]["a"] == "Yg==");
    let (second, is_new) = cluster.patch(&write, "x", PatchKind::Apply, &config).unwrap();
    assert!(!is_new);
    assert_eq!(first, second);
    let other = json!({"metadata": {"name": "x"}, "stringData": {"a": "c"}});
    let error =
        cluster.patch(&Write { manager: "other", ..write }, "x", PatchKind::Apply, &other).unwrap_err();
    assert_eq!(error.message, "Apply failed with 1 conflict: conflict with \"kubectl\" using v1: .data.a");
}
