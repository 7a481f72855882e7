//! What the service keeps, as objects of the cluster's own API: `BurntTicket`, `EdgeNode`, `NodeReport`, and Secrets of
//! k3s.
//!
//! Every operation may be the last before a power cut, and may be repeated.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::code::Code;
use super::event::ClaimEvent;
use super::report::NodeReport;
use crate::lifetime::AwayDays;
use crate::peers::PeerEndpoints;
use crate::public_key::PublicKey;
use crate::record::Role;
use crate::ticket::{Hardware, Nonce};

/// Who has burnt a ticket.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Burnt {
    /// The node key of the first who came.
    pub key: PublicKey,
    /// When, RFC 3339.
    pub at: String,
    /// From which address.
    pub from: String,
}

/// A node that has joined.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Joined {
    /// Node name.
    pub node: String,
    /// Its role.
    pub role: Role,
    /// Its address inside the VPN.
    pub address: std::net::Ipv4Addr,
    /// Its node key.
    pub key: PublicKey,
    /// Its WireGuard key.
    pub wireguard: String,
    /// Where its tunnel is reached; no edge's is.
    #[serde(default, skip_serializing_if = "PeerEndpoints::is_empty")]
    pub endpoints: PeerEndpoints,
    /// Which of its memberships counts.
    pub generation: u64,
    /// Since when, RFC 3339, neither this generation nor one before it is good any more. A person sets it, in the object;
    /// a ticket of a higher generation takes its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<String>,
    /// Days that it may be away; absent where it may be for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transient: Option<AwayDays>,
    /// When such a node was last granted its place, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed: Option<String>,
}

/// A node that waits for a person.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Waiting {
    /// What the person compares.
    pub code: Code,
    /// Its node key.
    pub key: PublicKey,
    /// What machine it is.
    pub hardware: Hardware,
    /// From which address it asks.
    pub from: String,
    /// The node that it is by its ticket or its record, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// What the person said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
}

/// What a person said of a waiting node.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// It becomes this node.
    Approved {
        /// Node name.
        node: String,
        /// Its role.
        role: Role,
        /// Its address inside the VPN.
        address: std::net::Ipv4Addr,
        /// Its generation, above all that the name has had.
        generation: u64,
        /// Its node record as the operator has signed it, for a box that has none of its own; the box checks it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        record: Option<String>,
        /// Days that it may be away; absent where it may be for ever.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        transient: Option<AwayDays>,
    },
    /// It does not.
    Rejected,
}

/// Why the store could not be used.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The API is not ready: the node comes again.
    #[error("the cluster's API is not ready: {0}")]
    NotReady(String),
    /// As many nodes wait as are kept.
    #[error("{0} nodes wait for approval already")]
    Full(usize),
}

impl Joined {
    /// Whether `other`, of the same name, may not take the place of this one.
    pub fn stays_before(&self, other: &Self) -> bool {
        self.generation > other.generation || (self.revoked.is_some() && self.generation == other.generation)
    }
}

/// The objects.
pub trait Store {
    /// Burns a ticket: makes the object, or returns the one that is there. Exactly one of any number of callers makes it.
    fn burn(&self, nonce: Nonce, burnt: &Burnt) -> Result<Burnt, StoreError>;
    /// The node of a name, if one has joined.
    fn joined(&self, node: &str) -> Result<Option<Joined>, StoreError>;
    /// All nodes that have joined and are not revoked.
    fn all_joined(&self) -> Result<Vec<Joined>, StoreError>;
    /// Those of them that are workers.
    fn workers(&self) -> Result<Vec<Joined>, StoreError>;
    /// Keeps a node, unless one of its name with a higher generation is there, or one with its generation that is
    /// revoked; returns the one that is there then.
    fn keep(&self, node: &Joined) -> Result<Joined, StoreError>;
    /// Removes k3s' Secret with the hash of the node's password, which k3s itself never changes.
    fn forget_password(&self, node: &str) -> Result<(), StoreError>;
    /// Makes sure that a bootstrap token is known to k3s until `expires`.
    fn ensure_token(&self, id: &str, secret: &str, expires: SystemTime) -> Result<(), StoreError>;
    /// A waiting node, with what a person said.
    fn waiting(&self, code: &Code) -> Result<Option<Waiting>, StoreError>;
    /// Lists a node that waits; one that is listed stays as it is.
    fn wait(&self, waiting: &Waiting) -> Result<(), StoreError>;
    /// Tells of a claim, once for each machine and outcome.
    fn tell(&self, event: &ClaimEvent) -> Result<(), StoreError>;
    /// Keeps what a node says of itself, in place of what it said before.
    fn report(&self, report: &NodeReport) -> Result<(), StoreError>;
}
