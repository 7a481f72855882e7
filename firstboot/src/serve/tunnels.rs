//! The node's tunnels in the kernel, one round after the other.

use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;

use super::admins::Admins;
use super::machine;
use crate::peers::Peer;
use crate::plan::VPN_INTERFACE;
use crate::record::NodeRecord;
use crate::resolve::{self, ResolveError};
use crate::secret_key::SecretKey;
use crate::wireguard::endpoints::Unresolved;
use crate::wireguard::upkeep::Upkeep;
use crate::wireguard::{Kernel, Link, MTU, Place, kernel};

/// For one name; systemd-resolved's own patience is longer.
const RESOLVING: Duration = Duration::from_secs(10);
/// Between two times that all names are asked for, while every tunnel works.
const RESOLVE_AGAIN: Duration = Duration::from_mins(1);

/// Tunnels of this node.
#[derive(Debug)]
pub(super) struct Tunnels {
    kernel: Kernel,
    place: Place,
    port: u16,
    upkeep: Upkeep,
    /// Beside them, on a control plane.
    admins: Option<Admins>,
    /// Whom the names were asked for, and when.
    resolved: Option<(Vec<Peer>, Instant)>,
    /// Names without an address.
    unresolved: Vec<String>,
}

impl Tunnels {
    pub(super) fn open(record: &NodeRecord) -> anyhow::Result<Self> {
        Ok(Self {
            kernel: Kernel::open()?,
            place: Place::of(record).context("reading the record's VPN range")?,
            port: record.vpn.port,
            upkeep: Upkeep::default(),
            admins: Admins::of(record)?,
            resolved: None,
            unresolved: Vec::new(),
        })
    }

    /// Makes the kernel's tunnels be these, and looks at them.
    pub(super) fn ensure(&mut self, key: &SecretKey, peers: &[Peer]) -> anyhow::Result<machine::Tunnels> {
        self.kernel.ensure_link(&Link {
            name: VPN_INTERFACE.to_owned(),
            kind: kernel::KIND.to_owned(),
            mtu: MTU,
            address: self.place.on_link(),
        })?;
        let device = self.kernel.device(VPN_INTERFACE)?;
        self.kernel.ensure_identity(VPN_INTERFACE, &device, key, self.port)?;
        let now = Instant::now();
        let topology = self.upkeep.look(&self.place, peers, &device, (now, SystemTime::now()));
        let mut begun_here = topology.tunnels.iter().filter(|tunnel| tunnel.endpoint.is_some());
        let is_lively = begun_here.all(|tunnel| self.upkeep.is_lively(tunnel, now));
        let is_new = self.resolved.as_ref().is_none_or(|(before, at)| {
            before != peers || !is_lively || now.saturating_duration_since(*at) >= RESOLVE_AGAIN
        });
        if is_new {
            let unresolved = self.upkeep.resolve(&topology, resolve, now);
            self.unresolved = unresolved.into_iter().map(describe).collect();
            self.resolved = Some((peers.to_vec(), now));
        }
        self.kernel.apply(VPN_INTERFACE, &self.upkeep.changes(&topology, &device, now))?;
        self.upkeep.done();
        if let Some(admins) = &self.admins {
            admins.ensure(&mut self.kernel, key)?;
        }
        // A new tunnel counts as lively before it has brought anything.
        let heard = |key| device.peers.iter().any(|peer| peer.key == key && peer.handshake.is_some());
        let lively =
            topology.tunnels.iter().filter(|tunnel| heard(tunnel.key) && self.upkeep.is_lively(tunnel, now));
        let left_out =
            topology.left_out.iter().map(|(node, fault)| format!("no tunnel with `{node}`: {fault}"));
        Ok(machine::Tunnels {
            lively: lively.map(|tunnel| tunnel.node.clone()).collect(),
            faults: left_out.chain(self.unresolved.iter().cloned()).collect(),
        })
    }
}

/// The addresses of a host.
pub(super) fn resolve(host: &str) -> Result<Vec<IpAddr>, ResolveError> {
    resolve::resolve(host, Path::new(resolve::SOCKET), RESOLVING)
}

fn describe(fault: Unresolved<ResolveError>) -> String {
    format!("`{}` has no address: {:#}", fault.node, anyhow::Error::from(fault.error))
}
