//! Asking the cluster for a place, for as long as it takes.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::bail;
use ed25519_dalek::SigningKey;

use super::back_off::{BackOff, LAST_CLAIM};
use super::machine::Surroundings;
use super::reporter::{Reporter, say};
use crate::claim::challenge::Challenge;
use crate::claim::client::{ClaimError, Claimant};
use crate::claim::message::{Cause, Grant, Reply, ReportReply, Right};
use crate::claim::report::NodeReport;
use crate::cluster::ClusterRecord;
use crate::converge::System;
use crate::peers::{Peer, PeerEndpoints};
use crate::public_key::PublicKey;
use crate::secret_key::SecretKey;
use crate::status::Phase;
use crate::wireguard::private_key;

/// Between two claims that were refused: a person has to do something first.
pub(super) const REFUSED_WAIT: Duration = Duration::from_mins(5);
/// Between two looks for a person's word.
const APPROVAL_WAIT: Duration = Duration::from_secs(10);
/// How long a node that has its place waits for somebody to tell the time, and between two tries.
const TIME_WAIT: Duration = Duration::from_secs(30);
const TIME_AGAIN: Duration = Duration::from_secs(2);
/// The challenge that the approval code is made by, on the state partition: a box that was switched off while it waited
/// shows the code that the person has seen.
const FIRST_CHALLENGE: &str = "/var/lib/imgbuild/first-challenge";

/// What the cluster said in the end.
pub(super) enum Outcome {
    /// The node may join.
    Granted(Box<Grant>),
    /// This right is worth nothing, for this reason.
    Worthless(Cause, String),
}

/// Who asks.
pub(super) struct Claiming<'a> {
    cluster: &'a ClusterRecord,
    system: &'a System,
    claimant: Claimant,
    has_name: bool,
}

impl<'a> Claiming<'a> {
    /// `has_name` says whether the box knows which node it is; if not, the person says so.
    pub(super) fn new(
        cluster: &'a ClusterRecord,
        (key, tunnel_key): (&SigningKey, &SecretKey),
        has_name: bool,
        system: &'a System,
        machine: &impl Surroundings,
    ) -> anyhow::Result<Self> {
        let claimant = Claimant {
            key: key.clone(),
            wireguard: private_key::public(tunnel_key).to_string(),
            hardware: machine.hardware()?,
            endpoints: PeerEndpoints::default(),
            first: first_challenge(system)?,
            last: None,
        };
        Ok(Self { cluster, system, claimant, has_name })
    }

    /// The same of a node whose tunnel is reached there.
    pub(super) fn reached_at(mut self, endpoints: PeerEndpoints) -> Self {
        self.claimant.endpoints = endpoints;
        self
    }

    /// Asks every claim address in turn until one has an answer that counts.
    pub(super) fn claim(
        &mut self,
        right: &Right,
        reporter: &mut Reporter<'_>,
        machine: &mut impl Surroundings,
    ) -> anyhow::Result<Outcome> {
        let mut waits = BackOff::of_claims();
        loop {
            let reply = self.ask_all(machine, |claimant, address, key| claimant.ask(right, address, key));
            let wait = match reply {
                Ok(Reply::Granted(grant)) => return Ok(Outcome::Granted(grant)),
                // The clock of neither side is at fault: the next challenge is a new one.
                Ok(Reply::Refused { cause: Cause::Challenge, reason }) => {
                    self.begin_anew()?;
                    reporter.phase(Phase::Claiming, &reason, None)?;
                    waits.next()
                }
                Ok(Reply::Refused { cause, reason }) => return Ok(Outcome::Worthless(cause, reason)),
                Ok(Reply::Waiting { code }) => {
                    self.keep_first_challenge()?;
                    let naming = if self.has_name { "" } else { " --as NAME" };
                    reporter.waiting(&code, naming)?;
                    APPROVAL_WAIT
                }
                Ok(Reply::Later { seconds }) => {
                    let reason = "the cluster answers, and is not ready yet";
                    reporter.phase(Phase::Claiming, reason, None)?;
                    // What comes over the network is no reason to sleep for a year.
                    Duration::from_secs(seconds.into()).min(LAST_CLAIM)
                }
                Err(fault) => {
                    let hint = "does the uplink work, and does the name lead to a control plane?";
                    reporter.phase(Phase::Claiming, &format!("asking the cluster: {fault}"), Some(hint))?;
                    waits.next()
                }
            };
            machine.pause(wait)?;
        }
    }

    /// The next claim has a new approval code: this one was granted, or nobody knows its challenge any more.
    pub(super) fn begin_anew(&mut self) -> anyhow::Result<()> {
        self.claimant.first = None;
        self.system.ensure_absent(FIRST_CHALLENGE)?;
        Ok(())
    }

    fn keep_first_challenge(&self) -> anyhow::Result<()> {
        if let Some(first) = &self.claimant.first {
            self.system.ensure_file(FIRST_CHALLENGE, first.to_string().as_bytes(), 0o600)?;
        }
        Ok(())
    }

    /// Tells the cluster how the node is, and is told whom it has tunnels with.
    pub(super) fn report(
        &mut self,
        report: &NodeReport,
        machine: &mut impl Surroundings,
    ) -> anyhow::Result<Vec<Peer>> {
        match self.ask_all(machine, |claimant, address, key| claimant.report(report, address, key)) {
            Ok(ReportReply::Taken { peers }) => Ok(peers),
            Ok(ReportReply::Later { .. }) => bail!("the cluster answers, and is not ready yet"),
            Ok(ReportReply::Refused { reason, .. }) => bail!("the cluster says no: {reason}"),
            Err(fault) => bail!(fault),
        }
    }

    /// Asks for the time, for a while, where nobody knows it: tunnels and k3s go by the clock. A tunnel that was begun in
    /// the future is dead until then, once the clock is right.
    pub(super) fn wait_for_time(&mut self, machine: &mut impl Surroundings) -> anyhow::Result<()> {
        let begun = machine.now();
        while !machine.knows_time() && machine.now().saturating_duration_since(begun) < TIME_WAIT {
            let asked = self.ask_all(machine, Claimant::look);
            if asked.is_ok() {
                break;
            }
            machine.pause(TIME_AGAIN)?;
        }
        Ok(())
    }

    /// A clock that is wrong by years makes certificates worthless, and there need be no NTP to say so.
    fn take_time(&mut self, machine: &mut impl Surroundings) {
        let Some(challenge) = self.claimant.last.take() else { return };
        // Who has lost the time as well is nobody to learn it from.
        if challenge.made() >= self.cluster.created
            && let Err(fault) = machine.take_time(challenge.made())
        {
            say(&format!("the clock is not the cluster's: {fault:#}"));
        }
    }

    /// The first answer, or why there is none.
    fn ask_all<T>(
        &mut self,
        machine: &mut impl Surroundings,
        ask: impl Fn(&mut Claimant, SocketAddr, &PublicKey) -> Result<T, ClaimError>,
    ) -> Result<T, String> {
        let mut faults = Vec::new();
        for name in &self.cluster.claim_addresses {
            let addresses = match machine.resolve(name) {
                Ok(addresses) => addresses,
                Err(error) => {
                    faults.push(format!("`{name}`: {error:#}"));
                    continue;
                }
            };
            for address in addresses {
                match ask(&mut self.claimant, address, &self.cluster.membership_key) {
                    Ok(reply) => {
                        self.take_time(machine);
                        return Ok(reply);
                    }
                    Err(error) => faults.push(format!("{:#}", anyhow::Error::from(error))),
                }
            }
        }
        Err(if faults.is_empty() {
            "the cluster record has no claim address".to_owned()
        } else {
            faults.join("; ")
        })
    }
}

/// What is none is as good as one that was forgotten.
fn first_challenge(system: &System) -> anyhow::Result<Option<Challenge>> {
    let text = system.read(FIRST_CHALLENGE)?;
    Ok(text.and_then(|text| String::from_utf8_lossy(&text).trim().parse().ok()))
}

/// Tells a person that the cluster said no, and what they can do; `node` is what this box is called, if it knows.
pub(super) fn refused(
    (cause, reason): (Cause, &str),
    node: Option<&str>,
    reporter: &mut Reporter<'_>,
) -> anyhow::Result<()> {
    let hint = match (cause, node) {
        (Cause::Revoked | Cause::Rejected, _) => "a person has decided so".to_owned(),
        (Cause::Forgotten, _) => {
            "it may ask for its place anew: with a ticket that is good, or by an approval".to_owned()
        }
        (Cause::Hardware, _) => "the ticket is for another machine: put it into that one".to_owned(),
        (
            Cause::Used | Cause::Expired | Cause::Epoch | Cause::Superseded | Cause::Foreign | Cause::Forged,
            Some(node),
        ) => {
            format!("`imgbuild ticket {node}` makes another ticket; put it on the medium and switch on again")
        }
        (Cause::Misnamed, Some(node)) => {
            format!("approve its next code with `--as {node}`, or write a medium of the other node for it")
        }
        _ => "write the medium anew: what is on this one is damaged, or of another machine".to_owned(),
    };
    reporter.phase(Phase::Stopped, &format!("the cluster says no: {reason}"), Some(&hint))
}
