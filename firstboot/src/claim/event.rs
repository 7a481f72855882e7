//! What claims leave in the cluster's events, for who asks where a stick has got to: which machine came for a node's
//! name, from where, and whether it was let in.

use std::fmt::Write as _;
use std::time::SystemTime;

use super::message::Request;
use super::report::{clear, time};
use crate::public_key::PublicKey;
use crate::ticket::Hardware;

/// Letters of a message; Kubernetes takes 1024.
const LONGEST: usize = 600;

/// A claim by a genuine right. Of those of one machine the first is told, until Kubernetes forgets it after an hour.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClaimEvent {
    /// The node whose name was claimed.
    pub node: String,
    /// Key of who came.
    pub key: PublicKey,
    /// Whether it was turned away.
    pub is_refused: bool,
    /// What happened, for people.
    pub message: String,
    /// When, RFC 3339.
    pub at: String,
}

impl ClaimEvent {
    /// `refused` is why the machine was turned away.
    pub(super) fn new(
        node: &str,
        refused: Option<&str>,
        request: &Request,
        from: &str,
        now: SystemTime,
    ) -> Self {
        let Hardware { serial, macs } = &request.hardware;
        let mut who = format!("key {}, from {from}", request.key.fingerprint());
        if let Some(serial) = serial {
            let _ = write!(who, ", serial {serial}");
        }
        if !macs.is_empty() {
            let _ = write!(who, ", MAC {}", macs.join(" "));
        }
        let message = match refused {
            Some(reason) => format!("turned away: {who}: {reason}"),
            None => format!("let in: {who}"),
        };
        Self {
            node: node.to_owned(),
            key: request.key,
            is_refused: refused.is_some(),
            message: clear(&message, LONGEST),
            at: time(now),
        }
    }
}
