//! WireGuard peers as a node is told of them.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::record::{NodeRecord, Role};
use crate::wireguard::{Endpoint, NoEndpoint};

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

/// Where a cloud node's tunnel is reached, as it says itself: who is led astray finds nobody with its key there.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerEndpoints {
    /// From everywhere, `host:port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public: Option<String>,
    /// In the private network of the cloud nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private: Option<String>,
}

impl PeerEndpoints {
    /// Those that a node's record names.
    pub fn of(record: &NodeRecord) -> Self {
        let vpn = &record.vpn;
        let at = |host: String| Endpoint { host, port: vpn.port }.to_string();
        Self {
            public: vpn.endpoint.clone().map(at),
            private: vpn.private_address.map(|address| at(address.to_string())),
        }
    }

    /// Those that a node with this role is believed: an edge is behind somebody's router, whatever it says.
    #[must_use]
    pub fn believed(self, role: Role) -> Self {
        if role == Role::Edge { Self::default() } else { self }
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.public.is_none() && self.private.is_none()
    }

    /// Fails where one is none.
    pub fn check(&self) -> Result<(), NoEndpoint> {
        self.public.iter().chain(&self.private).try_for_each(|text| text.parse::<Endpoint>().map(drop))
    }
}
