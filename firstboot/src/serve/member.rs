//! A worker or an edge: it claims its place, and looks after it for ever.

use std::convert::Infallible;
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::back_off::{BackOff, LAST_CLAIM};
use super::grant::{self, Place};
use super::k3s_node::Seen;
use super::machine::{Machine, Start};
use super::reporter::{Reporter, say};
use super::{Facts, write_files};
use crate::apply::StepState;
use crate::claim::client::Claimant;
use crate::claim::message::{Cause, Grant, Reply, Right};
use crate::converge::System;
use crate::k3s::RunMode;
use crate::secret_key::SecretKey;
use crate::status::Phase;
use crate::wireguard::private_key;

/// Between two looks at a node that is on its way, or not Ready.
const LOOK: Duration = Duration::from_secs(2);
/// Between two looks at a node that is Ready.
const LOOK_AT_READY: Duration = Duration::from_secs(15);
/// How long the cluster may not know a node before its membership is shown: a claim brings k3s a new token, and the
/// cluster a moment to see the node.
const PATIENCE: Duration = Duration::from_secs(90);
/// Between two claims that were refused: a person has to do something first.
const REFUSED_WAIT: Duration = Duration::from_mins(5);
/// Between two looks for a person's word.
const APPROVAL_WAIT: Duration = Duration::from_secs(10);

/// What a node that was not taken in does.
enum Verdict {
    Granted(Box<Grant>),
    /// This right is worth nothing, for this reason.
    Worthless(Cause, String),
}

/// Runs until the machine is switched off.
pub(super) fn run(facts: &Facts, system: &System, machine: &mut impl Machine) -> anyhow::Result<Infallible> {
    let tunnel_key = private_key::ensure(system)?.context("a dry run joins nothing")?;
    let mut member = Member {
        facts,
        system,
        reporter: Reporter::new(system),
        claimant: Claimant {
            key: facts.key.clone(),
            wireguard: private_key::public(&tunnel_key).to_string(),
            hardware: machine.hardware()?,
            first: None,
        },
        tunnel_key,
        reclaims: BackOff::new(PATIENCE, Duration::from_mins(10)),
    };
    let mut place = member.place(machine)?;
    let mut start = Start::IfNeeded;
    loop {
        member.settle(&place, start, machine)?;
        let reason = member.look_after(&place, machine)?;
        say(&format!("{reason}: showing the membership"));
        let right = Right::Membership(place.signed.clone());
        match member.claim(&right, machine)? {
            Verdict::Granted(grant) => {
                place = member.keep(&grant)?;
                start = Start::Again;
            }
            Verdict::Worthless(cause, reason) => {
                member.refused(cause, &reason)?;
                // A fresh ticket on the medium is another way in.
                if let Some(other) = member.by_ticket(machine)? {
                    (place, start) = (other, Start::Again);
                } else {
                    machine.pause(REFUSED_WAIT)?;
                    start = Start::IfNeeded;
                }
            }
        }
    }
}

struct Member<'a> {
    facts: &'a Facts,
    system: &'a System,
    reporter: Reporter<'a>,
    tunnel_key: SecretKey,
    claimant: Claimant,
    reclaims: BackOff,
}

impl Member<'_> {
    /// The place that was kept, or that is claimed for as long as it takes.
    fn place(&mut self, machine: &mut impl Machine) -> anyhow::Result<Place> {
        let kept = grant::load(self.system, &self.facts.cluster, &self.facts.key)?;
        if let Some(place) = kept.filter(|place| self.is_own(place)) {
            self.reporter.step("claim", StepState::Unchanged)?;
            return Ok(place);
        }
        let right = self.facts.ticket.clone().map_or(Right::Approval, Right::Ticket);
        loop {
            match self.claim(&right, machine)? {
                Verdict::Granted(grant) => return self.keep(&grant),
                Verdict::Worthless(cause, reason) => {
                    self.refused(cause, &reason)?;
                    machine.pause(REFUSED_WAIT)?;
                }
            }
        }
    }

    fn by_ticket(&mut self, machine: &mut impl Machine) -> anyhow::Result<Option<Place>> {
        let Some(ticket) = self.facts.ticket.clone() else { return Ok(None) };
        match self.claim(&Right::Ticket(ticket), machine)? {
            Verdict::Granted(grant) => self.keep(&grant).map(Some),
            Verdict::Worthless(cause, reason) => self.refused(cause, &reason).map(|()| None),
        }
    }

    /// What was written for another node's name stays with the node that it was written for.
    fn is_own(&self, place: &Place) -> bool {
        place.membership.node == self.facts.record.node.name
            && place.membership.address == self.facts.record.vpn.address
    }

    fn keep(&mut self, grant: &Grant) -> anyhow::Result<Place> {
        let place = grant::keep(grant, self.system, &self.facts.cluster, &self.facts.key)?;
        if !self.is_own(&place) {
            let (named, own) = (&place.membership.node, &self.facts.record.node.name);
            bail!(
                "the membership is that of `{named}` at {}, the record is of `{own}`",
                place.membership.address
            );
        }
        self.claimant.first = None;
        self.reporter.step("claim", StepState::Changed)?;
        Ok(place)
    }

    /// Asks every claim address in turn until one has an answer that counts.
    fn claim(&mut self, right: &Right, machine: &mut impl Machine) -> anyhow::Result<Verdict> {
        let mut waits = BackOff::of_claims();
        loop {
            let (reply, fault) = self.ask_all(right, machine);
            let wait = match reply {
                Some(Reply::Granted(grant)) => return Ok(Verdict::Granted(grant)),
                // The clock of neither side is at fault: the next challenge is a new one.
                Some(Reply::Refused { cause: Cause::Challenge, reason }) => {
                    self.claimant.first = None;
                    self.reporter.phase(Phase::Claiming, &reason, None)?;
                    waits.next()
                }
                Some(Reply::Refused { cause, reason }) => return Ok(Verdict::Worthless(cause, reason)),
                Some(Reply::Waiting { code }) => {
                    let hint = format!("if the same code is shown there: `imgbuild node approve {code}`");
                    let reason = format!("code {code} waits for a person's word");
                    self.reporter.phase(Phase::WaitingForApproval, &reason, Some(&hint))?;
                    APPROVAL_WAIT
                }
                Some(Reply::Later { seconds }) => {
                    let reason = "the cluster answers, and is not ready yet";
                    self.reporter.phase(Phase::Claiming, reason, None)?;
                    // What comes over the network is no reason to sleep for a year.
                    Duration::from_secs(seconds.into()).min(LAST_CLAIM)
                }
                None => {
                    let hint = "does the uplink work, and does the name lead to a control plane?";
                    let reason = format!("asking the cluster: {fault}");
                    self.reporter.phase(Phase::Claiming, &reason, Some(hint))?;
                    waits.next()
                }
            };
            machine.pause(wait)?;
        }
    }

    /// The first answer, or why there is none.
    fn ask_all(&mut self, right: &Right, machine: &mut impl Machine) -> (Option<Reply>, String) {
        let mut faults = Vec::new();
        for name in &self.facts.cluster.claim_addresses {
            let addresses = match machine.resolve(name) {
                Ok(addresses) => addresses,
                Err(error) => {
                    faults.push(format!("`{name}`: {error:#}"));
                    continue;
                }
            };
            for address in addresses {
                match self.claimant.ask(right, address, &self.facts.cluster.membership_key) {
                    Ok(reply) => return (Some(reply), String::new()),
                    Err(error) => faults.push(format!("{:#}", anyhow::Error::from(error))),
                }
            }
        }
        (
            None,
            if faults.is_empty() {
                "the cluster record has no claim address".to_owned()
            } else {
                faults.join("; ")
            },
        )
    }

    fn refused(&mut self, cause: Cause, reason: &str) -> anyhow::Result<()> {
        let node = &self.facts.record.node.name;
        let hint = match cause {
            Cause::Used
            | Cause::Expired
            | Cause::Epoch
            | Cause::Superseded
            | Cause::Foreign
            | Cause::Forged => {
                format!(
                    "`imgbuild ticket {node}` makes another ticket; put it on the medium and switch on again"
                )
            }
            Cause::Hardware => "the ticket is for another machine: put it into that one".to_owned(),
            Cause::Revoked | Cause::Rejected => "a person has decided so".to_owned(),
            Cause::Stolen | Cause::Challenge | Cause::Malformed => {
                "write the medium anew: what is on this one is damaged, or of another machine".to_owned()
            }
        };
        self.reporter.phase(Phase::Stopped, &format!("the cluster says no: {reason}"), Some(&hint))
    }

    /// Tunnels first, then k3s, which must find its address there.
    fn settle(&mut self, place: &Place, start: Start, machine: &mut impl Machine) -> anyhow::Result<()> {
        machine.connect(&self.tunnel_key, &place.peers)?;
        write_files(self.facts, "vpn", self.system)?;
        self.reporter.step("vpn", StepState::Changed)?;
        write_files(self.facts, "k3s", self.system)?;
        machine.start_k3s(RunMode::Agent, start).context("starting k3s")?;
        self.reporter.step("k3s", StepState::Changed)
    }

    /// Returns when the membership has to be shown, and why.
    fn look_after(&mut self, place: &Place, machine: &mut impl Machine) -> anyhow::Result<String> {
        let patience = self.reclaims.next();
        let mut troubled = Duration::ZERO;
        loop {
            let tunnels = machine.connect(&self.tunnel_key, &place.peers)?;
            let seen = machine.look(&place.membership.node);
            let trouble = match (&seen, tunnels.lively.is_empty()) {
                (Seen::Ready, _) => {
                    self.reclaims.reset();
                    self.reporter.ready()?;
                    None
                }
                (Seen::NotReady(reason), _) => {
                    self.reporter.phase(Phase::StartingK3s, &format!("not Ready: {reason}"), None)?;
                    None
                }
                (Seen::Unknown(reason), _) => {
                    self.reporter.phase(Phase::StartingK3s, reason, None)?;
                    Some(reason.clone())
                }
                (Seen::Nothing(_), true) => {
                    let faults = tunnels.faults.join("; ");
                    let reason = format!("no node at the other end of a tunnel was heard of; {faults}");
                    let reason = reason.trim_end_matches("; ");
                    let hint = format!("UDP to port {} must get through", self.facts.record.vpn.port);
                    self.reporter.phase(Phase::Connecting, reason, Some(&hint))?;
                    Some(reason.to_owned())
                }
                (Seen::Nothing(reason), false) => {
                    self.reporter.phase(Phase::StartingK3s, reason, None)?;
                    // The tunnel works, and k3s gets nowhere: its token may be older than the cluster knows.
                    Some(reason.clone())
                }
            };
            match trouble {
                None => troubled = Duration::ZERO,
                Some(reason) if troubled >= patience => return Ok(reason),
                Some(_) => troubled += LOOK,
            }
            machine.pause(if seen == Seen::Ready { LOOK_AT_READY } else { LOOK })?;
        }
    }
}
