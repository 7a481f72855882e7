//! What keeps a node's tunnels as they should be, look by look. Pure: the kernel, names and times are given.
//!
//! One round of who has them all:
//!
//! 1. [`Upkeep::look`] at the peers and at the device: which tunnels there should be
//! 2. [`Upkeep::resolve`], now and then: where they are reached
//! 3. [`Upkeep::changes`], for the kernel to carry out
//! 4. [`Upkeep::done`], if it did

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Instant, SystemTime};

use ipnet::IpNet;

use super::difference::{Change, Wanted, difference};
use super::endpoints::{Endpoints, Unresolved};
use super::handshakes::Handshakes;
use super::kernel::Device;
use super::relay::{self, Candidate};
use super::topology::{Place, Topology, Tunnel};
use crate::peers::Peer;
use crate::record::Role;

/// What is remembered from one look to the next. Without it, as after a restart, the kernel's own tunnels go on.
#[derive(Clone, Debug, Default)]
pub struct Upkeep {
    handshakes: Handshakes,
    endpoints: Endpoints,
    relay: Option<Ipv4Addr>,
}

impl Upkeep {
    /// The tunnels that the node at `place` should have at `now`, which is `wall` by the clock.
    pub fn look(
        &mut self,
        place: &Place,
        peers: &[Peer],
        device: &Device,
        (now, wall): (Instant, SystemTime),
    ) -> Topology {
        self.handshakes.observe(device.peers.iter().map(|peer| (peer.key, peer.handshake)), now, wall);
        if place.role == Role::Edge {
            let present = self.relay.or_else(|| present(place, device));
            let candidates = peers.iter().filter(|peer| peer.role == Role::ControlPlane).filter_map(|peer| {
                let key = peer.key.parse().ok()?;
                Some(Candidate { address: peer.address, is_lively: self.handshakes.is_lively(&key, now) })
            });
            self.relay = relay::choose(candidates, present);
        }
        Topology::new(place, peers, self.relay)
    }

    /// The control plane that relays for this node, which is an edge.
    pub fn relay(&self) -> Option<Ipv4Addr> {
        self.relay
    }

    /// Whether the tunnel works, or is so new that it still may.
    pub fn is_lively(&self, tunnel: &Tunnel, now: Instant) -> bool {
        self.handshakes.is_lively(&tunnel.key, now)
    }

    /// Asks for all names anew; returns those without an answer, whose tunnels keep the address they had.
    pub fn resolve<Error>(
        &mut self,
        topology: &Topology,
        resolve: impl FnMut(&str) -> Result<Vec<IpAddr>, Error>,
        now: Instant,
    ) -> Vec<Unresolved<Error>> {
        let Self { handshakes, endpoints, .. } = self;
        endpoints.resolve(&topology.tunnels, resolve, |key| handshakes.is_lively(key, now))
    }

    /// What has to change in the kernel.
    pub fn changes(&self, topology: &Topology, device: &Device, now: Instant) -> Vec<Change> {
        let wanted = |tunnel: &Tunnel| self.endpoints.wanted(tunnel, self.is_lively(tunnel, now));
        let wanted: Vec<Wanted> = topology.tunnels.iter().map(wanted).collect();
        difference(&device.peers, &wanted)
    }

    /// Takes note that the kernel has carried out all of [`Self::changes`].
    pub fn done(&mut self) {
        self.endpoints.given();
    }
}

/// Who relayed before this program was started.
fn present(place: &Place, device: &Device) -> Option<Ipv4Addr> {
    let range = IpNet::V4(place.range);
    let relay = device.peers.iter().find(|peer| peer.allowed.contains(&range))?;
    relay.allowed.iter().find_map(|net| match net {
        IpNet::V4(net) if net.prefix_len() == 32 => Some(net.addr()),
        _ => None,
    })
}

#[cfg(test)]
mod tests;
