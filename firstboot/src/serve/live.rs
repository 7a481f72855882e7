//! The machine that this program runs on.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;

use super::k3s_node::{self, Seen};
use super::machine::{Machine, Start, Surroundings, Tunnels};
use super::reporter::say;
use super::tunnels::{self, resolve};
use super::{Facts, hardware};
use crate::clock;
use crate::converge::System;
use crate::k3s::RunMode;
use crate::kubernetes::{Api, ApiError, Reach};
use crate::peers::Peer;
use crate::record::NodeRecord;
use crate::secret_key::SecretKey;
use crate::systemd;
use crate::ticket::Hardware;
use crate::wireguard::Endpoint;

/// The live machine, as whatever it is.
trait Here {
    /// Its files.
    fn system(&self) -> &System;
}

/// The live machine, which no record names.
#[derive(Debug)]
pub(super) struct Bare(pub(super) System);

impl Here for Bare {
    fn system(&self) -> &System {
        &self.0
    }
}

impl<T: Here> Surroundings for T {
    fn hardware(&self) -> anyhow::Result<Hardware> {
        hardware::find(self.system()).context("looking at the machine's network devices")
    }

    fn resolve(&mut self, address: &str) -> anyhow::Result<Vec<SocketAddr>> {
        let endpoint: Endpoint = address.parse()?;
        let addresses = resolve(&endpoint.host)?;
        Ok(addresses.into_iter().map(|ip| SocketAddr::new(ip, endpoint.port)).collect())
    }

    fn renew_network(&mut self) -> anyhow::Result<()> {
        systemd::reload_networks()
    }

    fn knows_time(&self) -> bool {
        clock::is_synchronized(self.system())
    }

    fn take_time(&mut self, seconds: u64) -> anyhow::Result<()> {
        if self.knows_time() {
            return Ok(());
        }
        if let Some(fault) = clock::fault(SystemTime::now(), seconds) {
            clock::set(seconds).context("setting the clock")?;
            say(&format!("the clock was {fault} the cluster's, and is the same now"));
        }
        Ok(())
    }

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn pause(&mut self, time: Duration) -> anyhow::Result<()> {
        std::thread::sleep(time);
        Ok(())
    }
}

/// The live machine as the node that its record names.
#[derive(Debug)]
pub(super) struct Live {
    system: System,
    record: NodeRecord,
    /// Opened when they are first needed: a kernel without WireGuard is told then.
    tunnels: Option<tunnels::Tunnels>,
}

impl Live {
    pub(super) fn new(system: System, facts: &Facts) -> Self {
        Self { system, record: facts.record.clone(), tunnels: None }
    }
}

impl Here for Live {
    fn system(&self) -> &System {
        &self.system
    }
}

impl Machine for Live {
    fn connect(&mut self, key: &SecretKey, peers: &[Peer]) -> anyhow::Result<Tunnels> {
        let tunnels = match &mut self.tunnels {
            Some(tunnels) => tunnels,
            none => none.insert(tunnels::Tunnels::open(&self.record)?),
        };
        tunnels.ensure(key, peers)
    }

    fn start_k3s(&mut self, mode: RunMode, start: Start) -> anyhow::Result<()> {
        systemd::start(mode.unit_name(), start == Start::Again)
    }

    fn look(&self) -> Seen {
        // By the lowest-numbered one; the others know the same.
        let Some(server) = self.record.k3s.servers.first() else {
            return Seen::Nothing("the record names no control plane".to_owned());
        };
        match Api::of_kubelet(&self.system, *server) {
            Ok(api) => k3s_node::look(&api, &self.record),
            Err(ApiError::NoCertificate { .. }) => {
                Seen::Nothing("k3s has no certificate for this node yet".to_owned())
            }
            Err(error) => Seen::Nothing(error.to_string()),
        }
    }

    fn api(&self) -> Reach {
        let system = self.system.clone();
        Box::new(move || Api::of_control_plane(&system))
    }
}
