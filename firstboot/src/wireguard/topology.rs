//! Who has a tunnel with whom, and what is sent through it. Pure.
//!
//! Cloud nodes have a tunnel with every node, edges with every cloud node. A tunnel carries its other end's address and
//! nothing else, so that nobody can speak for another node; but for the one relay of an edge, through which it reaches
//! the other edges.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use thiserror::Error;

use super::endpoint::{Endpoint, NoEndpoint};
use super::key::{NoWireguardKey, WireguardKey};
use crate::peers::Peer;
use crate::record::{NodeRecord, Role};

/// Between two packets of an edge without anything to say: routers forget a UDP flow after 30 seconds.
pub const KEEPALIVE: u16 = 25;

/// The node itself, as far as its tunnels depend on it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    /// Node name.
    pub node: String,
    /// What it does.
    pub role: Role,
    /// Its address inside the VPN.
    pub address: Ipv4Addr,
    /// The VPN's range.
    pub range: Ipv4Net,
    /// Whether it is in the private network of the cloud nodes.
    pub is_private: bool,
}

impl Place {
    /// Of the node that a record names.
    pub fn of(record: &NodeRecord) -> Result<Self, ipnet::AddrParseError> {
        Ok(Self {
            node: record.node.name.clone(),
            role: record.node.role,
            address: record.vpn.address,
            range: record.vpn.range.parse::<Ipv4Net>()?.trunc(),
            is_private: record.vpn.private_address.is_some(),
        })
    }

    /// The node's address with the length of the range's prefix: the whole range is on the link.
    pub fn on_link(&self) -> Ipv4Net {
        Ipv4Net::new(self.address, self.range.prefix_len()).unwrap_or_else(|_| self.address.into())
    }
}

/// One tunnel as it should be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tunnel {
    /// Name of the node at its other end.
    pub node: String,
    /// That node's key.
    pub key: WireguardKey,
    /// That node's address inside the VPN.
    pub address: Ipv4Addr,
    /// The addresses that are reached through it, and that packets out of it may come from.
    pub allowed: BTreeSet<Ipv4Net>,
    /// Where its other end is reached; none where that has to begin.
    pub endpoint: Option<Endpoint>,
    /// Seconds between two packets without anything to say; none where nothing is in between that forgets.
    pub keepalive: Option<u16>,
}

/// Why a peer gets no tunnel.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum PeerFault {
    /// Its key is none.
    #[error(transparent)]
    Key(#[from] NoWireguardKey),
    /// Its endpoint is none.
    #[error(transparent)]
    Endpoint(#[from] NoEndpoint),
    /// Its address lies elsewhere.
    #[error("its address {address} is not in the VPN's range {range}")]
    Outside {
        /// Its address.
        address: Ipv4Addr,
        /// The VPN's range.
        range: Ipv4Net,
    },
    /// Another peer was there before.
    #[error("its {what} is that of `{other}`")]
    Twice {
        /// `address` or `key`.
        what: &'static str,
        /// Name of the other node.
        other: String,
    },
}

/// All tunnels of a node.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Topology {
    /// By role, then by address.
    pub tunnels: Vec<Tunnel>,
    /// Peers without a tunnel, by name: one that is wrong does not cost the others theirs.
    pub left_out: Vec<(String, PeerFault)>,
}

impl Topology {
    /// The tunnels of the node at `place`, which is told of `peers`. `relay` is the VPN address of the control plane
    /// that relays between edges; it matters to edges only.
    pub fn new(place: &Place, peers: &[Peer], relay: Option<Ipv4Addr>) -> Self {
        let is_edge = place.role == Role::Edge;
        let others = peers.iter().filter(|peer| peer.node != place.node);
        let mut others: Vec<&Peer> = others.filter(|peer| !is_edge || peer.role != Role::Edge).collect();
        // Of two that claim the same, the operator's own nodes come first.
        others.sort_by_key(|peer| (rank(peer.role), peer.address, &peer.node));
        let mut topology = Self::default();
        let mut owners = Owners::of(place);
        for peer in others {
            match tunnel(place, peer, relay).and_then(|tunnel| owners.admit(tunnel)) {
                Ok(tunnel) => topology.tunnels.push(tunnel),
                Err(fault) => topology.left_out.push((peer.node.clone(), fault)),
            }
        }
        topology
    }

    /// VPN addresses of the control planes among `peers`, by number: who can relay.
    pub fn relays(peers: &[Peer]) -> BTreeSet<Ipv4Addr> {
        peers.iter().filter(|peer| peer.role == Role::ControlPlane).map(|peer| peer.address).collect()
    }
}

fn rank(role: Role) -> u8 {
    match role {
        Role::ControlPlane => 0,
        Role::Worker => 1,
        Role::Edge => 2,
    }
}

fn tunnel(place: &Place, peer: &Peer, relay: Option<Ipv4Addr>) -> Result<Tunnel, PeerFault> {
    let Peer { address, .. } = *peer;
    if !place.range.contains(&address) {
        return Err(PeerFault::Outside { address, range: place.range });
    }
    let is_edge = place.role == Role::Edge;
    let mut allowed = BTreeSet::from([Ipv4Net::from(address)]);
    if is_edge && peer.role == Role::ControlPlane && relay == Some(address) {
        allowed.insert(place.range);
    }
    let endpoint = match peer.role {
        // Behind somebody's router: it begins, and WireGuard remembers from where.
        Role::Edge => None,
        Role::ControlPlane | Role::Worker => {
            let private = peer.private_endpoint.as_ref().filter(|_| place.is_private && !is_edge);
            private.or(peer.endpoint.as_ref())
        }
    };
    Ok(Tunnel {
        node: peer.node.clone(),
        key: peer.key.parse()?,
        address,
        allowed,
        endpoint: endpoint.map(|text| text.parse()).transpose()?,
        keepalive: is_edge.then_some(KEEPALIVE),
    })
}

/// Who has which address and key. WireGuard itself would silently give both to who comes last.
struct Owners {
    addresses: BTreeMap<Ipv4Addr, String>,
    keys: BTreeMap<WireguardKey, String>,
}

impl Owners {
    fn of(place: &Place) -> Self {
        Self { addresses: BTreeMap::from([(place.address, place.node.clone())]), keys: BTreeMap::new() }
    }

    fn admit(&mut self, tunnel: Tunnel) -> Result<Tunnel, PeerFault> {
        let twice = |what, other: &String| PeerFault::Twice { what, other: other.clone() };
        if let Some(other) = self.addresses.get(&tunnel.address) {
            return Err(twice("address", other));
        }
        if let Some(other) = self.keys.get(&tunnel.key) {
            return Err(twice("key", other));
        }
        self.addresses.insert(tunnel.address, tunnel.node.clone());
        self.keys.insert(tunnel.key, tunnel.node.clone());
        Ok(tunnel)
    }
}

#[cfg(test)]
pub(crate) mod tests;
