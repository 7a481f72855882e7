//! What a member keeps of its grant on the state partition, for the next boot.

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};

use crate::claim::message::Grant;
use crate::cluster::ClusterRecord;
use crate::converge::{ConvergeError, System};
use crate::k3s::{self, KEPT_PASSWORD};
use crate::membership::{self, Membership};
use crate::peers::Peer;
use crate::plan::K3S_TOKEN;
use crate::public_key::PublicKey;

/// Where it lies; no secret, and for nobody's eyes all the same.
pub(super) const PATH: &str = "/var/lib/imgbuild/membership.json";
const VERSION: u32 = 1;

/// A node's place in the cluster.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Place {
    /// The membership as it was signed.
    pub(super) signed: String,
    /// What it says.
    pub(super) membership: Membership,
    /// Whom it has tunnels with.
    pub(super) peers: Vec<Peer>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    version: u32,
    membership: String,
    peers: Vec<Peer>,
}

/// Reads what was kept. What is of another cluster, or of another key of this node, is nothing.
pub(super) fn load(
    system: &System,
    cluster: &ClusterRecord,
    key: &SigningKey,
) -> anyhow::Result<Option<Place>> {
    let Some(text) = system.read(PATH)? else { return Ok(None) };
    let Ok(kept) = serde_json::from_slice::<Kept>(&text) else { return Ok(None) };
    if kept.version != VERSION {
        return Ok(None);
    }
    Ok(place(kept.membership, kept.peers, cluster, key).ok())
}

/// Keeps a grant: token and password first, so that a membership that is there has them beside it.
pub(super) fn keep(
    grant: &Grant,
    system: &System,
    cluster: &ClusterRecord,
    key: &SigningKey,
) -> anyhow::Result<Place> {
    let place = place(grant.membership.clone(), grant.peers.clone(), cluster, key)
        .context("the cluster granted a membership that is not ours")?;
    system.ensure_file(K3S_TOKEN, grant.token.as_bytes(), 0o600)?;
    system.ensure_file(KEPT_PASSWORD, grant.node_password.as_bytes(), 0o600)?;
    place.keep(system)?;
    Ok(place)
}

/// Forgets what an earlier node of this box has kept: none of it may be taken for what the next record's node has. Its
/// keys stay.
pub(super) fn forget(system: &System) -> Result<(), ConvergeError> {
    system.ensure_absent(PATH)?;
    system.ensure_absent(K3S_TOKEN)?;
    system.ensure_absent(KEPT_PASSWORD)?;
    k3s::forget_name(system)?;
    Ok(())
}

impl Place {
    /// Keeps whom it has tunnels with by now. Says whether that is news.
    pub(super) fn take_peers(&mut self, peers: Vec<Peer>, system: &System) -> anyhow::Result<bool> {
        if self.peers == peers {
            return Ok(false);
        }
        check_names(&peers)?;
        self.peers = peers;
        self.keep(system)?;
        Ok(true)
    }

    fn keep(&self, system: &System) -> anyhow::Result<()> {
        let kept = Kept { version: VERSION, membership: self.signed.clone(), peers: self.peers.clone() };
        system.ensure_file(PATH, &serde_json::to_vec(&kept).context("rendering the membership")?, 0o600)?;
        Ok(())
    }
}

fn place(
    signed: String,
    peers: Vec<Peer>,
    cluster: &ClusterRecord,
    key: &SigningKey,
) -> anyhow::Result<Place> {
    let membership = membership::open(signed.as_bytes(), cluster, &PublicKey::of(key), &[])?;
    check_names(&peers)?;
    Ok(Place { signed, membership, peers })
}

fn check_names(peers: &[Peer]) -> anyhow::Result<()> {
    let names: BTreeSet<_> = peers.iter().map(|peer| &peer.node).collect();
    ensure!(names.len() == peers.len(), "two peers have the same name");
    Ok(())
}
