//! Kubernetes, and what ArgoCD is told to sync.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

/// Pods of a node at most, unless the record says otherwise.
const MOST_PODS: u16 = 300;

/// Kubernetes settings.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct K3s {
    /// Pinned version, e.g. `v1.36.4+k3s1`.
    pub version: String,
    /// VPN addresses of the control plane's nodes, lowest-numbered first.
    pub servers: Vec<Ipv4Addr>,
    /// Range of pod addresses.
    pub pod_range: String,
    /// Range of service addresses.
    pub service_range: String,
    /// Parts of k3s that are left out; read by control planes.
    #[serde(default = "without_traefik", skip_serializing_if = "is_without_traefik")]
    pub disable: Vec<String>,
    /// Pods of a node at most.
    #[serde(default = "most_pods", skip_serializing_if = "is_most_pods")]
    pub max_pods: u16,
    /// Further arguments of the API server, `name=value`; control planes only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub apiserver_args: Vec<String>,
    /// Further arguments of the controller manager; control planes only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub controller_manager_args: Vec<String>,
    /// Further arguments of the kubelet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kubelet_args: Vec<String>,
    /// Copies of the datastore; control planes only. If absent, as k3s does by itself: on the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshots: Option<Snapshots>,
}

/// Copies of the datastore in S3.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Snapshots {
    /// Hours between two.
    pub interval_hours: u32,
    /// How many are kept.
    pub keep: u32,
    /// Name of the Secret in `kube-system` that says where to and by which keys.
    pub secret: String,
}

/// The repository that ArgoCD syncs.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Gitops {
    /// Repository URL.
    pub repository: String,
    /// Branch or tag.
    pub revision: String,
    /// Folder inside the repository.
    pub path: String,
    /// Name of the Secret in `argocd` with the repository's deploy key; absent for a public one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deploy_key_secret: Option<String>,
    /// Lines of a `known_hosts` file for the repository's host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub known_hosts: Vec<String>,
}

impl K3s {
    /// Kubernetes without further settings, and without a server.
    pub fn new(version: &str, pod_range: &str, service_range: &str) -> Self {
        Self {
            version: version.to_owned(),
            servers: Vec::new(),
            pod_range: pod_range.to_owned(),
            service_range: service_range.to_owned(),
            disable: without_traefik(),
            max_pods: MOST_PODS,
            apiserver_args: Vec::new(),
            controller_manager_args: Vec::new(),
            kubelet_args: Vec::new(),
            snapshots: None,
        }
    }
}

fn without_traefik() -> Vec<String> {
    vec!["traefik".to_owned()]
}

fn is_without_traefik(disable: &[String]) -> bool {
    disable == ["traefik"]
}

const fn most_pods() -> u16 {
    MOST_PODS
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
const fn is_most_pods(most: &u16) -> bool {
    *most == MOST_PODS
}
