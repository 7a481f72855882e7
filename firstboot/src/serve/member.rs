//! A worker or an edge: it claims its place, and looks after it for ever.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};

use super::back_off::BackOff;
use super::claiming::{Claiming, Outcome, REFUSED_WAIT, refused};
use super::grant::{self, Place};
use super::k3s_node::Seen;
use super::machine::{Machine, Start};
use super::release::{self, Released};
use super::reporter::{Reporter, say};
use super::{Facts, write_files};
use crate::apply::StepState;
use crate::claim::message::{Cause, Grant, Right};
use crate::claim::report::NodeReport;
use crate::converge::System;
use crate::k3s::RunMode;
use crate::membership::Membership;
use crate::peers::{Peer, PeerEndpoints};
use crate::record::{self, Role};
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

/// Runs until the machine is switched off, or is this node no more.
pub(super) fn run(facts: &Facts, system: &System, machine: &mut impl Machine) -> anyhow::Result<Released> {
    let tunnel_key = private_key::ensure(system)?.context("a dry run joins nothing")?;
    let mut member = Member {
        facts,
        system,
        reporter: Reporter::new(system),
        claiming: Claiming::new(&facts.cluster, (&facts.key, &tunnel_key), true, system, machine)?
            .reached_at(PeerEndpoints::of(&facts.record)),
        tunnel_key,
        reclaims: BackOff::new(PATIENCE, Duration::from_mins(10)),
    };
    let Some(mut place) = member.place(machine)? else { return Ok(Released) };
    let mut start = Start::IfNeeded;
    loop {
        member.settle(&place, start, machine)?;
        let reason = member.look_after(&mut place, machine)?;
        say(&format!("{reason}: showing the membership"));
        let right = Right::Membership(place.signed.clone());
        match member.claim(&right, machine)? {
            Outcome::Granted(grant) => {
                place = member.keep(&grant)?;
                start = Start::Again;
            }
            Outcome::Worthless(cause, reason) if release::is_due(cause, facts) => {
                return release::let_go(&reason, facts, system, &mut member.reporter);
            }
            Outcome::Worthless(cause @ Cause::Forgotten, reason) => {
                member.refused(cause, &reason)?;
                // Its medium says which node it is, and it asks as at its first start.
                grant::forget(system)?;
                let Some(other) = member.place(machine)? else { return Ok(Released) };
                (place, start) = (other, Start::Again);
            }
            Outcome::Worthless(cause, reason) => {
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
    claiming: Claiming<'a>,
    reclaims: BackOff,
}

impl Member<'_> {
    /// The place that was kept, or that is claimed for as long as it takes; `None` where the cluster lets go of this box.
    fn place(&mut self, machine: &mut impl Machine) -> anyhow::Result<Option<Place>> {
        let kept = grant::load(self.system, &self.facts.cluster, &self.facts.key)?;
        if let Some(place) = kept.filter(|place| self.is_own(place)) {
            self.reporter.step("claim", StepState::Unchanged)?;
            self.claiming.wait_for_time(machine)?;
            return Ok(Some(place));
        }
        self.reporter.begins(Phase::Claiming, "asking the cluster for this node's place")?;
        let own_name = || Right::ApprovalAs(self.facts.record.node.name.clone());
        let right = self.facts.ticket.clone().map_or_else(own_name, Right::Ticket);
        loop {
            match self.claim(&right, machine)? {
                Outcome::Granted(grant) => match self.check_record(&grant) {
                    Ok(()) => return self.keep(&grant).map(Some),
                    Err((cause, reason)) => self.refused(cause, &reason)?,
                },
                Outcome::Worthless(cause, reason) if release::is_due(cause, self.facts) => {
                    let Released = release::let_go(&reason, self.facts, self.system, &mut self.reporter)?;
                    return Ok(None);
                }
                Outcome::Worthless(cause, reason) => self.refused(cause, &reason)?,
            }
            machine.pause(REFUSED_WAIT)?;
        }
    }

    fn by_ticket(&mut self, machine: &mut impl Machine) -> anyhow::Result<Option<Place>> {
        let Some(ticket) = self.facts.ticket.clone() else { return Ok(None) };
        match self.claim(&Right::Ticket(ticket), machine)? {
            Outcome::Granted(grant) => self.keep(&grant).map(Some),
            Outcome::Worthless(cause, reason) => self.refused(cause, &reason).map(|()| None),
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
        self.claiming.begin_anew()?;
        self.reporter.step("claim", StepState::Changed)?;
        Ok(place)
    }

    /// A person who names another node than the medium does has another box in mind. The claim service compares names,
    /// and hands the record on as it came.
    fn check_record(&self, grant: &Grant) -> Result<(), (Cause, String)> {
        let Some(text) = &grant.record else { return Ok(()) };
        let approved = record::open(text.as_bytes(), Some(&self.facts.cluster))
            .map_err(|fault| (Cause::Forged, format!("reading the approval's node record: {fault}")))?;
        let (approved, own) = (approved.node.name, &self.facts.record.node.name);
        if approved == *own {
            return Ok(());
        }
        let reason = format!("this box was approved as `{approved}`, and its record is of `{own}`");
        Err((Cause::Misnamed, reason))
    }

    fn claim(&mut self, right: &Right, machine: &mut impl Machine) -> anyhow::Result<Outcome> {
        self.claiming.claim(right, &mut self.reporter, machine)
    }

    fn refused(&mut self, cause: Cause, reason: &str) -> anyhow::Result<()> {
        refused((cause, reason), Some(&self.facts.record.node.name), &mut self.reporter)?;
        if cause == Cause::Misnamed {
            // What was said of this code is said: the next one can be answered better.
            self.claiming.begin_anew()?;
        }
        Ok(())
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

    /// Tells the cluster how this node is, where that is news or was long ago, and hears of other nodes.
    fn report(&mut self, place: &mut Place, machine: &mut impl Machine) {
        let Self { reporter, claiming, system, .. } = self;
        reporter.report(|status| {
            let Membership { node, role, .. } = &place.membership;
            let report = NodeReport::of(status, node, *role, SystemTime::now());
            let peers = claiming.report(&report, machine)?;
            if place.take_peers(peers, system)? {
                say("the cluster has other nodes than before");
            }
            Ok(())
        });
    }

    /// Returns when the membership has to be shown, and why.
    fn look_after(&mut self, place: &mut Place, machine: &mut impl Machine) -> anyhow::Result<String> {
        let patience = self.reclaims.next();
        let mut troubled = None;
        loop {
            // A look takes half a minute where nobody answers, so that pauses alone tell no time.
            let begun = machine.now();
            let tunnels = machine.connect(&self.tunnel_key, &place.peers)?;
            let seen = machine.look();
            // k3s is reached at a control plane alone.
            let is_hub = |peer: &&Peer| peer.role == Role::ControlPlane;
            let mut hubs = place.peers.iter().filter(is_hub);
            let is_cut_off = !hubs.any(|hub| tunnels.lively.contains(&hub.node));
            let trouble = match (&seen, is_cut_off) {
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
                    let reason = format!("no control plane was heard of through its tunnel; {faults}");
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
            self.report(place, machine);
            match trouble {
                None => troubled = None,
                Some(reason) => {
                    let since = *troubled.get_or_insert(begun);
                    if machine.now().saturating_duration_since(since) >= patience {
                        return Ok(reason);
                    }
                }
            }
            machine.pause(if seen == Seen::Ready { LOOK_AT_READY } else { LOOK })?;
        }
    }
}
