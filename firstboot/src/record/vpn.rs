//! The VPN: the node's place in it, the networks beside it, and who else may come in.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

/// The VPN.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Vpn {
    /// Which one.
    pub kind: VpnKind,
    /// The node's address inside the VPN, which is also its Kubernetes address.
    pub address: Ipv4Addr,
    /// The VPN's range, `10.44.0.0/16`.
    pub range: String,
    /// UDP port of WireGuard and TCP port of the claim service.
    pub port: u16,
    /// DNS name or address under which this node is reached from the Internet; cloud nodes only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The node's address in the private network of the cloud nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_address: Option<Ipv4Addr>,
    /// The private network of the cloud nodes, `10.0.0.0/16`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_range: Option<String>,
    /// The VPN of the admins; absent where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admins: Option<Admins>,
}

/// Kind of VPN.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VpnKind {
    /// Kernel WireGuard.
    Wireguard,
    /// tailscale with headscale on a control plane; in no image yet.
    Headscale,
}

/// The VPN of the admins, which ends at the control planes: one peer for each.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Admins {
    /// Its range, `10.45.0.0/24`.
    pub range: String,
    /// UDP port.
    pub port: u16,
    /// The node's address in it; control planes only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Ipv4Addr>,
    /// The admins; control planes only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<Admin>,
}

/// An admin.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Admin {
    /// Name, a DNS label.
    pub name: String,
    /// WireGuard public key, base64.
    pub public_key: String,
    /// Address in the range of the admins.
    pub address: Ipv4Addr,
}

impl Vpn {
    /// All ranges that are reached through WireGuard alone.
    pub fn ranges(&self) -> impl Iterator<Item = &str> {
        [self.range.as_str()].into_iter().chain(self.admins.as_ref().map(|admins| admins.range.as_str()))
    }
}
