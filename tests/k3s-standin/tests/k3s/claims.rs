//! The claim service over a cluster's API: what it grants is good for joining, and what it keeps outlives it.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;
use firstboot::claim::challenge::{Challenge, Challenger};
use firstboot::claim::message::{Cause, Grant, Reply, Request, Right};
use firstboot::claim::objects::{DecisionError, Objects, definitions};
use firstboot::claim::report::NodeReport;
use firstboot::claim::service::Service;
use firstboot::claim::store::{Joined, Store as _, Verdict};
use firstboot::cluster::{self, ClusterId, ClusterRecord};
use firstboot::document;
use firstboot::kubernetes::Api;
use firstboot::kubernetes::resources::Resources;
use firstboot::node_password::NodePasswordKey;
use firstboot::peers::PeerEndpoints;
use firstboot::public_key::PublicKey;
use firstboot::record::{Role, VpnKind};
use firstboot::slot::Generation;
use firstboot::slot::node::Standing;
use firstboot::status::Phase;
use firstboot::ticket::{self, Hardware, Ticket};
use k3s_standin::token::Token;

use crate::process::{Server, wait_for};

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

const TICKETS: u8 = 0x71;
const MEMBERSHIPS: u8 = 0x72;

pub(crate) fn service(server: &Server) -> Service {
    Service {
        cluster: ClusterRecord {
            version: cluster::VERSION,
            id: ClusterId([0xc1; 16]),
            name: "demo".to_owned(),
            created: 0,
            epoch: 1,
            ticket_key: PublicKey::of(&key(TICKETS)),
            membership_key: PublicKey::of(&key(MEMBERSHIPS)),
            operator_key: PublicKey::of(&key(0x73)),
            claim_addresses: Vec::new(),
            vpn: VpnKind::Wireguard,
        },
        membership_key: key(MEMBERSHIPS),
        password_key: NodePasswordKey::new([5; 32]),
        revocations: Vec::new(),
        hubs: Vec::new(),
        k3s_hash: Token::parse(&server.token()).unwrap().hash.unwrap(),
    }
}

/// The API as a control-plane node uses it, with the definitions in it.
pub(crate) fn api(server: &Server) -> Api {
    let read = |name: &str| std::fs::read(server.data().join("server/tls").join(name)).unwrap();
    let address = server.url().trim_start_matches("https://").parse().unwrap();
    let api = Api::new(address, &read("server-ca.crt"), &read("client-admin.crt"), &read("client-admin.key"));
    let api = api.unwrap();
    // As often as the service is started.
    for _ in 0..2 {
        Resources::new(api.clone()).apply_all(&definitions().unwrap()).unwrap();
    }
    let is_served = || api.get("/apis/imgbuild.org/v1/edgenodes").is_ok_and(|list| list.is_some());
    wait_for("the definitions", is_served, || server.process.log());
    api
}

fn ticket(node: &str, nonce: u8, generation: u64) -> Right {
    let now = SystemTime::now();
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap() + Duration::from_hours(1);
    let ticket = Ticket {
        cluster: ClusterId([0xc1; 16]),
        epoch: 1,
        node: node.to_owned(),
        role: Role::Edge,
        address: std::net::Ipv4Addr::new(10, 44, 1, 1),
        labels: std::collections::BTreeMap::new(),
        not_after: since.as_secs(),
        nonce: ClusterId([nonce; 16]),
        generation,
        serial: None,
        mac: None,
        approve: false,
    };
    Right::Ticket(ticket::mint(&ticket, now, &key(TICKETS)).unwrap())
}

pub(crate) fn challenge() -> Challenge {
    Challenger::new(&key(MEMBERSHIPS)).make(SystemTime::now())
}

pub(crate) fn ask(seed: u8, right: Right, service: &Service, store: &Objects) -> Reply {
    ask_since(challenge(), seed, right, service, store)
}

/// Of a node that was given this challenge first.
pub(crate) fn ask_since(
    first_challenge: Challenge,
    seed: u8,
    right: Right,
    service: &Service,
    store: &Objects,
) -> Reply {
    let now = SystemTime::now();
    let request = Request {
        challenge: challenge(),
        first_challenge,
        key: PublicKey::of(&key(seed)),
        wireguard: STANDARD.encode([seed; 32]),
        hardware: Hardware::default(),
        endpoints: PeerEndpoints::default(),
        right,
    };
    let request = document::sign(&request, &key(seed)).unwrap();
    service.answer(request.as_bytes(), "198.51.100.7", now, store)
}

pub(crate) fn granted(reply: Reply) -> Grant {
    match reply {
        Reply::Granted(grant) => *grant,
        other => panic!("{other:?}"),
    }
}

/// Starts an agent that has the password of its grant, as a node has.
pub(crate) fn join(server: &Server, grant: &Grant, root: &std::path::Path) {
    let folder = root.join("etc/rancher/node");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("password"), &grant.node_password).unwrap();
    let agent = server.agent(root, "edge1", &grant.token, &["--node-ip=10.44.1.1"]);
    server.wait_for_node("edge1", "True", &agent);
}

#[test]
fn a_grant_lets_a_node_join_and_its_successor_replace_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("s"), &["--disable-agent"]).ready();
    let (service, store) = (service(&server), Objects::new(api(&server)));
    let grant = granted(ask(1, ticket("edge1", 1, 1_000_001), &service, &store));
    join(&server, &grant, &folder.path().join("first"));
    // What Longhorn reads of a node, the node writes itself.
    let kept = folder.path().join("first/var/lib/rancher/k3s/agent");
    let read = |name: &str| std::fs::read(kept.join(name)).unwrap();
    let address = server.url().trim_start_matches("https://").parse().unwrap();
    let kubelet =
        Api::new(address, &read("server-ca.crt"), &read("client-kubelet.crt"), &read("client-kubelet.key"));
    let annotations = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": { "name": "edge1", "annotations": { "node.longhorn.io/default-node-tags": "[]" } },
    });
    kubelet.unwrap().apply("/api/v1/nodes/edge1", &annotations).unwrap();
    let jsonpath = "-o=jsonpath={.metadata.annotations.node\\.longhorn\\.io/default-node-tags} {.status.addresses[0].address}";
    assert_eq!(server.run(&["get", "node", "edge1", jsonpath]), "[] 10.44.1.1");
    // Imaged anew: k3s must take another password for the same name, which it never does by itself.
    let newer = granted(ask(2, ticket("edge1", 2, 1_000_002), &service, &store));
    assert_ne!(newer.node_password, grant.node_password);
    join(&server, &newer, &folder.path().join("second"));
    let shown = server.run(&["get", "edgenodes", "edge1", "-o=jsonpath={.spec.generation} {.spec.key}"]);
    assert_eq!(shown, format!("1000002 {}", PublicKey::of(&key(2))));
    let first = ask(1, ticket("edge1", 1, 1_000_001), &service, &store);
    assert!(matches!(first, Reply::Refused { cause: Cause::Superseded, .. }), "{first:?}");
    // A person takes it out of the cluster.
    assert_eq!(store.all_joined().unwrap().len(), 1);
    let revoked = r#"{"spec":{"revoked":"2027-01-15T09:00:00Z"}}"#;
    server.run(&["patch", "edgenodes", "edge1", "--type=merge", "-p", revoked]);
    assert_eq!(store.all_joined().unwrap(), []);
    let second = ask(2, Right::Membership(newer.membership), &service, &store);
    assert!(matches!(second, Reply::Refused { cause: Cause::Revoked, .. }), "{second:?}");
}

#[test]
fn what_is_burnt_outlives_the_service_and_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("s");
    let server = Server::start(&root, &["--disable-agent"]).ready();
    granted(ask(1, ticket("edge1", 1, 1_000_001), &service(&server), &Objects::new(api(&server))));
    let began = challenge();
    let waits = ask_since(began, 3, Right::Approval, &service(&server), &Objects::new(api(&server)));
    let Reply::Waiting { code } = waits else { panic!("{waits:?}") };
    let waiting = format!("{}.waiting", code.object_name());
    assert_eq!(server.run(&["get", "edgenodes", &waiting, "-o=jsonpath={.spec.code}"]), code.to_string());
    server.process.kill();
    let server = Server::start(&root, &["--disable-agent"]).ready();
    let (service, store) = (service(&server), Objects::new(api(&server)));
    let thief = ask(2, ticket("edge1", 1, 1_000_001), &service, &store);
    assert!(matches!(thief, Reply::Refused { cause: Cause::Used, .. }), "{thief:?}");
    granted(ask(1, ticket("edge1", 1, 1_000_001), &service, &store));
    let told =
        "-o=jsonpath={range .items[*]}{.type} {.reason} {.involvedObject.name} {.source.component}, {end}";
    let told = server.run(&["get", "events", "--field-selector=involvedObject.name=edge1", told]);
    assert_eq!(told, "Normal Claimed edge1 imgbuild, Warning ClaimRefused edge1 imgbuild, ");
    // A person's word, by kubectl.
    let verdict = r#"{"spec":{"verdict":{"approved":{"node":"edge7","role":"edge","address":"10.44.1.7","generation":1000009,"record":"signed"}}}}"#;
    server.run(&["patch", "edgenodes", &waiting, "--type=merge", "-p", verdict]);
    let grant = granted(ask_since(began, 3, Right::Approval, &service, &store));
    assert_eq!(grant.address, std::net::Ipv4Addr::new(10, 44, 1, 7));
    assert_eq!(grant.record.as_deref(), Some("signed"));
}

pub(crate) fn joined(node: &str, generation: u64) -> Joined {
    Joined {
        node: node.to_owned(),
        role: Role::Edge,
        address: std::net::Ipv4Addr::new(10, 44, 1, 1),
        key: PublicKey::of(&key(0x73)),
        wireguard: String::new(),
        endpoints: PeerEndpoints::default(),
        generation,
        revoked: None,
        transient: None,
        claimed: None,
    }
}

#[test]
fn workers_are_found_among_all_with_where_they_are_reached() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("s"), &["--disable-agent"]).ready();
    let store = Objects::new(api(&server));
    let (public, private) = ("w1.example.org:51820".to_owned(), "10.0.0.9:51820".to_owned());
    let endpoints = PeerEndpoints { public: Some(public), private: Some(private) };
    let mut worker = Joined { role: Role::Worker, endpoints, ..joined("node1", 1) };
    let edge = joined("node2", 1);
    for node in [&worker, &edge] {
        store.keep(node).unwrap();
    }
    assert_eq!(store.workers().unwrap(), std::slice::from_ref(&worker));
    assert_eq!(store.all_joined().unwrap(), [worker.clone(), edge]);
    // The next machine of that name is an edge.
    (worker.role, worker.generation) = (Role::Edge, 2);
    store.keep(&worker).unwrap();
    assert_eq!(store.workers().unwrap(), []);
}

#[test]
fn what_a_node_says_of_itself_replaces_all_that_it_said_before() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("s"), &["--disable-agent"]).ready();
    let store = Objects::new(api(&server));
    let mut report = NodeReport {
        node: "edge1".to_owned(),
        role: Role::Edge,
        phase: Phase::Connecting,
        since: "2027-01-15T08:00:00Z".to_owned(),
        reason: "no packet".to_owned(),
        hint: Some("UDP must get through".to_owned()),
        overdue: true,
        root_hash: Some("ab".repeat(32)),
        slot: Some("b".to_owned()),
        generation: Some(Generation(2)),
        standing: Some(Standing::Trial),
        unpinned: vec!["k3s".to_owned()],
        at: "2027-01-15T08:00:01Z".to_owned(),
    };
    let kept = || {
        let text = server.run(&["get", "nodereports", "edge1", "-o=jsonpath={.spec}"]);
        serde_json::from_str::<NodeReport>(&text).unwrap()
    };
    store.report(&report).unwrap();
    assert_eq!(kept(), report, "nothing is pruned");
    (report.phase, report.hint, report.overdue) = (Phase::Ready, None, false);
    report.unpinned.clear();
    store.report(&report).unwrap();
    assert_eq!(kept(), report);
    let shown = server.run(&["get", "nodereports", "--no-headers"]);
    assert!(shown.starts_with("edge1   edge   ready "), "{shown}");
}

#[test]
fn a_persons_word_is_said_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("s"), &["--disable-agent"]).ready();
    let (service, store) = (service(&server), Objects::new(api(&server)));
    let began = challenge();
    let wait = |seed| match ask_since(began, seed, Right::Approval, &service, &store) {
        Reply::Waiting { code } => code,
        other => panic!("{other:?}"),
    };
    let (one, other) = (wait(3), wait(4));
    let mut codes: Vec<_> = store.all_waiting().unwrap().into_iter().map(|waiting| waiting.code).collect();
    codes.sort();
    let mut expected = vec![one.clone(), other.clone()];
    expected.sort();
    assert_eq!(codes, expected);
    let approved = |node: &str, generation| Verdict::Approved {
        node: node.to_owned(),
        role: Role::Edge,
        address: std::net::Ipv4Addr::new(10, 44, 1, 7),
        generation,
        record: Some("signed".to_owned()),
        transient: None,
    };
    store.decide(&one, &approved("edge7", 1_000_009)).unwrap();
    let again = store.decide(&one, &approved("edge7", 1_000_010)).unwrap();
    assert_eq!(again.verdict, Some(approved("edge7", 1_000_009)), "what was said first counts");
    for verdict in [approved("edge8", 1_000_011), Verdict::Rejected] {
        let fault = store.decide(&one, &verdict).unwrap_err().to_string();
        assert_eq!(fault, format!("the node with code {one} was approved as `edge7` before"));
    }
    assert_eq!(
        granted(ask_since(began, 3, Right::Approval, &service, &store)).record.as_deref(),
        Some("signed")
    );
    store.decide(&other, &Verdict::Rejected).unwrap();
    let reply = ask_since(began, 4, Right::Approval, &service, &store);
    assert!(matches!(reply, Reply::Refused { cause: Cause::Rejected, .. }), "{reply:?}");
    let nobody = "0000-0000".parse().unwrap();
    assert!(
        matches!(store.decide(&nobody, &Verdict::Rejected), Err(DecisionError::Unknown(code)) if code == nobody)
    );
}

#[test]
fn a_name_that_is_revoked_is_let_in_by_a_newer_ticket_alone() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("s"), &["--disable-agent"]).ready();
    let (service, store) = (service(&server), Objects::new(api(&server)));
    let since = "2027-01-15T09:00:00Z";
    // A stick that was stolen before it was used.
    assert_eq!(store.revoke(&joined("edge1", 1_000_005), since).unwrap(), None);
    assert_eq!(store.all_joined().unwrap(), []);
    let thief = ask(2, ticket("edge1", 1, 1_000_005), &service, &store);
    assert!(matches!(thief, Reply::Refused { cause: Cause::Revoked, .. }), "{thief:?}");
    let grant = granted(ask(1, ticket("edge1", 2, 1_000_006), &service, &store));
    join(&server, &grant, &folder.path().join("a"));
    // A box that was stolen while it ran.
    let had = store.revoke(&joined("edge1", 1_000_007), since).unwrap().unwrap();
    assert_eq!((had.key, had.generation), (PublicKey::of(&key(1)), 1_000_006));
    let reply = ask(1, Right::Membership(grant.membership), &service, &store);
    assert!(matches!(reply, Reply::Refused { cause: Cause::Revoked, .. }), "{reply:?}");
    // Once more changes nothing, and neither does an earlier one.
    for generation in [1_000_007, 1_000_001] {
        store.revoke(&joined("edge1", generation), since).unwrap();
    }
    let old = ask(2, ticket("edge1", 3, 1_000_007), &service, &store);
    assert!(matches!(old, Reply::Refused { cause: Cause::Revoked, .. }), "{old:?}");
    granted(ask(2, ticket("edge1", 4, 1_000_008), &service, &store));
}

#[test]
fn an_api_that_is_gone_is_told_as_not_ready() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("s"), &["--disable-agent"]).ready();
    let (service, store) = (service(&server), Objects::new(api(&server)));
    server.process.kill();
    let reply = ask(1, ticket("edge1", 1, 1_000_001), &service, &store);
    assert_eq!(reply, Reply::Later { seconds: 10 });
}
