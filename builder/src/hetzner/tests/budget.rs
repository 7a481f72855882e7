//! The rate limit, as the API tells of it.

use std::time::{Duration, Instant, SystemTime};

use serde_json::json;

use super::api::{Answer, Api, operation};
use crate::hetzner::server::Server;
use crate::hetzner::{ErrorCode, HetznerError, Operation, Query, Stop};

fn head(remaining: u64, reset: u64) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    format!("RateLimit-Limit: 3600\r\nRateLimit-Remaining: {remaining}\r\nRateLimit-Reset: {}", now + reset)
}

fn refused(reset: u64) -> Answer {
    // As if somebody else had used up what there was meanwhile: the budget itself does not wait here.
    Answer::error(429, "rate_limit_exceeded").with(&head(3000, reset))
}

fn none() -> Answer {
    Answer::ok(&json!({ "servers": [] }))
}

#[tokio::test]
async fn a_refusal_is_waited_out_until_the_reset() {
    let api = Api::start().await;
    api.on("GET /servers", [refused(2), none()]);
    let before = Instant::now();
    api.client().list::<Server>(&operation(), &Query::default()).await.unwrap();
    // The reset is told in whole seconds.
    assert!(before.elapsed() >= Duration::from_millis(900), "{:?}", before.elapsed());
    assert_eq!(api.asked().len(), 2);
}

#[tokio::test]
async fn a_reset_behind_the_deadline_is_not_waited_for() {
    let api = Api::start().await;
    api.on("GET /servers", [refused(3000), none()]);
    let before = Instant::now();
    let operation = Operation::new("listing servers", Duration::from_secs(20), &Stop::never());
    let error = api.client().list::<Server>(&operation, &Query::default()).await.unwrap_err();
    assert!(before.elapsed() < Duration::from_secs(10), "{:?}", before.elapsed());
    let HetznerError::Deadline { last: Some(last), .. } = &error else { panic!("{error}") };
    assert_eq!(last.code(), Some(&ErrorCode::RateLimitExceeded));
    assert_eq!(api.asked().len(), 1);
}

#[tokio::test]
async fn all_requests_of_a_client_and_its_clones_share_what_is_left() {
    let api = Api::start().await;
    // A hundredth, 36, is left to others.
    api.on("GET /servers", [none().with(&head(37, 3000)), none(), none()]);
    let client = api.client();
    let other = client.clone();
    client.list::<Server>(&operation(), &Query::default()).await.unwrap();
    other.list::<Server>(&operation(), &Query::default()).await.unwrap();
    let operation = Operation::new("listing servers", Duration::from_millis(500), &Stop::never());
    let error = client.list::<Server>(&operation, &Query::default()).await.unwrap_err();
    let HetznerError::Deadline { last: Some(last), .. } = &error else { panic!("{error}") };
    assert!(matches!(**last, HetznerError::Budget { .. }), "{last}");
    assert_eq!(api.asked().len(), 2);
    // A request a second comes back.
    let before = Instant::now();
    other.list::<Server>(&super::api::operation(), &Query::default()).await.unwrap();
    assert!(before.elapsed() > Duration::from_millis(300), "{:?}", before.elapsed());
}
