//! Nodes that a cluster remembers only for as long as they come back.

use std::time::{Duration, SystemTime};

use firstboot::claim::message::{Cause, Reply, Right};
use firstboot::claim::objects::Objects;
use firstboot::claim::store::{Joined, Store as _, Verdict};
use firstboot::lifetime::AwayDays;
use firstboot::record::Role;
use serde_json::json;

use crate::claims::{api, ask, ask_since, challenge, granted, join, joined, service};
use crate::process::Server;

#[test]
fn a_transient_node_has_its_taint_and_leaves_no_trace_once_it_was_away_for_too_long() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("s"), &["--disable-agent"]).ready();
    let (service, store) = (service(&server), Objects::new(api(&server)));
    let began = challenge();
    let Reply::Waiting { code } = ask_since(began, 3, Right::Approval, &service, &store) else {
        panic!("no code")
    };
    let now = SystemTime::now();
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let verdict = Verdict::Approved {
        node: "edge1".to_owned(),
        role: Role::Edge,
        address: std::net::Ipv4Addr::new(10, 44, 1, 1),
        generation: since.as_secs(),
        record: None,
        transient: Some(AwayDays(30)),
    };
    store.decide(&code, &verdict).unwrap();
    let grant = granted(ask_since(began, 3, Right::Approval, &service, &store));
    join(&server, &grant, &folder.path().join("a"));
    store.keep(&joined("resident", 1)).unwrap();

    let look = || store.all_joined().unwrap().into_iter().find(|node| node.node == "edge1").unwrap();
    let days = |days: u64| now + Duration::from_hours(24 * days);
    let is_overdue = |now| store.is_overdue(&look(), AwayDays(30), now).unwrap();
    assert!(!is_overdue(days(99)), "it is Ready, whatever its reports say");
    let taints = || server.run(&["get", "node", "edge1", "-o=jsonpath={.spec.taints[*].key}"]);
    assert!(taints().contains("imgbuild.org/transient"), "{}", taints());
    let at = humantime::format_rfc3339_seconds(days(10)).to_string();
    let ready = json!({ "type": "Ready", "status": "Unknown", "lastTransitionTime": at });
    let status = json!({ "status": { "conditions": [ready] } }).to_string();
    server.run(&["patch", "node", "edge1", "--subresource=status", "--type=merge", "-p", &status]);
    assert!(!is_overdue(days(39)), "so long ago it was Ready");
    assert!(is_overdue(days(41)));
    server.run(&["delete", "node", "edge1"]);
    assert!(!is_overdue(days(29)));
    assert!(is_overdue(days(31)));
    let at = humantime::format_rfc3339_seconds(days(20)).to_string();
    let report =
        json!({ "node": "edge1", "role": "edge", "phase": "ready", "since": at, "reason": "", "at": at });
    store.report(&serde_json::from_value(report).unwrap()).unwrap();
    assert!(!is_overdue(days(49)), "it was heard of");
    assert!(is_overdue(days(51)));

    // It comes back while it is being forgotten.
    let before = look();
    let back = Joined { claimed: Some("2099-01-01T00:00:00Z".to_owned()), ..before.clone() };
    store.keep(&back).unwrap();
    store.forget(&before).unwrap();
    assert_eq!(look(), back);
    assert!(!is_overdue(days(51)), "it has claimed its place");
    let transient = &back;
    store.forget(transient).unwrap();
    store.forget(transient).unwrap();
    assert_eq!(server.run(&["get", "edgenodes", "-o=name"]).trim(), "edgenode.imgbuild.org/resident");
    assert_eq!(server.run(&["get", "nodereports,nodes", "-o=name"]), "");
    let secrets = server.run(&["get", "secrets", "-n", "kube-system", "-o=name"]);
    assert!(!secrets.contains("edge1"), "{secrets}");
    // Neither its membership nor the word of then lets it in again.
    let reply = ask(3, Right::Membership(grant.membership), &service, &store);
    assert!(matches!(reply, Reply::Refused { cause: Cause::Forgotten, .. }), "{reply:?}");
    let reply = ask_since(began, 3, Right::Approval, &service, &store);
    assert_eq!(reply, Reply::Waiting { code });
}
