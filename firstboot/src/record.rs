//! The node record: the typed JSON that a node is configured by.
//!
//! Ignition-style structs: a `version` field, camelCase keys, unknown keys refused.

mod parse;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use parse::{RecordError, parse};

/// The format this program reads and writes.
pub const VERSION: u32 = 1;

/// Everything a node is told about itself. Contains no secret.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodeRecord {
    /// Format; [`VERSION`].
    pub version: u32,
    /// The cluster the node belongs to.
    pub cluster: Cluster,
    /// The node itself.
    pub node: Node,
    /// Time zone by its tz database name, e.g. `Europe/Berlin`.
    pub time_zone: String,
    /// OpenSSH public key lines that may log in as root on a debug image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ssh_authorized_keys: Vec<String>,
    /// Network interfaces; an empty list means DHCP on every Ethernet interface.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interfaces: Vec<Interface>,
    /// The VPN that carries the cluster.
    pub vpn: Vpn,
    /// Kubernetes.
    pub k3s: K3s,
    /// What ArgoCD syncs; control plane only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gitops: Option<Gitops>,
}

/// Facts about the cluster.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cluster {
    /// Cluster name, a DNS label.
    pub name: String,
    /// DNS name or address under which the control plane is reached from the Internet.
    pub endpoint: String,
}

/// Facts about the node.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Node {
    /// Node and host name, a DNS label.
    pub name: String,
    /// What the node does.
    pub role: Role,
    /// Kubernetes labels, sorted by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// What a node does in the cluster.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Runs the Kubernetes control plane, in the cloud.
    ControlPlane,
    /// Runs workloads in the cloud.
    Worker,
    /// Runs workloads at a site and joins over the VPN.
    Edge,
}

/// One network interface.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Interface {
    /// Ethernet address the interface is found by, `aa:bb:cc:dd:ee:ff`.
    pub mac: String,
    /// Addresses with prefix length; empty means DHCP.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// Default gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// Name servers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<String>,
}

/// The VPN.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Vpn {
    /// Which one.
    pub kind: VpnKind,
    /// The node's address inside the VPN, which is also its Kubernetes address.
    pub address: std::net::Ipv4Addr,
    /// The VPN's range, `10.44.0.0/16`.
    pub range: String,
    /// UDP port of WireGuard and TCP port of the claim service.
    pub port: u16,
}

/// Kind of VPN.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VpnKind {
    /// Kernel WireGuard.
    Wireguard,
}

/// Kubernetes settings.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct K3s {
    /// Pinned version, e.g. `v1.36.4+k3s1`.
    pub version: String,
    /// VPN addresses of the control plane's nodes, lowest-numbered first.
    pub servers: Vec<std::net::Ipv4Addr>,
    /// Range of pod addresses.
    pub pod_range: String,
    /// Range of service addresses.
    pub service_range: String,
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
}

impl Role {
    /// The name people write: `control-plane`, `worker`, `edge`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ControlPlane => "control-plane",
            Self::Worker => "worker",
            Self::Edge => "edge",
        }
    }
}

#[cfg(test)]
pub(crate) fn example() -> NodeRecord {
    NodeRecord {
        version: VERSION,
        cluster: Cluster { name: "demo".into(), endpoint: "cp.example.org".into() },
        node: Node {
            name: "edge1".into(),
            role: Role::Edge,
            labels: BTreeMap::from([("site".into(), "workshop".into())]),
        },
        time_zone: "Europe/Berlin".into(),
        ssh_authorized_keys: vec!["ssh-ed25519 AAAA someone".into()],
        interfaces: vec![Interface {
            mac: "52:54:00:12:34:56".into(),
            addresses: vec!["192.0.2.7/24".into()],
            gateway: Some("192.0.2.1".into()),
            dns: vec!["192.0.2.53".into()],
        }],
        vpn: Vpn {
            kind: VpnKind::Wireguard,
            address: std::net::Ipv4Addr::new(10, 44, 1, 1),
            range: "10.44.0.0/16".into(),
            port: 51820,
        },
        k3s: K3s {
            version: "v1.36.4+k3s1".into(),
            servers: vec![std::net::Ipv4Addr::new(10, 44, 0, 1)],
            pod_range: "10.42.0.0/16".into(),
            service_range: "10.43.0.0/16".into(),
        },
        gitops: None,
    }
}
