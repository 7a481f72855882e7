//! What nodes say of themselves.

use super::peers::worker;
use super::*;
use crate::claim::message::ReportReply;
use crate::claim::report::{Report, Reports};
use crate::status::Phase;

fn report(node: &str) -> NodeReport {
    NodeReport {
        node: node.to_owned(),
        role: Role::Edge,
        phase: Phase::Connecting,
        since: "2027-01-15T07:00:00Z".to_owned(),
        reason: "no packet".to_owned(),
        hint: None,
        overdue: true,
        root_hash: Some("ab".repeat(32)),
        slot: Some("a".to_owned()),
        generation: None,
        standing: None,
        unpinned: vec!["k3s".to_owned()],
        at: "2001-01-01T00:00:00Z".to_owned(),
    }
}

/// A service that has heard of `edge1`, the machine 1.
struct Hearing {
    store: Memory,
    reports: Reports,
}

impl Hearing {
    fn new() -> Self {
        let store = Memory::default();
        granted(machine(1).ask(with(&ticket()), &store));
        Self { store, reports: Reports::default() }
    }

    fn hear_at(&self, at: SystemTime, seed: u8, report: NodeReport) -> ReportReply {
        let challenge = Challenger::new(&membership_key()).make(now());
        let machine = if seed == 9 { worker().0 } else { machine(seed) };
        let report = Report { challenge, key: machine.key(), endpoints: machine.endpoints.clone(), report };
        let text = document::sign(&report, &node_key(seed)).unwrap();
        self.reports.take(text.as_bytes(), at, &service(), &self.store)
    }

    fn hear(&self, seed: u8, report: NodeReport) -> ReportReply {
        self.hear_at(now(), seed, report)
    }
}

/// As edges are answered where there are no workers.
fn taken() -> ReportReply {
    ReportReply::Taken { peers: service().hubs }
}

fn refused(reply: ReportReply) -> (Cause, String) {
    match reply {
        ReportReply::Refused { cause, reason } => (cause, reason),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_member_is_heard_with_the_time_of_who_hears_it() {
    let hearing = Hearing::new();
    assert_eq!(hearing.hear(1, report("edge1")), taken());
    let expected = NodeReport { at: "2027-01-15T08:00:00Z".to_owned(), ..report("edge1") };
    assert_eq!(hearing.store.reported("edge1"), Some(expected));
}

#[test]
fn who_reports_hears_of_nodes_that_have_joined_since() {
    let hearing = Hearing::new();
    let (machine, ticket) = worker();
    granted(machine.ask(with(&ticket), &hearing.store));
    let ReportReply::Taken { peers } = hearing.hear(1, report("edge1")) else { panic!("it is refused") };
    assert_eq!(peers.iter().map(|peer| peer.node.as_str()).collect::<Vec<_>>(), ["cp1", "worker1"]);
}

#[test]
fn a_worker_that_moves_says_so_in_its_report() {
    let hearing = Hearing::new();
    let (machine, ticket) = worker();
    let elsewhere = PeerEndpoints { public: Some("old.example.org:51820".to_owned()), private: None };
    granted(Machine { endpoints: elsewhere, ..machine.clone() }.ask(with(&ticket), &hearing.store));
    hearing.hear(9, NodeReport { role: Role::Worker, ..report("worker1") });
    assert_eq!(hearing.store.workers().unwrap()[0].endpoints, machine.endpoints);
}

#[test]
fn only_the_key_that_has_joined_speaks_for_a_node_until_it_is_revoked() {
    let hearing = Hearing::new();
    for (seed, node) in [(2, "edge1"), (1, "edge2"), (1, "cp1")] {
        let expected = format!("`{node}` is not the node of this key");
        assert_eq!(refused(hearing.hear(seed, report(node))), (Cause::Stolen, expected));
    }
    // Nothing of this becomes a part of a path.
    for node in ["", "../edge1", "edge1?watch=true", "7qk2-m4td.waiting"] {
        let expected = "`node` is no name of a node".to_owned();
        assert_eq!(refused(hearing.hear(1, report(node))), (Cause::Malformed, expected), "{node}");
    }
    hearing.store.objects().joined.get_mut("edge1").unwrap().revoked =
        Some("2027-01-15T09:00:00Z".to_owned());
    let revoked = (Cause::Revoked, "`edge1` is revoked".to_owned());
    assert_eq!(refused(hearing.hear(1, report("edge1"))), revoked);
    assert_eq!(hearing.store.reported("edge1"), None);
}

#[test]
fn a_report_is_no_recording_and_no_nonsense() {
    let hearing = Hearing::new();
    let late = hearing.hear_at(now() + Duration::from_mins(5), 1, report("edge1"));
    assert_eq!(refused(late).0, Cause::Challenge);
    let claim = document::sign(&machine(1).request(Right::Approval, now()), &node_key(1)).unwrap();
    for text in [b"".as_slice(), b"imgbuild-report.e30.AAAA", claim.as_bytes(), &vec![0xff; 300_000]] {
        let reply = hearing.reports.take(text, now(), &service(), &hearing.store);
        assert_eq!(refused(reply).0, Cause::Malformed);
    }
}

#[test]
fn who_talks_all_the_time_is_heard_now_and_then() {
    let hearing = Hearing::new();
    let at = |seconds| hearing.hear_at(now() + Duration::from_secs(seconds), 1, report("edge1"));
    let later = ReportReply::Later { seconds: 10 };
    assert_eq!([at(0), at(1), at(4), at(5)], [taken(), later.clone(), later, taken()]);
    // Others are not kept waiting for it.
    let other = Ticket { node: "edge2".to_owned(), nonce: ClusterId([10; 16]), ..ticket() };
    granted(machine(2).ask(with(&other), &hearing.store));
    assert_eq!(hearing.hear_at(now() + Duration::from_secs(5), 2, report("edge2")), taken());
    // A service that has no API says so.
    hearing.store.cut_after(Some(1));
    assert_eq!(at(20), ReportReply::Later { seconds: 10 });
}

#[test]
fn what_a_node_says_neither_fills_a_screen_nor_plays_with_it() {
    let hearing = Hearing::new();
    let loud = NodeReport {
        reason: format!("\u{1b}[2J\u{202e}{}", "x".repeat(1000)),
        hint: Some("a\nb".to_owned()),
        unpinned: vec!["y".repeat(100); 100],
        ..report("edge1")
    };
    assert_eq!(hearing.hear(1, loud), taken());
    let kept = hearing.store.reported("edge1").unwrap();
    assert_eq!(kept.reason, format!("\u{fffd}[2J\u{fffd}{}", "x".repeat(395)));
    assert_eq!(kept.hint.as_deref(), Some("a\u{fffd}b"));
    assert_eq!(kept.unpinned, vec!["y".repeat(64); 16]);
}
