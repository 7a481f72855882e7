//! The lock of a cluster.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::api::{Answer, Api, object, operation, run};
use crate::hetzner::{ClusterLock, ErrorCode, HetznerError};

const POST: &str = "POST /firewalls";
const GET: &str = "GET /firewalls";

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

fn firewall(id: u64, labels: &Value) -> Value {
    let changes = json!({ "id": id, "name": "imgbuild-lock-lab", "labels": labels, "rules": [] });
    object(include_str!("replies/firewall.json"), &changes)
}

fn made(id: u64) -> Answer {
    Answer::json(201, &json!({ "firewall": firewall(id, &json!({})), "actions": [] }))
}

fn held(id: u64, expires: u64) -> Answer {
    let labels = json!({
        "imgbuild.org/owner": "bob-laptop",
        "imgbuild.org/since": "1795227046",
        "imgbuild.org/expires": expires.to_string(),
    });
    Answer::ok(&json!({ "firewalls": [firewall(id, &labels)] }))
}

fn taken() -> Answer {
    Answer::error(409, "uniqueness_error")
}

async fn acquire(api: &Api) -> Result<ClusterLock, HetznerError> {
    ClusterLock::acquire(&api.client(), &operation(), &run(), "lab", "alice@laptop").await
}

fn methods(api: &Api) -> Vec<String> {
    api.lines().iter().map(|line| line.split('?').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn is_taken_renewed_and_given_back_by_its_number() {
    let api = Api::start().await;
    api.on(POST, [made(7)]);
    api.on("PUT /firewalls/7", [Answer::ok(&json!({ "firewall": firewall(7, &json!({})) }))]);
    api.on("DELETE /firewalls/7", [Answer::gone()]);
    let (client, operation) = (api.client(), operation());
    let mut lock = acquire(&api).await.unwrap();
    lock.check().unwrap();
    // Not yet.
    lock.renew_if_due(&client, &operation).await.unwrap();
    lock.renew(&client, &operation).await.unwrap();
    lock.release(&client, &operation).await.unwrap();
    let asked = api.asked();
    let lines: Vec<_> = asked.iter().map(|asked| asked.line.as_str()).collect();
    assert_eq!(lines, [POST, "PUT /firewalls/7", "DELETE /firewalls/7"]);
    let (body, renewed) = (&asked[0].body, &asked[1].body);
    assert_eq!((&body["name"], &body["rules"]), (&json!("imgbuild-lock-lab"), &json!([])));
    let labels = &body["labels"];
    assert_eq!(labels["imgbuild.org/lock"], "lab");
    assert_eq!(labels["imgbuild.org/owner"], "alice-laptop");
    assert_eq!(labels.get("imgbuild.org/cluster"), None);
    let expires = |labels: &Value| labels["imgbuild.org/expires"].as_str().unwrap().parse::<u64>().unwrap();
    assert!(expires(labels) > now() + 800 && expires(labels) <= now() + 900);
    // A renewal replaces all labels, so that it repeats them.
    let mut before = labels.clone();
    before["imgbuild.org/expires"] = renewed["labels"]["imgbuild.org/expires"].clone();
    assert_eq!(renewed["labels"], before);
}

#[tokio::test]
async fn names_who_holds_it_and_what_to_do() {
    let api = Api::start().await;
    api.on(POST, [taken()]);
    api.on(GET, [held(7, 4_000_000_000)]);
    let error = acquire(&api).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "another run works on cluster `lab`: `bob-laptop` since 2026-11-21T02:10:46Z, \
         until 2096-10-02T07:06:40Z unless renewed"
    );
    assert_eq!(
        error.hint().unwrap(),
        "where no such run is left, delete the firewall `imgbuild-lock-lab` in the project's console"
    );
    assert_eq!(methods(&api), [POST, GET]);
}

#[tokio::test]
async fn an_expired_one_is_taken_over_by_its_number() {
    let api = Api::start().await;
    api.on(POST, [taken(), made(8)]);
    api.on(GET, [held(7, now() - 300)]);
    api.on("DELETE /firewalls/7", [Answer::gone()]);
    acquire(&api).await.unwrap();
    assert_eq!(methods(&api), [POST, GET, "DELETE /firewalls/7", POST]);
}

#[tokio::test]
async fn one_that_has_just_expired_is_left_to_a_clock_that_is_late() {
    let api = Api::start().await;
    api.on(POST, [taken()]);
    api.on(GET, [held(7, now() - 30)]);
    assert!(matches!(acquire(&api).await, Err(HetznerError::Held { .. })));
    assert_eq!(methods(&api), [POST, GET]);
}

#[tokio::test]
async fn of_two_who_take_over_one_wins() {
    let api = Api::start().await;
    // The other one has removed the old lock and made its own between our look and our creation.
    api.on(POST, [taken(), taken()]);
    api.on(GET, [held(7, now() - 300), held(9, now() + 900)]);
    api.on("DELETE /firewalls/7", [Answer::error(404, "not_found")]);
    assert!(matches!(acquire(&api).await, Err(HetznerError::Held { .. })));
    assert_eq!(methods(&api), [POST, GET, "DELETE /firewalls/7", POST, GET]);
}

#[tokio::test]
async fn one_that_was_given_back_meanwhile_is_taken() {
    let api = Api::start().await;
    api.on(POST, [taken(), made(8)]);
    api.on(GET, [Answer::ok(&json!({ "firewalls": [] }))]);
    acquire(&api).await.unwrap();
    assert_eq!(methods(&api), [POST, GET, POST]);
}

#[tokio::test]
async fn one_that_comes_and_goes_for_ever_is_given_up() {
    let api = Api::start().await;
    api.on(POST, std::iter::repeat_n(taken(), 9));
    api.on(GET, std::iter::repeat_n(Answer::ok(&json!({ "firewalls": [] })), 9));
    let error = acquire(&api).await.unwrap_err();
    assert_eq!(error.code(), Some(&ErrorCode::UniquenessError));
    assert_eq!(api.asked().len(), 6);
}

#[tokio::test]
async fn one_without_a_readable_end_is_left_to_people() {
    let api = Api::start().await;
    api.on(POST, [taken()]);
    let labels = json!({ "imgbuild.org/expires": "soon" });
    api.on(GET, [Answer::ok(&json!({ "firewalls": [firewall(7, &labels)] }))]);
    let error = acquire(&api).await.unwrap_err();
    assert_eq!(error.to_string(), "another run works on cluster `lab`: `unknown`, without an end");
}

#[tokio::test]
async fn a_creation_of_unknown_outcome_is_not_taken_for_another_runs() {
    let (api, run) = (Api::start().await, run());
    api.on(POST, [Answer::Cut]);
    let labels = json!({ "imgbuild.org/run": run.to_string(), "imgbuild.org/expires": "4000000000" });
    api.on(GET, [Answer::ok(&json!({ "firewalls": [firewall(7, &labels)] }))]);
    api.on("GET /firewalls/7/actions", [Answer::ok(&json!({ "actions": [] }))]);
    api.on("DELETE /firewalls/7", [Answer::gone()]);
    let (client, operation) = (api.client(), operation());
    let lock = ClusterLock::acquire(&client, &operation, &run, "lab", "alice").await.unwrap();
    lock.release(&client, &operation).await.unwrap();
}

#[tokio::test]
async fn one_that_another_run_took_over_is_lost() {
    let api = Api::start().await;
    api.on(POST, [made(7)]);
    api.on("PUT /firewalls/7", [Answer::error(404, "not_found")]);
    let mut lock = acquire(&api).await.unwrap();
    let error = lock.renew(&api.client(), &operation()).await.unwrap_err();
    assert_eq!(error.to_string(), "the lock of cluster `lab` is no longer this run's");
}
