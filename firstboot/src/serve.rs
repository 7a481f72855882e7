//! The part of a node's life that needs a network: becoming a member of the cluster, and staying one.
//!
//! ```text
//! control plane   bundle (pushed, or kept) -> certificates and order -> tunnels -> k3s -> bootstrap objects
//!                 -> claims are answered, peers follow the nodes that have joined, for ever
//! no record yet   waits for a person's word, which brings a record -> is that node
//! worker, edge    membership (kept), ticket or approval -> tunnels -> k3s
//!                 -> looked after for ever: what the cluster no longer knows is claimed anew
//!                 -> revoked: who was a node by a person's word alone is none, and waits for another word
//! ```
//!
//! Everything that is learnt is on the state partition before it is used, so that each boot begins where the last one
//! was cut off. What is done to the machine besides its files goes by `Machine`, so that all of this runs in a test.

mod admins;
pub(crate) mod back_off;
mod bootstrap;
mod claiming;
mod control_plane;
mod grant;
mod hardware;
mod k3s_node;
mod live;
mod machine;
mod member;
mod newcomer;
mod pace;
mod release;
pub(crate) mod reporter;
mod tunnels;

use std::convert::Infallible;

use anyhow::{Context as _, ensure};
use ed25519_dalek::SigningKey;

use crate::cluster::ClusterRecord;
use crate::control_plane::install;
use crate::converge::System;
use crate::document;
use crate::key;
use crate::plan::{Effect, PlannedFile, plan};
use crate::record::{NodeRecord, Role};
use crate::run;
use crate::secret_key::SecretKey;
use crate::source;
use crate::status::Phase;
use crate::ticket::Ticket;

pub use self::bootstrap::{ALL_MADE, MADE_BEFORE, MADE_WITHOUT_ARGOCD, MARKER, rights_of_admins};
use self::live::{Bare, Live};
use self::newcomer::Newcomer;
use self::release::Released;
use self::reporter::Reporter;

/// What a node knows of itself before it has spoken to anybody.
#[derive(Debug)]
pub(crate) struct Facts {
    /// The node record.
    pub(crate) record: NodeRecord,
    /// The cluster of its medium.
    pub(crate) cluster: ClusterRecord,
    /// The ticket that came with it.
    pub(crate) ticket: Option<String>,
    /// The one-time key that came with it.
    pub(crate) push_key: Option<SigningKey>,
    /// Its own key.
    pub(crate) key: SigningKey,
    /// Whether it is this node by a person's word alone: the record came with their approval, and there is no ticket.
    pub(crate) is_approved: bool,
}

/// Runs until the machine is switched off; returns where waiting changes nothing, and says why where a person looks.
pub fn serve(system: &System) -> anyhow::Result<Infallible> {
    join(system).inspect_err(|fault| {
        let hint =
            "it is tried again every ten seconds, with the same outcome until somebody changes something";
        // What cannot be told there is in the journal.
        let _told = Reporter::new(system).phase(Phase::Stopped, &format!("{fault:#}"), Some(hint));
    })
}

fn join(system: &System) -> anyhow::Result<Infallible> {
    let facts = match know(system)? {
        Known::Node(facts) => facts,
        Known::Newcomer(newcomer) => {
            newcomer.become_node(system, &mut Bare(system.clone()))?;
            // It is a node like any other now.
            return join(system);
        }
    };
    let mut machine = Live::new(system.clone(), &facts);
    match facts.record.node.role {
        Role::ControlPlane => control_plane::run(&facts, system, &mut machine),
        Role::Worker | Role::Edge => {
            let Released = member::run(&facts, system, &mut machine)?;
            release::start_again()
        }
    }
}

/// What a machine knows of itself.
enum Known {
    /// Which node it is.
    Node(Box<Facts>),
    /// Which cluster it is for.
    Newcomer(Box<Newcomer>),
}

fn know(system: &System) -> anyhow::Result<Known> {
    let given = source::kept(system)?;
    let (record, cluster) = run::records(&given)?;
    let cluster = cluster.context("this medium has no cluster record: there is nothing to join")?;
    let key = key::load(system)?.context("this node has no key yet: `firstboot` makes it at boot")?;
    let Some(record) = record else {
        return Ok(Known::Newcomer(Box::new(Newcomer { cluster, key })));
    };
    let is_approved = given.record.is_some_and(|found| found.is_approved()) && given.ticket.is_none();
    let text = |found: source::Found| String::from_utf8_lossy(&found.text).trim().to_owned();
    let push_key = given.push_key.map(|found| SecretKey::try_from(text(found))).transpose();
    let push_key = push_key.context("reading the one-time key")?;
    let ticket = given.ticket.map(text);
    check_ticket(ticket.as_deref(), &record, &cluster)?;
    Ok(Known::Node(Box::new(Facts {
        record,
        cluster,
        ticket,
        push_key: push_key.map(|key| SigningKey::from_bytes(key.bytes())),
        key,
        is_approved,
    })))
}

/// Whether this machine has its place in a cluster: a membership, or the bundle of a control plane.
pub(crate) fn has_place(system: &System) -> bool {
    [grant::PATH, install::KEPT].into_iter().any(|path| system.path(path).exists())
}

/// One that is for another node would bring this box that node's place, and take it from who has it. One that is not
/// genuine is for the cluster to refuse.
fn check_ticket(ticket: Option<&str>, record: &NodeRecord, cluster: &ClusterRecord) -> anyhow::Result<()> {
    let ticket = ticket.map(|text| document::open::<Ticket>(text.as_bytes(), &cluster.ticket_key));
    if let Some(Ok(ticket)) = ticket {
        let own = &record.node.name;
        ensure!(
            ticket.node == *own,
            "the ticket is for `{}`, and the record of `{own}`: `imgbuild ticket {own}` makes the right one",
            ticket.node
        );
    }
    Ok(())
}

/// Writes the files of a step of the plan.
fn write_files(facts: &Facts, name: &str, system: &System) -> anyhow::Result<()> {
    for file in files(facts, name) {
        system.ensure_file(&file.path, file.content.for_file(), file.mode)?;
    }
    Ok(())
}

fn files(facts: &Facts, name: &str) -> Vec<PlannedFile> {
    let step = plan(&facts.record).into_iter().find(|step| step.name == name);
    match step.map(|step| step.effect) {
        Some(Effect::Joining(files)) => files,
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
