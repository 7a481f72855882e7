//! WireGuard peers as a node is told of them.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::record::Role;

/// A node at the other end of a tunnel.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Peer {
    /// Node name.
    pub node: String,
    /// Its role: only cloud nodes can be reached from the Internet.
    pub role: Role,
    /// Its public WireGuard key, 32 bytes in base64.
    pub key: String,
    /// Its address inside the VPN.
    pub address: Ipv4Addr,
    /// Where its tunnel is reached, `host:port`; absent where it cannot be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The same in the private network of the cloud nodes, which only they can use; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_endpoint: Option<String>,
}
