//! Which failures are tried again, and how often.

use serde_json::json;

use super::api::{Answer, Api, operation};
use crate::hetzner::server::Server;
use crate::hetzner::{ErrorCode, HetznerError, Query, ServerId};

const LIST: &str = "GET /servers";

fn html(status: u16) -> Answer {
    Answer::Text(status, String::new(), "<html><h1>Bad Gateway</h1></html>".to_owned())
}

/// How often a list is asked for that is always answered so, and what comes of it.
async fn tries(answer: &Answer) -> (usize, HetznerError) {
    let api = Api::start().await;
    api.on(LIST, std::iter::repeat_n(answer.clone(), 20));
    let error = api.client().list::<Server>(&operation(), &Query::default()).await.unwrap_err();
    (api.asked().len(), error)
}

#[tokio::test]
async fn what_may_pass_is_tried_six_times() {
    for answer in [
        Answer::error(409, "conflict"),
        Answer::error(429, "rate_limit_exceeded"),
        Answer::error(502, "bad_gateway"),
        Answer::error(504, "timeout"),
        html(502),
        html(504),
        Answer::Cut,
        Answer::Half("{".to_owned()),
    ] {
        assert_eq!(tries(&answer).await.0, 6, "{answer:?}");
    }
}

#[tokio::test]
async fn a_request_without_an_answer_is_given_up_and_tried_again() {
    let (count, error) = tries(&Answer::Silence).await;
    assert_eq!(count, 6);
    let text = error.to_string();
    assert!(text.starts_with("`GET /servers` got no complete answer from 127.0.0.1:"), "{text}");
}

#[tokio::test]
async fn a_locked_resource_is_waited_for_within_bounds() {
    let (count, error) = tries(&Answer::error(423, "locked")).await;
    assert_eq!((count, error.code()), (8, Some(&ErrorCode::Locked)));
}

#[tokio::test]
async fn what_stays_is_tried_once() {
    for (status, code) in [
        (401, "unauthorized"),
        (403, "token_readonly"),
        (403, "resource_limit_exceeded"),
        (409, "uniqueness_error"),
        (412, "resource_unavailable"),
        (422, "invalid_input"),
        (422, "placement_error"),
        (500, "server_error"),
        (503, "maintenance"),
        (400, "a_new_one"),
    ] {
        let (count, error) = tries(&Answer::error(status, code)).await;
        assert_eq!((count, error.code()), (1, Some(&code.into())), "{code}");
    }
    for status in [302, 500, 503] {
        let (count, error) = tries(&html(status)).await;
        assert_eq!(count, 1, "{status}");
        assert!(matches!(error, HetznerError::Status { status: found, .. } if found == status), "{error}");
    }
}

#[tokio::test]
async fn goes_on_once_it_passes() {
    let api = Api::start().await;
    let none = Answer::ok(&json!({ "servers": [] }));
    api.on(
        LIST,
        [Answer::error(409, "conflict"), html(502), Answer::Cut, Answer::error(423, "locked"), none],
    );
    assert!(api.client().list::<Server>(&operation(), &Query::default()).await.unwrap().is_empty());
    assert_eq!(api.asked().len(), 5);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_not_asked_again() {
    let api = Api::start().await;
    let client = api.client();
    drop(api);
    tokio::task::yield_now().await;
    let error = client.list::<Server>(&operation(), &Query::default()).await.unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("`GET /servers` did not reach 127.0.0.1:"), "{text}");
}

#[tokio::test]
async fn says_what_is_wrong_with_an_answer() {
    for (body, message) in [
        ("<html>", "the answer to `GET /servers` has no usable JSON: expected value at line 1 column 1"),
        (
            "[]",
            "the answer to `GET /servers` has no usable JSON: invalid type: sequence, expected a map at line 1 column 0",
        ),
        ("{}", "the answer to `GET /servers` has no usable servers: invalid type: null, expected a sequence"),
        (
            r#"{"servers": [{"id": "\u001b[31m"}]}"#,
            "the answer to `GET /servers` has no usable servers: invalid type: string \"\\u{1b}[31m\", expected u64",
        ),
    ] {
        let (count, error) = tries(&Answer::Text(200, String::new(), body.to_owned())).await;
        assert_eq!((count, error.to_string().as_str()), (1, message), "{body}");
    }
}

#[tokio::test]
async fn an_answer_without_end_is_not_read() {
    let (count, error) = tries(&Answer::Endless).await;
    assert_eq!(count, 1);
    assert_eq!(error.to_string(), "the answer to `GET /servers` is longer than 8 MiB, the most that is read");
}

#[tokio::test]
async fn what_is_gone_counts_as_deleted() {
    let api = Api::start().await;
    let line = "DELETE /servers/42";
    api.on(line, [Answer::Cut, Answer::error(404, "not_found"), Answer::error(423, "protected")]);
    let client = api.client();
    assert!(client.delete::<Server>(&operation(), ServerId(42)).await.unwrap().is_empty());
    let error = client.delete::<Server>(&operation(), ServerId(42)).await.unwrap_err();
    assert_eq!(error.code(), Some(&ErrorCode::Protected));
    assert_eq!(api.lines(), [line; 3]);
}
