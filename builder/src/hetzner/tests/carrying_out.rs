//! Plans carried out in a project of the Hetzner simulator, with every fault at every call.

use std::collections::BTreeMap;

use hetzner_simulator::{Fault, FaultKind, Request};

use super::api::{operation, run};
use super::scene::{Scene, called, faults, numberless};
use crate::cloud::observed::DIGEST_LABEL;
use crate::cloud::plan::{Intent, Kind, Plan, Spared};
use crate::cloud::wanted::CLUSTER_LABEL;
use crate::hetzner::label::RUN;
use crate::hetzner::leftovers::Leftover;
use crate::hetzner::server::Server;
use crate::hetzner::{HetznerError, Labels, Query, Selector, request_line};

fn all_stays(plan: &Plan) -> bool {
    plan.steps.iter().all(|step| step.intent == Intent::Keep)
}

#[tokio::test]
async fn what_was_planned_is_what_is_called_and_then_nothing_is_left_to_do() {
    let scene = Scene::new().await;
    let observed = scene.observe().await;
    let plan = scene.plan(&observed);
    scene.carry_out(&run(), &observed, &plan).await.unwrap();
    // Every call as it was shown, numbers put in.
    let mut called: Vec<_> = scene.changes().iter().map(called).collect();
    let mut shown: Vec<_> =
        plan.steps.iter().flat_map(|step| &step.requests).map(|line| numberless(line, "{id}")).collect();
    called.sort();
    shown.sort();
    assert_eq!(called, shown);
    let plan = scene.plan(&scene.observe().await);
    assert!(all_stays(&plan), "{plan}");
    // Each server has its own image, user data, addresses, and its address in the network.
    let servers = scene.client.list::<Server>(&operation(), &Query::default()).await.unwrap();
    assert_eq!(servers.len(), 2);
    for server in servers {
        let details = scene.simulator.details(server.id.0).unwrap();
        assert_eq!(details["user_data"], server.name.trim_start_matches("lab-"), "{details}");
        assert_eq!(server.image.unwrap().id, scene.given.images[0].1.id);
        assert_eq!(server.private_net.len(), 1);
        assert_eq!(server.placement_group.is_some(), server.name == "lab-cp1");
        assert!(server.labels.get(RUN).is_some());
    }
    // Settled, nothing is any run's.
    let cluster = Selector::equals(CLUSTER_LABEL, "lab");
    scene.client.settle(&operation(), &cluster).await.unwrap();
    let left = scene.client.leftovers(&operation(), &Selector::exists(RUN)).await.unwrap();
    assert!(left.is_empty(), "{left:?}");
    let all = scene.client.leftovers(&operation(), &cluster).await.unwrap();
    assert_eq!(all.len(), 1 + 1 + 1 + 4 + 2 + 4 + 1, "{all:?}");
}

#[tokio::test]
async fn where_a_cluster_has_begun_is_the_last_that_is_settled() {
    let scene = Scene::new().await;
    scene.up(&run()).await.unwrap();
    let cluster = Selector::equals(CLUSTER_LABEL, "lab");
    let control_plane = Query::default().name("lab-cp1");
    let servers = scene.client.list::<Server>(&operation(), &control_plane).await.unwrap();
    scene.client.begin(&operation(), &servers[0]).await.unwrap();
    let mut count = scene.client.leftovers(&operation(), &Selector::exists(RUN)).await.unwrap().len();
    assert!(count > 10, "{count}");
    let refusal = FaultKind::Answer { status: 403, code: "forbidden".to_owned(), message: String::new() };
    // Cut short after each of its calls.
    while count > 0 {
        scene.simulator.add_fault(Fault::on("PUT", "/**", refusal.clone()).nth(2));
        let settled = scene.client.settle(&operation(), &cluster).await;
        let left = scene.client.leftovers(&operation(), &Selector::exists(RUN)).await.unwrap();
        assert_eq!((settled.is_ok(), left.len()), (count == 1, count - 1));
        assert!(left.is_empty() || left.iter().any(Leftover::has_begun), "{left:?}");
        count -= 1;
    }
}

#[tokio::test]
async fn what_is_taken_down_is_gone_and_what_others_have_stays() {
    let scene = Scene::new().await;
    scene.up(&run()).await.unwrap();
    scene.down(Spared { addresses: true, snapshots: true, buckets: true }).await.unwrap();
    let names = scene.names();
    assert_eq!(names.keys().collect::<Vec<_>>(), ["primary_ips"], "{names:?}");
    // They are taken again.
    let before = names["primary_ips"].clone();
    scene.up(&run()).await.unwrap();
    assert_eq!(scene.names()["primary_ips"], before);
    scene.down(Spared::default()).await.unwrap();
    assert!(scene.names().is_empty(), "{:?}", scene.names());
    assert_eq!(scene.simulator.resources()["images"], serde_json::json!([]));
}

#[tokio::test]
async fn a_server_of_another_image_is_rebuilt_with_its_addresses() {
    let mut scene = Scene::new().await;
    scene.up(&run()).await.unwrap();
    let before = scene.names();
    let labels = Labels::default().with(DIGEST_LABEL, "d0").unwrap().with(CLUSTER_LABEL, "lab").unwrap();
    let servers = Query::default().name("lab-worker1");
    let worker = scene.client.list::<Server>(&operation(), &servers).await.unwrap().remove(0);
    scene.client.set_labels::<Server>(&operation(), worker.id, &labels).await.unwrap();
    scene.given.user_data.insert("lab-worker1".to_owned(), "another ticket".to_owned());
    scene.simulator.forget_requests();
    let observed = scene.observe().await;
    let plan = scene.plan(&observed);
    let changed: Vec<_> = plan.steps.iter().filter(|step| step.intent == Intent::Change).collect();
    assert_eq!((changed.len(), changed[0].kind, changed[0].name.as_str()), (1, Kind::Server, "lab-worker1"));
    scene.carry_out(&run(), &observed, &plan).await.unwrap();
    assert_eq!(scene.names(), before);
    assert_eq!(scene.simulator.details(worker.id.0).unwrap()["user_data"], "another ticket");
    assert!(all_stays(&scene.plan(&scene.observe().await)));
}

#[tokio::test]
async fn what_is_sold_out_is_named_and_another_plan_does_without_it() {
    let scene = Scene::new().await;
    let first = scene.plan(&scene.observe().await);
    // The list of types says that it is in stock, for it is, until it is asked for.
    let refusal = FaultKind::Answer {
        status: 412,
        code: "resource_unavailable".to_owned(),
        message: "error during placement".to_owned(),
    };
    scene.simulator.add_fault(Fault::on("POST", "/servers", refusal).nth(2));
    let run = run();
    let observed = scene.observe().await;
    let error = scene.carry_out(&run, &observed, &scene.plan(&observed)).await.unwrap_err();
    let HetznerError::OutOfStock { server_type, location: at, .. } = &error else { panic!("{error}") };
    assert_eq!(first.location.as_ref(), Some(at));
    assert!(error.hint().unwrap().contains("locations"));
    scene.client.clean_up(&operation(), &run).await.unwrap();
    assert!(scene.names().is_empty(), "{:?}", scene.names());
    let mut observed = scene.observe().await;
    observed.sell_out(server_type, at);
    let second = scene.plan(&observed);
    assert_ne!(first, second);
    let details = |plan: &Plan| {
        let servers = plan.steps.iter().filter(|step| step.kind == Kind::Server);
        servers.map(|step| step.detail.clone()).collect::<Vec<_>>()
    };
    let is_sold_out = |detail: &String| *detail == format!("{server_type} in {at}");
    assert!(details(&first).iter().any(is_sold_out) && !details(&second).iter().any(is_sold_out));
    scene.carry_out(&super::api::run(), &observed, &second).await.unwrap();
}

#[tokio::test]
async fn a_network_that_is_asked_for_no_longer_goes_and_its_servers_stay() {
    let mut scene = Scene::new().await;
    scene.up(&run()).await.unwrap();
    scene.wanted.network = None;
    for server in &mut scene.wanted.servers {
        server.private_address = None;
    }
    let observed = scene.observe().await;
    let plan = scene.plan(&observed);
    let changed: Vec<_> = plan.steps.iter().filter(|step| step.intent != Intent::Keep).collect();
    assert_eq!(
        (changed.len(), changed[0].kind, changed[0].intent),
        (1, Kind::Network, Intent::Delete),
        "{plan}"
    );
    scene.carry_out(&run(), &observed, &plan).await.unwrap();
    let names = scene.names();
    assert!(!names.contains_key("networks") && names["servers"].len() == 2, "{names:?}");
    assert!(all_stays(&scene.plan(&scene.observe().await)));
}

/// Once, so that a retry succeeds; or as often as it comes.
async fn case(index: u64, kind: &FaultKind, times: u64) -> bool {
    let (scene, run) = (Scene::new().await, run());
    let place = format!("{kind:?} at change {index}, {times} times");
    for method in ["POST", "PUT", "DELETE"] {
        // Changes of the way up are POSTs alone.
        let fault = Fault::on(method, "/**", kind.clone()).nth(index).times(times);
        scene.simulator.add_fault(fault);
    }
    let done = scene.up(&run).await;
    scene.simulator.clear_faults();
    match &done {
        Ok(()) => {
            let plan = scene.plan(&scene.observe().await);
            assert!(all_stays(&plan), "{place}: {plan}");
        }
        Err(error) => {
            let text = error.to_string();
            assert!(!text.is_empty() && !text.contains('\n'), "{place}: {text}");
            scene.client.clean_up(&operation(), &run).await.unwrap();
            assert!(scene.names().is_empty(), "{place}: {text}: {:?}", scene.names());
        }
    }
    done.is_ok()
}

#[tokio::test]
async fn every_fault_at_every_call_ends_in_all_or_nothing() {
    let calls = {
        let scene = Scene::new().await;
        scene.up(&run()).await.unwrap();
        scene.changes().len()
    };
    assert!(calls > 15, "{calls}");
    let (mut succeeded, mut failed) = (0, 0);
    for index in 1..=u64::try_from(calls).unwrap() {
        for kind in faults() {
            for times in [1, u64::MAX] {
                if case(index, &kind, times).await { succeeded += 1 } else { failed += 1 }
            }
        }
    }
    assert!(succeeded > 50 && failed > 50, "{succeeded} succeeded, {failed} failed");
}

/// The way down, with a fault; then once more, without.
async fn case_of_removal(fault: Fault, place: &str) -> bool {
    let scene = Scene::new().await;
    let records = scene.simulator.records();
    scene.up(&run()).await.unwrap();
    let observed = scene.observe().await;
    scene.simulator.add_fault(fault);
    let plan = Plan::removal("lab", &observed, Spared::default(), request_line).unwrap();
    let done = scene.carry_out(&run(), &observed, &plan).await;
    scene.simulator.clear_faults();
    if let Err(error) = &done {
        let text = error.to_string();
        assert!(!text.is_empty() && !text.contains('\n'), "{place}: {text}");
        scene.down(Spared::default()).await.unwrap_or_else(|error| panic!("{place}: once more: {error}"));
    }
    let (names, images) = (scene.names(), scene.simulator.resources()["images"].clone());
    assert!(names.is_empty() && images == serde_json::json!([]), "{place}: {names:?} {images}");
    assert_eq!(scene.simulator.records(), records, "{place}");
    done.is_ok()
}

#[tokio::test]
async fn every_fault_at_every_call_of_a_removal_is_told_and_another_removal_ends_it() {
    // Each kind of call, and how often it comes.
    let mut calls: BTreeMap<(String, String), u64> = BTreeMap::new();
    let scene = Scene::new().await;
    scene.up(&run()).await.unwrap();
    scene.simulator.forget_requests();
    scene.down(Spared::default()).await.unwrap();
    for Request { method, path, .. } in scene.changes() {
        *calls.entry((method, numberless(path.trim_start_matches("/v1"), "*"))).or_default() += 1;
    }
    assert!(calls.len() > 6 && calls.values().sum::<u64>() > 10, "{calls:?}");
    let (mut succeeded, mut failed) = (0, 0);
    for ((method, path), count) in calls {
        for (nth, kind) in (1..=count).flat_map(|nth| faults().into_iter().map(move |kind| (nth, kind))) {
            for times in [1, u64::MAX] {
                let place = format!("{kind:?} at {method} {path}, number {nth}, {times} times");
                let fault = Fault::on(&method, &path, kind.clone()).nth(nth).times(times);
                if case_of_removal(fault, &place).await { succeeded += 1 } else { failed += 1 }
            }
        }
    }
    assert!(succeeded > 50 && failed > 50, "{succeeded} succeeded, {failed} failed");
}
