//! The decisions of the claim service. Each step may be repeated after a power cut between any two of them: the nonce
//! is burnt first, and the same ticket and key is led through the rest again.

use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime};

use ed25519_dalek::SigningKey;
use hmac::Mac as _;

use super::challenge::{Challenge, Challenger, FRESH};
use super::code::Code;
use super::event::ClaimEvent;
use super::message::{Cause, Grant, Reply, Request, Right};
use super::report::time;
use super::store::{Burnt, Joined, Store, StoreError, Verdict, Waiting};
use crate::cluster::ClusterRecord;
use crate::document::{self, DocumentError};
use crate::keyed_hash::keyed_hash;
use crate::lifetime::AwayDays;
use crate::membership::{self, Membership, MembershipError};
use crate::node_password::NodePasswordKey;
use crate::peers::Peer;
use crate::record::{Revocation, Role, is_dns_label};
use crate::ticket::{self, Ticket, TicketError};
use crate::wireguard::WireguardKey;

/// How long a waiting node's first challenge is known: it may wait over a long holiday.
const LONGEST_WAIT: Duration = Duration::from_hours(30 * 24);
/// Join tokens live so long, and one serves all claims of this much time.
const TOKEN_SLOT: Duration = Duration::from_mins(5);
const TOKEN_LIFE: Duration = Duration::from_mins(15);
/// When to come again while the API is not ready.
pub(super) const RETRY: u32 = 10;

/// What the service knows for good.
#[derive(Debug)]
pub struct Service {
    /// The cluster.
    pub cluster: ClusterRecord,
    /// Signs memberships.
    pub membership_key: SigningKey,
    /// Makes node passwords.
    pub password_key: NodePasswordKey,
    /// Memberships and tickets that are no longer good.
    pub revocations: Vec<Revocation>,
    /// The cloud nodes, as peers of everybody.
    pub hubs: Vec<Peer>,
    /// The hash in front of k3s' tokens, 64 hexadecimal digits.
    pub k3s_hash: String,
}

/// A refusal before anything was decided.
struct No(Cause, String);

impl Service {
    /// A challenge for who asks.
    pub fn challenge(&self, now: SystemTime) -> Challenge {
        Challenger::new(&self.membership_key).make(now)
    }

    pub(super) fn is_fresh(&self, challenge: &Challenge, now: SystemTime) -> bool {
        Challenger::new(&self.membership_key).is_genuine(challenge, now, FRESH)
    }

    /// Answers a request that came from address `from`.
    pub fn answer(&self, request: &[u8], from: &str, now: SystemTime, store: &impl Store) -> Reply {
        let outcome = match self.open(request, now) {
            Ok(request) => self.decide(&request, from, now, store),
            Err(No(cause, reason)) => Ok(Reply::Refused { cause, reason }),
        };
        outcome.unwrap_or(Reply::Later { seconds: RETRY })
    }

    fn open(&self, request: &[u8], now: SystemTime) -> Result<Request, No> {
        let request: Request = document::open_self_signed(request, |request: &Request| request.key)
            .map_err(|fault| No(cause_of_document(&fault), fault.to_string()))?;
        if request.wireguard.parse::<WireguardKey>().is_err() {
            return Err(No(Cause::Malformed, "`wireguard` is no WireGuard key".to_owned()));
        }
        // It is kept and shown, on nobody's word but the box's own.
        if matches!(&request.right, Right::ApprovalAs(node) if !is_dns_label(node)) {
            return Err(No(Cause::Malformed, "`approvalAs` is no name of a node".to_owned()));
        }
        request.endpoints.check().map_err(|fault| No(Cause::Malformed, fault.to_string()))?;
        let challenger = Challenger::new(&self.membership_key);
        let is_good = self.is_fresh(&request.challenge, now)
            && challenger.is_genuine(&request.first_challenge, now, LONGEST_WAIT);
        if !is_good {
            return Err(No(Cause::Challenge, "the challenge is not fresh: take a new one".to_owned()));
        }
        Ok(request)
    }

    fn decide(
        &self,
        request: &Request,
        from: &str,
        now: SystemTime,
        store: &impl Store,
    ) -> Result<Reply, StoreError> {
        let decided = match &request.right {
            Right::Ticket(text) => self.by_ticket(text, request, from, now, store)?,
            Right::Membership(text) => self.by_membership(text, request, store)?,
            Right::Approval => self.by_approval(None, request, from, store)?,
            Right::ApprovalAs(node) => self.by_approval(Some(node), request, from, store)?,
        };
        let decided = match decided {
            Ok(decided) => decided,
            Err(reply) => return Ok(reply),
        };
        let node = decided.node.node.clone();
        let reply = self.join(decided, now, store)?;
        if let Reply::Granted(_) = reply {
            // Nobody is kept out because nobody can be told.
            let _untold = store.tell(&ClaimEvent::new(&node, None, request, from, now));
        }
        Ok(reply)
    }

    fn by_ticket(
        &self,
        text: &str,
        request: &Request,
        from: &str,
        now: SystemTime,
        store: &impl Store,
    ) -> Result<Decision, StoreError> {
        let ticket = match self.open_ticket(text, request, now) {
            Ok(ticket) => ticket,
            Err(No(cause, reason)) => return Ok(refuse(cause, reason)),
        };
        let mut transient = None;
        if ticket.approve {
            // A person's word comes before the nonce is burnt: a rejected thief leaves the ticket to its owner.
            match self.by_approval(Some(&ticket.node), request, from, store)? {
                Ok(approved) => transient = approved.node.transient,
                Err(reply) => return Ok(Err(reply)),
            }
        }
        let at = time(now);
        let first = store.burn(ticket.nonce, &Burnt { key: request.key, at, from: from.to_owned() })?;
        if first.key != request.key {
            let reason = format!(
                "the ticket of `{}` was used at {} by key {}, from {}",
                ticket.node,
                first.at,
                first.key.fingerprint(),
                first.from
            );
            let _untold = store.tell(&ClaimEvent::new(&ticket.node, Some(&reason), request, from, now));
            return Ok(refuse(Cause::Used, reason));
        }
        let decided = Decided::new(request, (ticket.node, ticket.role), ticket.address, ticket.generation);
        Ok(Ok(decided.transient(transient)))
    }

    fn open_ticket(&self, text: &str, request: &Request, now: SystemTime) -> Result<Ticket, No> {
        let refused = |fault: TicketError| {
            let cause = match &fault {
                TicketError::Document(fault) => cause_of_document(fault),
                TicketError::Foreign { .. } => Cause::Foreign,
                TicketError::Epoch { .. } => Cause::Epoch,
                TicketError::Expired { .. } => Cause::Expired,
                TicketError::Hardware(_) => Cause::Hardware,
            };
            No(cause, fault.to_string())
        };
        let ticket = ticket::open(text.as_bytes(), &self.cluster, now).map_err(refused)?;
        ticket.check_hardware(&request.hardware).map_err(refused)?;
        membership::check_revocations(&ticket.node, ticket.generation, &self.revocations)
            .map_err(|fault| No(Cause::Revoked, fault.to_string()))?;
        Ok(ticket)
    }

    fn by_membership(
        &self,
        text: &str,
        request: &Request,
        store: &impl Store,
    ) -> Result<Decision, StoreError> {
        let membership =
            match membership::open(text.as_bytes(), &self.cluster, &request.key, &self.revocations) {
                Ok(membership) => membership,
                Err(fault) => {
                    let cause = match &fault {
                        MembershipError::Document(fault) => cause_of_document(fault),
                        MembershipError::Foreign { .. } => Cause::Foreign,
                        MembershipError::Stolen { .. } => Cause::Stolen,
                        MembershipError::Revoked { .. } => Cause::Revoked,
                    };
                    return Ok(refuse(cause, fault.to_string()));
                }
            };
        match (store.joined(&membership.node)?, membership.transient) {
            (Some(known), _)
                if known.generation == membership.generation
                    && known.key != membership.key
                    && known.revoked.is_none() =>
            {
                let reason = format!("`{}` is the node of key {}", membership.node, known.key.fingerprint());
                return Ok(refuse(Cause::Superseded, reason));
            }
            (None, Some(days)) => {
                let reason = format!("`{}` could be away for {days}, and is forgotten", membership.node);
                return Ok(refuse(Cause::Forgotten, reason));
            }
            // A control plane that was re-created knows nobody: then a resident's membership alone is enough.
            _ => {}
        }
        let node = (membership.node, membership.role);
        let decided = Decided::new(request, node, membership.address, membership.generation);
        Ok(Ok(decided.transient(membership.transient)))
    }

    /// `node` is what the box is, if it is one already.
    fn by_approval(
        &self,
        node: Option<&str>,
        request: &Request,
        from: &str,
        store: &impl Store,
    ) -> Result<Decision, StoreError> {
        let code = Code::of(&request.key, &self.cluster.membership_key, &request.first_challenge);
        let known = store.waiting(&code)?.filter(|waiting| waiting.key == request.key);
        match (known.and_then(|waiting| waiting.verdict), node) {
            (Some(Verdict::Rejected), _) => {
                Ok(refuse(Cause::Rejected, format!("the claim with code {code} was rejected")))
            }
            // Before anything is kept or forgotten: who is the other node stays it.
            (Some(Verdict::Approved { node: named, .. }), Some(own)) if named != own => {
                let reason =
                    format!("the claim with code {code} was approved as `{named}`, this box is `{own}`");
                Ok(refuse(Cause::Misnamed, reason))
            }
            (Some(Verdict::Approved { node, role, address, generation, record, transient }), _) => {
                let decided = Decided::new(request, (node, role), address, generation).transient(transient);
                Ok(Ok(Decided { record, ..decided }))
            }
            (None, _) => {
                let (hardware, from, node) =
                    (request.hardware.clone(), from.to_owned(), node.map(str::to_owned));
                let waiting =
                    Waiting { code: code.clone(), key: request.key, hardware, from, node, verdict: None };
                store.wait(&waiting)?;
                Ok(Err(Reply::Waiting { code }))
            }
        }
    }

    /// Everything after the decision; the same for all rights.
    fn join(&self, decided: Decided, now: SystemTime, store: &impl Store) -> Result<Reply, StoreError> {
        let Decided { mut node, record } = decided;
        if self.is_hub(&node.node) {
            let reason = format!("`{}` is a control plane, which claims nothing", node.node);
            return Ok(Reply::Refused { cause: Cause::Misnamed, reason });
        }
        let before = store.joined(&node.node)?;
        if before.as_ref().is_none_or(|before| before.generation < node.generation) {
            // Before the node is kept: a power cut in between leaves the generation low, and this is done again.
            store.forget_password(&node.node)?;
        }
        if node.transient.is_some() {
            node.claimed = Some(time(now));
        }
        let kept = store.keep(&node)?;
        if let Some(since) = kept.revoked {
            let reason =
                format!("generation {} of `{}` is revoked since {since}", kept.generation, node.node);
            return Ok(Reply::Refused { cause: Cause::Revoked, reason });
        }
        if kept.generation > node.generation {
            let reason = format!(
                "generation {} of `{}` has joined since, this is generation {}",
                kept.generation, node.node, node.generation
            );
            return Ok(Reply::Refused { cause: Cause::Superseded, reason });
        }
        let (id, secret, expires) = self.token(now);
        store.ensure_token(&id, &secret, expires)?;
        let peers = self.peers_of(&node, store)?;
        let membership = Membership {
            cluster: self.cluster.id,
            node: node.node.clone(),
            role: node.role,
            address: node.address,
            key: node.key,
            wireguard: node.wireguard,
            generation: node.generation,
            transient: node.transient,
        };
        let Ok(membership) = document::sign(&membership, &self.membership_key) else {
            // A membership is made of texts and numbers: this does not happen, and must not bring the service down.
            return Ok(Reply::Later { seconds: RETRY });
        };
        Ok(Reply::Granted(Box::new(Grant {
            membership,
            address: node.address,
            peers,
            node_password: self.password_key.password(&self.cluster.id, &node.node, node.generation),
            token: format!("K10{}::{id}.{secret}", self.k3s_hash),
            record,
        })))
    }

    /// Whom a node has tunnels with: all cloud nodes, and as one of them all nodes.
    pub(super) fn peers_of(&self, node: &Joined, store: &impl Store) -> Result<Vec<Peer>, StoreError> {
        let others = match node.role {
            Role::Edge => store.workers()?,
            Role::Worker | Role::ControlPlane => store.all_joined()?,
        };
        let others = others.into_iter().filter(|other| !self.is_hub(&other.node)).map(Peer::from);
        Ok(self.hubs.iter().cloned().chain(others).filter(|peer| peer.node != node.node).collect())
    }

    fn is_hub(&self, node: &str) -> bool {
        self.hubs.iter().any(|hub| hub.node == node)
    }

    /// The bootstrap token of this time: any control-plane node makes the same, so that a thousand claims make few
    /// Secrets. Of the form that Kubernetes asks for, `[a-z0-9]{6}.[a-z0-9]{16}`.
    fn token(&self, now: SystemTime) -> (String, String, SystemTime) {
        let seconds = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let slot = seconds / TOKEN_SLOT.as_secs();
        let bytes = keyed_hash(self.membership_key.as_bytes(), "imgbuild bootstrap token")
            .chain_update(slot.to_be_bytes())
            .finalize()
            .into_bytes();
        let letter = |byte: &u8| char::from(b"abcdefghijklmnopqrstuvwxyz234567"[usize::from(byte % 32)]);
        let text: String = bytes.iter().map(letter).collect();
        let begun = Duration::from_secs(slot.saturating_mul(TOKEN_SLOT.as_secs()));
        let expires = SystemTime::UNIX_EPOCH + begun + TOKEN_SLOT + TOKEN_LIFE;
        (text[..6].to_owned(), text[6..22].to_owned(), expires)
    }
}

/// A node that may join.
struct Decided {
    node: Joined,
    /// The record that a person's word came with.
    record: Option<String>,
}

impl Decided {
    fn new(request: &Request, (node, role): (String, Role), address: Ipv4Addr, generation: u64) -> Self {
        let (key, wireguard) = (request.key, request.wireguard.clone());
        let endpoints = request.endpoints.clone().believed(role);
        let node = Joined {
            node,
            role,
            address,
            key,
            wireguard,
            endpoints,
            generation,
            revoked: None,
            transient: None,
            claimed: None,
        };
        Self { node, record: None }
    }

    fn transient(mut self, days: Option<AwayDays>) -> Self {
        self.node.transient = days;
        self
    }
}

/// The node that may join, or what is answered instead.
type Decision = Result<Decided, Reply>;

fn refuse(cause: Cause, reason: String) -> Decision {
    Err(Reply::Refused { cause, reason })
}

pub(super) fn cause_of_document(fault: &DocumentError) -> Cause {
    match fault {
        DocumentError::Forged { .. } => Cause::Forged,
        _ => Cause::Malformed,
    }
}

impl From<Joined> for Peer {
    fn from(node: Joined) -> Self {
        Self {
            node: node.node,
            role: node.role,
            key: node.wireguard,
            address: node.address,
            endpoint: node.endpoints.public,
            private_endpoint: node.endpoints.private,
        }
    }
}
