//! Ctrl-C at any point.

use std::time::{Duration, Instant};

use serde_json::json;

use super::api::{Answer, Api, object, run};
use super::creation::wanted;
use crate::hetzner::server::Server;
use crate::hetzner::{HetznerError, Operation, Query, ServerId, Stop, Stopper};

const LONG: Duration = Duration::from_mins(1);

fn soon(stopper: Stopper) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(30)).await;
        stopper.stop();
    })
}

#[tokio::test]
async fn a_question_is_dropped_at_once() {
    let api = Api::start().await;
    api.on("GET /servers", [Answer::Silence]);
    let (stopper, stop) = Stop::new();
    let (operation, stopping) = (Operation::new("listing", LONG, &stop), soon(stopper));
    let before = Instant::now();
    let error = api.client().list::<Server>(&operation, &Query::default()).await.unwrap_err();
    assert!(matches!(error, HetznerError::Stopped { .. }), "{error}");
    assert!(before.elapsed() < Duration::from_millis(300), "{:?}", before.elapsed());
    stopping.await.unwrap();
}

#[tokio::test]
async fn a_creation_on_its_way_is_waited_for_and_nothing_begins_after_it() {
    let (api, run) = (Api::start().await, run());
    let labels = json!({ "imgbuild.org/run": run.to_string() });
    let server = object(include_str!("replies/server.json"), &json!({ "name": "cp1", "labels": labels }));
    let created = Answer::json(201, &json!({ "server": server }));
    api.on("POST /servers", [Answer::Late(Duration::from_millis(100), Box::new(created))]);
    let (stopper, stop) = Stop::new();
    let (operation, stopping) = (Operation::new("creating", LONG, &stop), soon(stopper));
    let client = api.client();
    assert_eq!(client.create(&operation, &run, wanted()).await.unwrap().made.id, ServerId(42));
    let error = client.poweron(&operation, ServerId(42)).await.unwrap_err();
    assert!(matches!(error, HetznerError::Stopped { .. }), "{error}");
    assert_eq!(api.lines(), ["POST /servers"]);
    stopping.await.unwrap();
}

#[tokio::test]
async fn a_pause_between_tries_is_ended_and_nothing_is_repeated() {
    let (api, run) = (Api::start().await, run());
    api.on("POST /servers", [Answer::Late(Duration::from_millis(100), Box::new(Answer::Cut))]);
    let (stopper, stop) = Stop::new();
    let (operation, stopping) = (Operation::new("creating", LONG, &stop), soon(stopper));
    let error = api.client().create(&operation, &run, wanted()).await.unwrap_err();
    assert!(matches!(error, HetznerError::Stopped { .. }), "{error}");
    assert_eq!(api.lines(), ["POST /servers"]);
    stopping.await.unwrap();
}

#[tokio::test]
async fn the_clean_up_finds_by_the_runs_label_what_an_interrupted_run_has_made() {
    let (api, run) = (Api::start().await, run());
    let labels = json!({ "imgbuild.org/run": run.to_string() });
    let server = object(include_str!("replies/server.json"), &json!({ "labels": labels }));
    api.on("GET /servers", [Answer::ok(&json!({ "servers": [server] }))]);
    api.on("DELETE /servers/42", [Answer::gone()]);
    let (client, cleanup) = (api.client(), Operation::new("cleaning up", LONG, &Stop::never()));
    for server in client.list::<Server>(&cleanup, &Query::default().label(&run.selector())).await.unwrap() {
        let actions = client.delete::<Server>(&cleanup, server.id).await.unwrap();
        client.wait(&cleanup, actions).await.unwrap();
    }
    let list = format!("GET /servers?label_selector=imgbuild.org%2Frun%3D{run}&page=1&per_page=50");
    assert_eq!(api.lines(), [list, "DELETE /servers/42".to_owned()]);
}
