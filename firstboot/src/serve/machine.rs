//! What joining does to a machine besides writing files.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::k3s_node::Seen;
use crate::k3s::RunMode;
use crate::kubernetes::Reach;
use crate::peers::Peer;
use crate::secret_key::SecretKey;
use crate::ticket::Hardware;

/// What k3s is to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Start {
    /// Run, if it does not.
    IfNeeded,
    /// Read its settings and token anew: it reads them once.
    Again,
}

/// How the tunnels are.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Tunnels {
    /// Nodes at the other end that were heard of lately.
    pub(super) lively: Vec<String>,
    /// What is wrong with others, a line each.
    pub(super) faults: Vec<String>,
}

/// A machine, the live one or a test's, as long as no record says which node it is.
pub(super) trait Surroundings {
    /// What machine it is.
    fn hardware(&self) -> anyhow::Result<Hardware>;
    /// The addresses behind `host:port`.
    fn resolve(&mut self, address: &str) -> anyhow::Result<Vec<SocketAddr>>;
    /// Has the network's settings read anew.
    fn renew_network(&mut self) -> anyhow::Result<()>;
    /// Whether the clock was set by who knows the time.
    fn knows_time(&self) -> bool;
    /// Sets a clock that is far from `seconds` since 1970, unless it was set by who knows better.
    fn take_time(&mut self, seconds: u64) -> anyhow::Result<()>;
    /// A time to measure others from.
    fn now(&self) -> Instant;
    /// Lets time pass. An error ends the run, which only a test does.
    fn pause(&mut self, time: Duration) -> anyhow::Result<()>;
}

/// A machine that joins as a node.
pub(super) trait Machine: Surroundings {
    /// Makes the tunnels be these, by difference, with endpoints resolved anew, and says how they are.
    fn connect(&mut self, key: &SecretKey, peers: &[Peer]) -> anyhow::Result<Tunnels>;
    /// Starts k3s, and does not wait for it.
    fn start_k3s(&mut self, mode: RunMode, start: Start) -> anyhow::Result<()>;
    /// How the cluster sees the node that this machine is.
    fn look(&self) -> Seen;
    /// How the API of the control plane on this machine is reached, once k3s has made its certificates.
    fn api(&self) -> Reach;
}
