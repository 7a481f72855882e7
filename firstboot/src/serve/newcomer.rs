//! A box whose medium says which cluster it is for, and not which node it is: a person sees its code in both places and
//! names it, and it is that node from then on.
//!
//! The record comes with the person's word and is kept first, once nothing is left of what this box may have been before.
//! A power cut before the membership is kept leaves a node that asks once more, with the same code, and is answered the
//! same.

use anyhow::{Context as _, ensure};
use ed25519_dalek::SigningKey;

use super::claiming::{Claiming, Outcome, REFUSED_WAIT, refused};
use super::grant;
use super::machine::Surroundings;
use super::release;
use super::reporter::{Reporter, say};
use crate::claim::message::{Grant, Right};
use crate::cluster::ClusterRecord;
use crate::converge::System;
use crate::membership;
use crate::public_key::PublicKey;
use crate::record::{self, NodeRecord, Role};
use crate::run;
use crate::source;
use crate::status::Phase;
use crate::wireguard::private_key;

/// What such a box knows of itself.
#[derive(Debug)]
pub(super) struct Newcomer {
    /// The cluster of its medium.
    pub(super) cluster: ClusterRecord,
    /// Its own key.
    pub(super) key: SigningKey,
}

impl Newcomer {
    /// Waits for a person's word and becomes the node that they name, in force and kept.
    pub(super) fn become_node(&self, system: &System, machine: &mut impl Surroundings) -> anyhow::Result<()> {
        // It is there where an earlier try got so far and no further.
        if system.read(source::APPROVED)?.is_none() {
            self.wait_for_word(system, machine)?;
        }
        settle(system, machine)
    }

    fn wait_for_word(&self, system: &System, machine: &mut impl Surroundings) -> anyhow::Result<()> {
        let tunnel_key = private_key::ensure(system)?.context("a dry run joins nothing")?;
        let mut reporter = Reporter::new(system);
        reporter.begins(Phase::Claiming, "asking the cluster to be let in")?;
        let mut claiming = Claiming::new(&self.cluster, (&self.key, &tunnel_key), false, system, machine)?;
        loop {
            match claiming.claim(&Right::Approval, &mut reporter, machine)? {
                Outcome::Granted(grant) => match self.record_of(&grant) {
                    Ok(text) => {
                        grant::forget(system)?;
                        system.ensure_file(source::APPROVED, text.as_bytes(), 0o600)?;
                        grant::keep(&grant, system, &self.cluster, &self.key)?;
                        return claiming.begin_anew();
                    }
                    Err(fault) => {
                        let hint = "`imgbuild node approve` of this cluster gives the box its record";
                        let reason = format!("this box was approved, and cannot become that node: {fault:#}");
                        reporter.phase(Phase::Stopped, &reason, Some(hint))?;
                        // What was said of this code is said: the next one can be answered better.
                        claiming.begin_anew()?;
                    }
                },
                Outcome::Worthless(cause, reason) => {
                    refused((cause, &reason), None, &mut reporter)?;
                    if release::is_lost(cause) {
                        // The node that this code was approved as is no more.
                        claiming.begin_anew()?;
                    }
                }
            }
            machine.pause(REFUSED_WAIT)?;
        }
    }

    /// The record that the grant came with, as it was signed: of this cluster, and of the node that the membership is
    /// of.
    fn record_of(&self, grant: &Grant) -> anyhow::Result<String> {
        let text = grant.record.clone().context("the approval has no node record, and there is none here")?;
        let NodeRecord { node, vpn, .. } = record::open(text.as_bytes(), Some(&self.cluster))
            .context("reading the approval's node record")?;
        let key = PublicKey::of(&self.key);
        let membership = membership::open(grant.membership.as_bytes(), &self.cluster, &key, &[])
            .context("the cluster granted a membership that is not ours")?;
        ensure!(
            (&membership.node, membership.address) == (&node.name, vpn.address),
            "the membership is that of `{}` at {}, the record is of `{}` at {}",
            membership.node,
            membership.address,
            node.name,
            vpn.address
        );
        ensure!(node.role != Role::ControlPlane, "a control plane is given its bundle, and claims nothing");
        Ok(text)
    }
}

/// What `firstboot` does at every later boot.
fn settle(system: &System, machine: &mut impl Surroundings) -> anyhow::Result<()> {
    if run::again(system, &[])?
        && let Err(fault) = machine.renew_network()
    {
        // Whatever it was: the record is kept, and in force after the next start.
        say(&format!("the network stays as it is until the next start: {fault:#}"));
    }
    Ok(())
}
