//! What a node tells of itself, so that its operator sees every node in one place, and why it is not Ready.
//!
//! ```text
//! node -- challenge, report, signed by the node key --> control plane: a key that has joined and is not revoked?
//!                                                       -> the object `NodeReport` of the node's name
//! ```
//!
//! A node is not believed to be harmless: its texts are cut and cleared, and it is heard every few seconds at most.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::challenge::Challenge;
use super::message::{Cause, ReportReply};
use super::service::{RETRY, Service, cause_of_document};
use super::store::{Joined, Store, StoreError};
use crate::document::{self, Document};
use crate::peers::PeerEndpoints;
use crate::printable::is_printable;
use crate::public_key::PublicKey;
use crate::record::{Role, is_dns_label};
use crate::slot::Generation;
use crate::slot::node::Standing;
use crate::status::{Phase, SlotStatus, Status};

/// Between two reports of a node.
const PAUSE: Duration = Duration::from_secs(5);
/// Letters of a sentence, and of a name.
const LONGEST_TEXT: usize = 400;
const LONGEST_NAME: usize = 64;
/// Artifacts that are named.
const MOST_NAMES: usize = 16;

/// How a node is, in its own words.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodeReport {
    /// Node name.
    pub node: String,
    /// Its role.
    pub role: Role,
    /// Where it stands.
    pub phase: Phase,
    /// Since when, RFC 3339, by the node's clock.
    pub since: String,
    /// Why.
    pub reason: String,
    /// What a person can do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Whether it has been in this phase for longer than that should last.
    #[serde(default)]
    pub overdue: bool,
    /// Root hash of its image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_hash: Option<String>,
    /// Which slot runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<String>,
    /// What lies in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<Generation>,
    /// How the slot stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<Standing>,
    /// Artifacts of the image that are not the pinned files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unpinned: Vec<String>,
    /// When it was heard, RFC 3339, by the clock of who heard it.
    pub at: String,
}

impl NodeReport {
    /// What `status` says of a node, heard at `now`.
    pub fn of(status: &Status, node: &str, role: Role, now: SystemTime) -> Self {
        let slot = status.slot.as_ref();
        Self {
            node: node.to_owned(),
            role,
            phase: status.phase,
            since: status.since.clone(),
            reason: status.reason.clone(),
            hint: status.hint.clone(),
            overdue: status.overdue,
            root_hash: status.root_hash.clone(),
            slot: slot.map(|SlotStatus { name, .. }| name.clone()),
            generation: slot.and_then(|slot| slot.generation),
            standing: slot.map(|slot| slot.standing),
            unpinned: status.unpinned.clone(),
            at: time(now),
        }
        .cleared()
    }

    /// The same with texts that neither fill a screen nor play with it.
    fn cleared(self) -> Self {
        let text = |text: String| clear(&text, LONGEST_TEXT);
        let name = |name: String| clear(&name, LONGEST_NAME);
        Self {
            node: name(self.node),
            since: name(self.since),
            reason: text(self.reason),
            hint: self.hint.map(text),
            root_hash: self.root_hash.map(name),
            slot: self.slot.map(name),
            unpinned: self.unpinned.into_iter().take(MOST_NAMES).map(name).collect(),
            at: name(self.at),
            ..self
        }
    }
}

pub(super) fn clear(text: &str, longest: usize) -> String {
    let harmless = |letter| if is_printable(letter) { letter } else { '\u{fffd}' };
    text.chars().take(longest).map(harmless).collect()
}

pub(super) fn time(now: SystemTime) -> String {
    humantime::format_rfc3339_seconds(now).to_string()
}

/// A report on its way, signed by the key that it holds.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Report {
    /// The challenge that is answered.
    pub challenge: Challenge,
    /// The node key.
    pub key: PublicKey,
    /// Where its tunnel is reached by now.
    #[serde(default, skip_serializing_if = "PeerEndpoints::is_empty")]
    pub endpoints: PeerEndpoints,
    /// What it says.
    pub report: NodeReport,
}

impl Document for Report {
    const KIND: &'static str = "report";
    const VERSION: u32 = 1;
}

/// Hears reports.
#[derive(Debug, Default)]
pub struct Reports {
    /// When each node was heard last; as many as have joined.
    heard: Mutex<BTreeMap<String, SystemTime>>,
}

impl Reports {
    /// Takes a report.
    pub fn take(&self, text: &[u8], now: SystemTime, service: &Service, store: &impl Store) -> ReportReply {
        self.decide(text, now, service, store).unwrap_or(ReportReply::Later { seconds: RETRY })
    }

    fn decide(
        &self,
        text: &[u8],
        now: SystemTime,
        service: &Service,
        store: &impl Store,
    ) -> Result<ReportReply, StoreError> {
        let refuse = |cause, reason: String| Ok(ReportReply::Refused { cause, reason });
        let Report { challenge, key, endpoints, report } =
            match document::open_self_signed(text, |report: &Report| report.key) {
                Ok(report) => report,
                Err(fault) => return refuse(cause_of_document(&fault), fault.to_string()),
            };
        if !service.is_fresh(&challenge, now) {
            return refuse(Cause::Challenge, "the challenge is not fresh: take a new one".to_owned());
        }
        // Before it becomes part of a path, which this service asks for with all the rights that there are.
        if !is_dns_label(&report.node) {
            return refuse(Cause::Malformed, "`node` is no name of a node".to_owned());
        }
        // By the key it is known whose report this is; the name is what the object of that node is called.
        let report = report.cleared();
        let mut joined = match store.joined(&report.node)? {
            Some(joined) if joined.key == key => joined,
            _ => return refuse(Cause::Stolen, format!("`{}` is not the node of this key", report.node)),
        };
        if joined.revoked.is_some() {
            return refuse(Cause::Revoked, format!("`{}` is revoked", joined.node));
        }
        if self.is_too_early(&joined.node, now) {
            return Ok(ReportReply::Later { seconds: RETRY });
        }
        let endpoints = endpoints.believed(joined.role);
        if joined.endpoints != endpoints {
            if let Err(fault) = endpoints.check() {
                return refuse(Cause::Malformed, fault.to_string());
            }
            joined = store.keep(&Joined { endpoints, ..joined })?;
        }
        store.report(&NodeReport { role: joined.role, at: time(now), ..report })?;
        Ok(ReportReply::Taken { peers: service.peers_of(&joined, store)? })
    }

    fn is_too_early(&self, node: &str, now: SystemTime) -> bool {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back is no reason to hear nobody.
        let since = |last: &SystemTime| now.duration_since(*last).ok();
        let is_too_early = heard.get(node).and_then(since).is_some_and(|time| time < PAUSE);
        if !is_too_early {
            heard.insert(node.to_owned(), now);
        }
        is_too_early
    }
}
