//! The node record: the typed JSON that a node is configured by.
//!
//! Ignition-style structs: a `version` field, camelCase keys, unknown keys refused. What a record may leave out has a
//! default that is said at the field, so that records of older programs stay good.

mod check;
mod k3s;
mod node;
mod parse;
mod signed;
mod vpn;

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

pub(crate) use self::check::{is_dns_label, is_mac};
pub(crate) use self::parse::escaped;
pub use k3s::{Gitops, K3s, Snapshots};
pub use node::{Hardware, Longhorn, LonghornDisk, Node, Role, Swap, SwapBehavior};
pub use parse::{RecordError, parse};
pub use signed::{open, sign};
pub use vpn::{Admin, Admins, Vpn, VpnKind};

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
    /// Memberships that are good no longer; control plane only, which outlives the loss of its datastore that way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revocations: Vec<Revocation>,
    /// Addresses that may give the node its bundle; control plane only, and any may try if absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operator_addresses: Vec<IpAddr>,
}

/// Facts about the cluster.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cluster {
    /// Cluster name, a DNS label.
    pub name: String,
    /// DNS name or address under which the control plane is reached from the Internet.
    pub endpoint: String,
    /// What is open to the Internet. A record that does not say it is for a closed node.
    #[serde(default)]
    pub posture: Posture,
}

/// What cloud nodes have open to the Internet.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Posture {
    /// Also SSH and the Kubernetes API, for as long as the VPN of admins is not proven.
    BringUp,
    /// Claims, WireGuard and what the cluster serves.
    #[default]
    Production,
}

/// Memberships of a node that are good no longer.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Revocation {
    /// Name of the node.
    pub node: String,
    /// The first generation of its membership that is good.
    pub minimum_generation: u32,
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

impl NodeRecord {
    /// The name of the Kubernetes API on every node.
    pub fn api_name(&self) -> String {
        api_name(&self.cluster.name)
    }
}

/// The name of a cluster's Kubernetes API on its nodes: `/etc/hosts` has it, with the VPN addresses of all control planes.
pub fn api_name(cluster: &str) -> String {
    format!("api.{cluster}.internal")
}

#[cfg(test)]
pub(crate) fn example() -> NodeRecord {
    NodeRecord {
        version: VERSION,
        cluster: Cluster {
            name: "demo".into(),
            endpoint: "cp.example.org".into(),
            posture: Posture::Production,
        },
        node: Node {
            labels: std::collections::BTreeMap::from([("site".into(), "workshop".into())]),
            ..Node::new("edge1", Role::Edge)
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
            endpoint: None,
            private_address: None,
            private_range: None,
            admins: None,
        },
        k3s: K3s {
            servers: vec![std::net::Ipv4Addr::new(10, 44, 0, 1)],
            ..K3s::new("v1.36.4+k3s1", "10.42.0.0/16", "10.43.0.0/16")
        },
        gitops: None,
        revocations: Vec::new(),
        operator_addresses: Vec::new(),
    }
}
