mod events;
mod peers;
mod reports;
mod transients;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use super::challenge::Challenger;
use super::code::Code;
use super::event::ClaimEvent;
use super::message::{Cause, Grant, Reply, Request, Right};
use super::report::NodeReport;
use super::service::Service;
use super::store::{Burnt, Joined, Store, StoreError, Verdict, Waiting};
use crate::cluster::ClusterId;
use crate::cluster::tests::{example as cluster, membership_key, operator_key, ticket_key};
use crate::document;
use crate::membership::Membership;
use crate::membership::tests::node_key;
use crate::node_password::NodePasswordKey;
use crate::peers::{Peer, PeerEndpoints};
use crate::public_key::PublicKey;
use crate::record::{Revocation, Role};
use crate::ticket::tests::{example as ticket, now};
use crate::ticket::{Hardware, Nonce, Ticket};

/// The objects, in memory. After `operations_left` operations the power is gone.
#[derive(Clone, Debug, Default, PartialEq)]
struct Objects {
    burnt: BTreeMap<Nonce, Burnt>,
    joined: BTreeMap<String, Joined>,
    /// Generation under which k3s has got the password of a node, by what was forgotten when.
    forgotten: Vec<String>,
    tokens: BTreeMap<String, (String, SystemTime)>,
    waiting: BTreeMap<Code, Waiting>,
    reports: BTreeMap<String, NodeReport>,
    /// Messages, by node, outcome and key.
    events: BTreeMap<(String, bool, String), String>,
}

#[derive(Default)]
pub(crate) struct Memory {
    objects: Mutex<Objects>,
    operations_left: Mutex<Option<u32>>,
}

impl Memory {
    fn objects(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().unwrap()
    }

    pub(crate) fn cut_after(&self, operations: Option<u32>) {
        *self.operations_left.lock().unwrap() = operations;
    }

    /// A person's word on all that wait.
    pub(crate) fn decide(&self, verdict: &Verdict) {
        for waiting in self.objects().waiting.values_mut() {
            waiting.verdict = Some(verdict.clone());
        }
    }

    /// A person's word on a node that has joined.
    pub(crate) fn revoke(&self, node: &str) {
        self.objects().joined.get_mut(node).unwrap().revoked = Some("2027-01-15T09:00:00Z".to_owned());
    }

    /// All traces of a node are removed.
    pub(crate) fn forget(&self, node: &str) {
        let mut objects = self.objects();
        objects.joined.remove(node).unwrap();
        objects.waiting.clear();
    }

    /// What a node has said of itself.
    pub(crate) fn reported(&self, node: &str) -> Option<NodeReport> {
        self.objects().reports.get(node).cloned()
    }

    pub(crate) fn count_burnt(&self) -> usize {
        self.objects().burnt.len()
    }

    fn operate<T>(&self, operation: impl FnOnce(&mut Objects) -> T) -> Result<T, StoreError> {
        if let Some(left) = self.operations_left.lock().unwrap().as_mut() {
            *left =
                left.checked_sub(1).ok_or_else(|| StoreError::NotReady("the power is gone".to_owned()))?;
        }
        Ok(operation(&mut self.objects()))
    }
}

impl Store for Memory {
    fn burn(&self, nonce: Nonce, burnt: &Burnt) -> Result<Burnt, StoreError> {
        self.operate(|objects| objects.burnt.entry(nonce).or_insert_with(|| burnt.clone()).clone())
    }

    fn joined(&self, node: &str) -> Result<Option<Joined>, StoreError> {
        self.operate(|objects| objects.joined.get(node).cloned())
    }

    fn all_joined(&self) -> Result<Vec<Joined>, StoreError> {
        self.operate(|objects| {
            objects.joined.values().filter(|node| node.revoked.is_none()).cloned().collect()
        })
    }

    fn workers(&self) -> Result<Vec<Joined>, StoreError> {
        let all = self.all_joined()?;
        Ok(all.into_iter().filter(|node| node.role == Role::Worker).collect())
    }

    fn keep(&self, node: &Joined) -> Result<Joined, StoreError> {
        self.operate(|objects| {
            let known = objects.joined.entry(node.node.clone()).or_insert_with(|| node.clone());
            if !known.stays_before(node) {
                *known = node.clone();
            }
            known.clone()
        })
    }

    fn forget_password(&self, node: &str) -> Result<(), StoreError> {
        self.operate(|objects| objects.forgotten.push(node.to_owned()))
    }

    fn ensure_token(&self, id: &str, secret: &str, expires: SystemTime) -> Result<(), StoreError> {
        self.operate(|objects| drop(objects.tokens.insert(id.to_owned(), (secret.to_owned(), expires))))
    }

    fn waiting(&self, code: &Code) -> Result<Option<Waiting>, StoreError> {
        self.operate(|objects| objects.waiting.get(code).cloned())
    }

    fn wait(&self, waiting: &Waiting) -> Result<(), StoreError> {
        self.operate(|objects| {
            objects.waiting.entry(waiting.code.clone()).or_insert_with(|| waiting.clone());
        })
    }

    fn tell(&self, event: &ClaimEvent) -> Result<(), StoreError> {
        self.operate(|objects| {
            let key = (event.node.clone(), event.is_refused, event.key.fingerprint().to_string());
            objects.events.entry(key).or_insert_with(|| event.message.clone());
        })
    }

    fn report(&self, report: &NodeReport) -> Result<(), StoreError> {
        self.operate(|objects| drop(objects.reports.insert(report.node.clone(), report.clone())))
    }
}

pub(crate) fn service() -> Service {
    Service {
        cluster: cluster(),
        membership_key: membership_key(),
        password_key: NodePasswordKey::new([5; 32]),
        revocations: vec![Revocation { node: "edge9".to_owned(), minimum_generation: u32::MAX }],
        hubs: vec![Peer {
            node: "cp1".to_owned(),
            role: Role::ControlPlane,
            key: wireguard(0xcc),
            address: std::net::Ipv4Addr::new(10, 44, 0, 1),
            endpoint: Some("cp.example.org:51820".to_owned()),
            private_endpoint: None,
        }],
        k3s_hash: "ab".repeat(32),
    }
}

pub(crate) fn wireguard(byte: u8) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode([byte; 32])
}

/// A machine with a key of its own.
#[derive(Clone)]
struct Machine {
    seed: u8,
    hardware: Hardware,
    endpoints: PeerEndpoints,
    began: SystemTime,
}

fn machine(seed: u8) -> Machine {
    Machine { seed, hardware: Hardware::default(), endpoints: PeerEndpoints::default(), began: now() }
}

impl Machine {
    fn key(&self) -> PublicKey {
        PublicKey::of(&node_key(self.seed))
    }

    fn request(&self, right: Right, at: SystemTime) -> Request {
        let challenger = Challenger::new(&membership_key());
        Request {
            challenge: challenger.make(at),
            first_challenge: challenger.make(self.began),
            key: self.key(),
            wireguard: wireguard(self.seed),
            hardware: self.hardware.clone(),
            endpoints: self.endpoints.clone(),
            right,
        }
    }

    fn ask_at(&self, right: Right, at: SystemTime, store: &Memory) -> Reply {
        let request = document::sign(&self.request(right, at), &node_key(self.seed)).unwrap();
        service().answer(request.as_bytes(), "198.51.100.7", at, store)
    }

    fn ask(&self, right: Right, store: &Memory) -> Reply {
        self.ask_at(right, now(), store)
    }
}

pub(crate) fn with(ticket: &Ticket) -> Right {
    Right::Ticket(document::sign(ticket, &ticket_key()).unwrap())
}

fn granted(reply: Reply) -> Grant {
    match reply {
        Reply::Granted(grant) => *grant,
        other => panic!("{other:?}"),
    }
}

fn refused(reply: Reply) -> (Cause, String) {
    match reply {
        Reply::Refused { cause, reason } => (cause, reason),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_ticket_brings_all_that_a_node_needs_and_is_answered_again_for_the_same_key() {
    let store = Memory::default();
    let grant = granted(machine(1).ask(with(&ticket()), &store));
    assert_eq!(grant.peers, service().hubs);
    assert_eq!(grant.node_password.len(), 64);
    let token = grant.token.strip_prefix(&format!("K10{}::", "ab".repeat(32))).unwrap();
    let (id, secret) = token.split_once('.').unwrap();
    assert_eq!((id.len(), secret.len()), (6, 16), "{token}");
    let (kept, expires) = store.objects().tokens[id].clone();
    assert_eq!(kept, secret);
    let life = expires.duration_since(now()).unwrap();
    assert!(life >= Duration::from_mins(15) && life <= Duration::from_mins(20), "{life:?}");
    let membership: Membership =
        document::open(grant.membership.as_bytes(), &cluster().membership_key).unwrap();
    assert_eq!((membership.node.as_str(), membership.key), ("edge1", machine(1).key()));
    // The reply was lost.
    let again = granted(machine(1).ask_at(with(&ticket()), now() + Duration::from_mins(1), &store));
    assert_eq!((again.membership, again.node_password), (grant.membership, grant.node_password));
    assert_eq!(store.objects().forgotten, ["edge1"], "once, for its first generation");
}

#[test]
fn a_used_ticket_names_the_first_machine_and_leaves_everything_as_it_is() {
    let store = Memory::default();
    granted(machine(1).ask(with(&ticket()), &store));
    let before = store.objects().clone();
    let (cause, reason) = refused(machine(2).ask(with(&ticket()), &store));
    assert_eq!(cause, Cause::Used);
    let first = machine(1).key().fingerprint();
    let expected =
        format!("the ticket of `edge1` was used at 2027-01-15T08:00:00Z by key {first}, from 198.51.100.7");
    assert_eq!(reason, expected);
    let mut after = store.objects().clone();
    after.events.clone_from(&before.events);
    assert_eq!(after, before);
}

#[test]
fn every_wrong_ticket_has_its_own_refusal_and_burns_nothing() {
    let store = Memory::default();
    let forged = Right::Ticket(document::sign(&ticket(), &operator_key()).unwrap());
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(ticket().not_after) + Duration::from_mins(6);
    let cases = [
        (forged, now(), Cause::Forged),
        (Right::Ticket("ticket".to_owned()), now(), Cause::Malformed),
        (with(&ticket()), old, Cause::Expired),
        (with(&Ticket { cluster: ClusterId([1; 16]), ..ticket() }), now(), Cause::Foreign),
        (with(&Ticket { epoch: 2, ..ticket() }), now(), Cause::Epoch),
        (with(&Ticket { serial: Some("SN1".to_owned()), ..ticket() }), now(), Cause::Hardware),
        (with(&Ticket { node: "edge9".to_owned(), ..ticket() }), now(), Cause::Revoked),
    ];
    for (right, at, expected) in cases {
        let machine = Machine { began: at, ..machine(1) };
        let (cause, reason) = refused(machine.ask_at(right, at, &store));
        assert_eq!(cause, expected, "{reason}");
    }
    assert_eq!(*store.objects(), Objects::default());
}

#[test]
fn a_request_that_is_not_fresh_or_not_signed_by_its_key_is_refused() {
    let store = Memory::default();
    let request = machine(1).request(with(&ticket()), now());
    let answer = |request: &Request, seed, at| {
        let text = document::sign(request, &node_key(seed)).unwrap();
        refused(service().answer(text.as_bytes(), "::1", at, &store)).0
    };
    assert_eq!(answer(&request, 2, now()), Cause::Forged);
    assert_eq!(
        answer(&request, 1, now() + Duration::from_mins(5)),
        Cause::Challenge,
        "recorded and replayed"
    );
    let foreign = Challenger::new(&operator_key()).make(now());
    assert_eq!(answer(&Request { first_challenge: foreign, ..request.clone() }, 1, now()), Cause::Challenge);
    assert_eq!(answer(&Request { wireguard: "AAAA".to_owned(), ..request }, 1, now()), Cause::Malformed);
    for text in [&b""[..], b"GET / HTTP/1.1", b"imgbuild-claim.e30.AAAA", &vec![0xff; 300_000]] {
        assert_eq!(refused(service().answer(text, "::1", now(), &store)).0, Cause::Malformed);
    }
    assert_eq!(*store.objects(), Objects::default());
}

#[test]
fn a_node_that_is_imaged_anew_replaces_itself_and_the_old_one_is_told() {
    let store = Memory::default();
    let old = granted(machine(1).ask(with(&ticket()), &store));
    let newer = Ticket { generation: 3_000_002, nonce: ClusterId([8; 16]), ..ticket() };
    let new = granted(machine(2).ask(with(&newer), &store));
    assert_ne!(old.node_password, new.node_password);
    assert_eq!(store.objects().forgotten, ["edge1", "edge1"], "k3s must take the new password");
    let (cause, reason) = refused(machine(1).ask(Right::Membership(old.membership), &store));
    let expected = "generation 3000002 of `edge1` has joined since, this is generation 3000001";
    assert_eq!((cause, reason.as_str()), (Cause::Superseded, expected));
    // The first ticket was burnt by the first machine, which is answered, but no longer joins.
    assert_eq!(refused(machine(1).ask(with(&ticket()), &store)).0, Cause::Superseded);
}

#[test]
fn a_member_comes_back_to_a_control_plane_that_knows_nobody() {
    let grant = granted(machine(1).ask(with(&ticket()), &Memory::default()));
    let empty = Memory::default();
    let years = now() + Duration::from_hours(5 * 365 * 24);
    let machine = Machine { began: years, ..machine(1) };
    let back = granted(machine.ask_at(Right::Membership(grant.membership.clone()), years, &empty));
    assert_eq!(back.node_password, grant.node_password);
    assert_ne!(back.token, grant.token);
    assert_eq!(empty.objects().joined["edge1"].key, machine.key());
    // Somebody who has only read the membership.
    let thief = Machine { seed: 2, ..machine };
    assert_eq!(refused(thief.ask_at(Right::Membership(grant.membership), years, &empty)).0, Cause::Stolen);
}

#[test]
fn a_box_without_a_ticket_waits_for_a_person() {
    let store = Memory::default();
    let Reply::Waiting { code } = machine(1).ask(Right::Approval, &store) else { panic!("no code") };
    // It shows the same code for as long as it waits.
    let later = now() + Duration::from_hours(48);
    assert_eq!(machine(1).ask_at(Right::Approval, later, &store), Reply::Waiting { code: code.clone() });
    let verdict = |verdict| {
        let mut objects = store.objects();
        objects.waiting.get_mut(&code).unwrap().verdict = Some(verdict);
    };
    verdict(Verdict::Approved {
        node: "edge7".to_owned(),
        role: Role::Edge,
        address: std::net::Ipv4Addr::new(10, 44, 1, 7),
        generation: 3_000_009,
        record: Some("imgbuild-record.e30.AAAA".to_owned()),
        transient: None,
    });
    let grant = granted(machine(1).ask_at(Right::Approval, later, &store));
    let membership: Membership =
        document::open(grant.membership.as_bytes(), &cluster().membership_key).unwrap();
    assert_eq!((membership.node.as_str(), membership.generation), ("edge7", 3_000_009));
    assert_eq!(grant.record.as_deref(), Some("imgbuild-record.e30.AAAA"), "as the operator has signed it");
    assert!(matches!(machine(2).ask(Right::Approval, &store), Reply::Waiting { .. }), "not for another key");
    verdict(Verdict::Rejected);
    assert_eq!(refused(machine(1).ask_at(Right::Approval, later, &store)).0, Cause::Rejected);
}

#[test]
fn who_is_revoked_while_the_cluster_runs_is_refused_until_a_newer_ticket_comes() {
    let store = Memory::default();
    let grant = granted(machine(1).ask(with(&ticket()), &store));
    store.revoke("edge1");
    assert_eq!(store.all_joined().unwrap(), [], "nobody keeps a tunnel with it");
    let expected = "generation 3000001 of `edge1` is revoked since 2027-01-15T09:00:00Z";
    let older = Ticket { generation: 3_000_000, nonce: ClusterId([6; 16]), ..ticket() };
    for right in [Right::Membership(grant.membership), with(&ticket()), with(&older)] {
        let (cause, reason) = refused(machine(1).ask(right, &store));
        assert_eq!((cause, reason.as_str()), (Cause::Revoked, expected));
    }
    let newer = Ticket { generation: 3_000_002, nonce: ClusterId([8; 16]), ..ticket() };
    granted(machine(2).ask(with(&newer), &store));
    assert_eq!(store.objects().joined["edge1"].revoked, None);
    assert_eq!(store.all_joined().unwrap().len(), 1);
}

#[test]
fn a_ticket_that_asks_for_approval_is_not_burnt_before() {
    let store = Memory::default();
    let careful = Ticket { approve: true, ..ticket() };
    let Reply::Waiting { code } = machine(2).ask(with(&careful), &store) else { panic!("no code") };
    assert_eq!(store.objects().waiting[&code].node.as_deref(), Some("edge1"));
    store.objects().waiting.get_mut(&code).unwrap().verdict = Some(Verdict::Rejected);
    assert_eq!(refused(machine(2).ask(with(&careful), &store)).0, Cause::Rejected);
    assert!(store.objects().burnt.is_empty(), "the thief was rejected, the owner may come");
    let Reply::Waiting { code } = machine(1).ask(with(&careful), &store) else { panic!("no code") };
    let approved = Verdict::Approved {
        node: "edge1".to_owned(),
        role: Role::Edge,
        address: careful.address,
        generation: careful.generation,
        record: None,
        transient: None,
    };
    store.objects().waiting.get_mut(&code).unwrap().verdict = Some(approved);
    granted(machine(1).ask(with(&careful), &store));
    assert_eq!(store.objects().burnt[&careful.nonce].key, machine(1).key());
}

#[test]
fn a_box_that_is_a_node_and_is_approved_as_another_gets_nothing_and_leaves_the_other_as_it_is() {
    let approved = |node: &str| Verdict::Approved {
        node: node.to_owned(),
        role: Role::Edge,
        address: ticket().address,
        generation: 3_000_009,
        record: None,
        transient: None,
    };
    let careful = Ticket { approve: true, nonce: ClusterId([8; 16]), ..ticket() };
    for (seed, right) in [(1, Right::ApprovalAs("edge1".to_owned())), (2, with(&careful))] {
        let store = Memory::default();
        granted(machine(7).ask(with(&Ticket { node: "edge2".to_owned(), ..ticket() }), &store));
        let Reply::Waiting { code } = machine(seed).ask(right.clone(), &store) else { panic!("no code") };
        assert_eq!(store.objects().waiting[&code].node.as_deref(), Some("edge1"), "the operator can see it");
        store.decide(&approved("edge2"));
        let before = store.objects().clone();
        let (cause, reason) = refused(machine(seed).ask(right.clone(), &store));
        let expected = format!("the claim with code {code} was approved as `edge2`, this box is `edge1`");
        assert_eq!((cause, reason), (Cause::Misnamed, expected));
        assert_eq!(*store.objects(), before);
        // Its next code.
        let again = Machine { began: now() + Duration::from_secs(1), ..machine(seed) };
        assert!(matches!(again.ask(right.clone(), &store), Reply::Waiting { .. }));
        store.decide(&approved("edge1"));
        granted(again.ask(right, &store));
        let joined = store.objects().joined.clone();
        assert_eq!(joined["edge1"].key, machine(seed).key());
        assert_eq!(joined["edge2"].key, machine(7).key());
    }
}

#[test]
fn a_box_that_says_to_be_what_no_node_is_called_is_not_kept() {
    let store = Memory::default();
    for name in ["", "edge1.waiting", "Edge1", "\u{1b}[2J"] {
        let (cause, reason) = refused(machine(1).ask(Right::ApprovalAs(name.to_owned()), &store));
        assert_eq!((cause, reason.as_str()), (Cause::Malformed, "`approvalAs` is no name of a node"));
    }
    assert_eq!(*store.objects(), Objects::default());
}

#[test]
fn a_power_cut_between_any_two_operations_is_made_good_by_asking_again() {
    let whole = Memory::default();
    let expected = granted(machine(1).ask(with(&ticket()), &whole));
    let mut cuts = 0;
    for operations in 0.. {
        let store = Memory::default();
        store.cut_after(Some(operations));
        let first = machine(1).ask(with(&ticket()), &store);
        store.cut_after(None);
        match first {
            Reply::Later { seconds } => assert_eq!(seconds, 10),
            reply => {
                assert_eq!(granted(reply), expected);
                break;
            }
        }
        cuts += 1;
        assert_eq!(granted(machine(1).ask(with(&ticket()), &store)), expected, "after {operations}");
        let (mut found, wanted) = (store.objects().clone(), whole.objects().clone());
        assert!(!found.forgotten.is_empty(), "k3s forgets the old password, maybe twice");
        found.forgotten.clone_from(&wanted.forgotten);
        assert_eq!(found, wanted, "after {operations}");
        assert_eq!(refused(machine(2).ask(with(&ticket()), &store)).0, Cause::Used);
    }
    assert!(cuts >= 5, "{cuts} operations");
}

#[test]
fn the_same_time_has_the_same_token_and_another_time_another() {
    let token = |minutes| {
        let at = now() + Duration::from_mins(minutes);
        let machine = Machine { began: at, ..machine(1) };
        granted(machine.ask_at(with(&ticket()), at, &Memory::default())).token
    };
    assert_eq!(token(0), token(4));
    assert_ne!(token(0), token(5));
}

#[test]
fn a_grant_shows_no_secret() {
    let grant = granted(machine(1).ask(with(&ticket()), &Memory::default()));
    let shown = format!("{grant:?}");
    assert!(!shown.contains(&grant.token) && !shown.contains(&grant.node_password), "{shown}");
}
