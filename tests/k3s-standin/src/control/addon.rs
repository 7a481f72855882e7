//! The kinds and roles that k3s brings with it.

use serde_json::{Value, json};

use crate::api::status::Status;
use crate::cluster::Cluster;

const DEFINITIONS: &str = "apiextensions.k8s.io/v1";
const RBAC: &str = "rbac.authorization.k8s.io/v1";

/// Makes what is missing of them.
pub fn ensure(cluster: &Cluster) -> Result<(), Status> {
    for (group, plural, kind) in [
        ("k3s.cattle.io", "addons", "Addon"),
        ("helm.cattle.io", "helmcharts", "HelmChart"),
        ("helm.cattle.io", "helmchartconfigs", "HelmChartConfig"),
    ] {
        cluster.ensure(DEFINITIONS, "CustomResourceDefinition", &definition(group, plural, kind))?;
    }
    let everything = json!([
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
        {"nonResourceURLs": ["*"], "verbs": ["*"]},
    ]);
    let nodes = json!([
        {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch", "update", "patch"]},
        {"apiGroups": [""], "resources": ["services", "endpoints", "namespaces", "pods", "configmaps"],
            "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["get", "list", "watch"]},
    ]);
    for (name, rules, subject) in [
        ("cluster-admin", everything, json!({"kind": "Group", "name": "system:masters"})),
        ("system:k3s-controller", nodes.clone(), json!({"kind": "User", "name": "system:k3s-controller"})),
        ("system:node-proxier", nodes, json!({"kind": "User", "name": "system:kube-proxy"})),
    ] {
        cluster.ensure(RBAC, "ClusterRole", &json!({"metadata": {"name": name}, "rules": rules}))?;
        let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name});
        let binding = json!({"metadata": {"name": name}, "roleRef": role, "subjects": [subject]});
        cluster.ensure(RBAC, "ClusterRoleBinding", &binding)?;
    }
    Ok(())
}

fn definition(group: &str, plural: &str, kind: &str) -> Value {
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    json!({
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {
            "group": group, "scope": "Namespaced", "names": {"kind": kind, "plural": plural},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema},
                "subresources": {"status": {}}}],
        },
    })
}

/// Makes or renews the `kubernetes` Service and its addresses.
pub fn ensure_service(
    cluster: &Cluster,
    address: &str,
    port: u16,
    service_address: &str,
) -> Result<(), Status> {
    let metadata = json!({"namespace": "default", "name": "kubernetes", "labels": {"component": "apiserver", "provider": "kubernetes"}});
    let ports = json!([{"name": "https", "port": 443, "protocol": "TCP", "targetPort": port}]);
    let service = json!({"metadata": metadata, "spec": {"type": "ClusterIP", "clusterIP": service_address, "ports": ports}});
    cluster.ensure("v1", "Service", &service)?;
    let slices = cluster.kind("discovery.k8s.io/v1", "EndpointSlice")?;
    let slice = json!({
        "metadata": {"namespace": "default", "name": "kubernetes", "labels": {"kubernetes.io/service-name": "kubernetes"}},
        "addressType": "IPv4", "endpoints": [{"addresses": [address], "conditions": {"ready": true}}],
        "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
    });
    cluster.ensure("discovery.k8s.io/v1", "EndpointSlice", &slice)?;
    let write = crate::cluster::Write::by(&slices, "default", "k3s-stand-in");
    cluster.update(&write, "kubernetes", slice).map(drop)
}
