//! Waiting for actions.

use serde_json::{Value, json};

use super::api::{Answer, Api, operation};
use crate::hetzner::{Action, ActionId, ErrorCode, HetznerError};

const POLL: &str = "GET /actions";

fn action(id: u64, status: &str) -> Value {
    let error = (status == "error").then(|| json!({ "code": "action_failed", "message": "no\nway" }));
    json!({
        "id": id, "command": "create_server", "status": status, "progress": 50, "error": error,
        "resources": [{ "id": 42, "type": "server" }],
    })
}

fn running(ids: impl IntoIterator<Item = u64>) -> Vec<Action> {
    ids.into_iter().map(|id| serde_json::from_value(action(id, "running")).unwrap()).collect()
}

fn poll(actions: impl IntoIterator<Item = (u64, &'static str)>) -> Answer {
    let actions: Vec<_> = actions.into_iter().map(|(id, status)| action(id, status)).collect();
    Answer::ok(&json!({ "actions": actions }))
}

/// Numbers that a poll asks for.
fn ids(line: &str) -> Vec<u64> {
    let query = line.split('?').nth(1).unwrap();
    query.split('&').filter_map(|pair| pair.strip_prefix("id=")?.parse().ok()).collect()
}

#[tokio::test]
async fn asks_for_25_at_once_and_for_none_that_has_ended() {
    let api = Api::start().await;
    let all = |from, to| poll((from..=to).map(|id| (id, "success")));
    let first = poll((1..=25).map(|id| (id, if id == 3 { "running" } else { "success" })));
    api.on(POLL, [first, all(26, 50), all(51, 60), poll([(3, "success")])]);
    api.client().wait(&operation(), running(1..=60)).await.unwrap();
    let asked: Vec<_> = api.lines().iter().map(|line| ids(line)).collect();
    let expected: [Vec<u64>; 4] = [(1..=25).collect(), (26..=50).collect(), (51..=60).collect(), vec![3]];
    assert_eq!(asked, expected);
}

#[tokio::test]
async fn nothing_to_wait_for_is_not_asked_for() {
    let api = Api::start().await;
    let ended = serde_json::from_value(action(1, "success")).unwrap();
    api.client().wait(&operation(), vec![ended]).await.unwrap();
    api.client().wait(&operation(), Vec::new()).await.unwrap();
    assert_eq!(api.asked(), []);
}

#[tokio::test]
async fn a_failure_is_an_error_with_its_code_once_all_have_ended() {
    let api = Api::start().await;
    api.on(POLL, [poll([(1, "error"), (2, "running")]), poll([(2, "success")])]);
    let error = api.client().wait(&operation(), running([1, 2])).await.unwrap_err();
    assert_eq!(error.code(), Some(&ErrorCode::Other("action_failed".to_owned())));
    assert_eq!(
        error.to_string(),
        "action `create_server` (1) on server 42 ended with `action_failed`: no\\u{a}way"
    );
    assert_eq!(api.asked().len(), 2);
}

#[tokio::test]
async fn tells_of_each_end_and_of_what_goes_on() {
    let api = Api::start().await;
    api.on(POLL, [poll([(1, "error"), (2, "paused")]), poll([(2, "success")])]);
    let mut told = Vec::new();
    let report = |action: &Action| told.push((action.id, action.status.to_string(), action.progress));
    let ended = api.client().wait_each(&operation(), running([1, 2]), report).await.unwrap();
    let ended: Vec<_> = ended.iter().map(|ended| (ended.action.id.0, ended.result.is_ok())).collect();
    assert_eq!(ended, [(1, false), (2, true)]);
    // A status that is not known yet is no end.
    assert_eq!(told, [(ActionId(2), "paused".to_owned(), 50)]);
}

#[tokio::test]
async fn an_action_that_stays_away_is_missing_and_one_that_comes_late_is_not() {
    let api = Api::start().await;
    api.on(POLL, [poll([]), poll([]), poll([(1, "success")]), poll([])]);
    let ended = api.client().wait_each(&operation(), running([1, 2]), |_| {}).await.unwrap();
    assert!(ended[0].result.is_ok());
    let error = ended[1].result.as_ref().unwrap_err();
    assert!(matches!(error, HetznerError::ActionMissing { id: ActionId(2), .. }), "{error}");
    assert_eq!(error.to_string(), "action `create_server` (2) is unknown to the API that began it");
    assert_eq!(api.asked().len(), 3);
}
