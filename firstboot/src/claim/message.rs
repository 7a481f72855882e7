//! What goes over the wire: the node's signed request, and the answer, which only the pinned connection vouches for.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::challenge::Challenge;
use super::code::Code;
use crate::document::Document;
use crate::peers::{Peer, PeerEndpoints};
use crate::public_key::PublicKey;
use crate::ticket::Hardware;

/// What a node asks for, signed by the key that it holds.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Request {
    /// The challenge that is answered.
    pub challenge: Challenge,
    /// The challenge that the node was given first since it waits, by which its approval code is made.
    pub first_challenge: Challenge,
    /// The node key.
    pub key: PublicKey,
    /// The node's WireGuard key, 32 bytes in base64.
    pub wireguard: String,
    /// What machine it is.
    pub hardware: Hardware,
    /// Where its tunnel is reached.
    #[serde(default, skip_serializing_if = "PeerEndpoints::is_empty")]
    pub endpoints: PeerEndpoints,
    /// By what right.
    pub right: Right,
}

impl Document for Request {
    const KIND: &'static str = "claim";
    const VERSION: u32 = 1;
}

/// By what right a node asks.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Right {
    /// It has a ticket.
    Ticket(String),
    /// It has been a member before.
    Membership(String),
    /// It waits for a person, who says which node it becomes.
    Approval,
    /// It waits for a person, and becomes the node of this name, as its record says, or none.
    ApprovalAs(String),
}

/// The answer.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "answer")]
pub enum Reply {
    /// The node may join.
    Granted(Box<Grant>),
    /// A person must approve it.
    Waiting {
        /// What they compare.
        code: Code,
    },
    /// Not now: the API is not ready, or too many ask.
    Later {
        /// When to come again.
        seconds: u32,
    },
    /// No, and asking again changes nothing.
    Refused {
        /// For programs.
        cause: Cause,
        /// For people.
        reason: String,
    },
}

/// The answer to a report.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "answer")]
pub enum ReportReply {
    /// It is kept.
    Taken {
        /// Whom the node has tunnels with by now.
        peers: Vec<Peer>,
    },
    /// Not now: the API is not ready, or the last one was heard just now.
    Later {
        /// When to come again.
        seconds: u32,
    },
    /// No.
    Refused {
        /// For programs.
        cause: Cause,
        /// For people.
        reason: String,
    },
}

/// All that a node needs to join.
#[derive(Clone, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Grant {
    /// The signed membership.
    pub membership: String,
    /// The node's address inside the VPN.
    pub address: Ipv4Addr,
    /// Whom it has tunnels with.
    pub peers: Vec<Peer>,
    /// Its password at k3s; a secret.
    pub node_password: String,
    /// A k3s join token, `K10<hash>::<id>.<secret>`, good for a quarter of an hour; a secret.
    pub token: String,
    /// The signed node record that the operator's approval came with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
}

impl std::fmt::Debug for Grant {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Grant")
            .field("address", &self.address)
            .field("peers", &self.peers)
            .finish_non_exhaustive()
    }
}

/// Why a claim is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// Not signed by whom it must be.
    Forged,
    /// Another machine has used the ticket.
    Used,
    /// Too late.
    Expired,
    /// Of another cluster.
    Foreign,
    /// Of an epoch before the control plane was re-created or restored.
    Epoch,
    /// Bound to another machine.
    Hardware,
    /// On the list of revocations.
    Revoked,
    /// It was away for longer than it may be.
    Forgotten,
    /// A newer ticket of the same name was used.
    Superseded,
    /// The membership is another node's.
    Stolen,
    /// The challenge is too old, or not ours; the node takes a new one.
    Challenge,
    /// A person said no.
    Rejected,
    /// A person named another node than the box is by its record or ticket.
    Misnamed,
    /// Not of the protocol.
    Malformed,
}
