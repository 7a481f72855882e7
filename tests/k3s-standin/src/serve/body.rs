//! Requests and responses.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::Stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Request, Response, StatusCode};
use serde_json::Value;

use crate::api::status::Status;

/// What is sent.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Largest body that is read: etcd's limit is 1.5 MiB, the apiserver's 3 MiB.
const LIMIT: usize = 3 << 20;

/// A response with a body of a type.
pub fn response(code: u16, content_type: &'static str, content: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Full::new(content.into()).boxed_unsync());
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// JSON.
pub fn json(code: u16, value: &Value) -> Response<Body> {
    response(code, "application/json", value.to_string())
}

/// A refusal of the Kubernetes API.
pub fn refuse(status: &Status) -> Response<Body> {
    let mut response = json(status.code, &status.to_json());
    if matches!(status.code, 429 | 503) {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// A refusal of the supervisor, after which the connection ends (k3s, `pkg/util/apierrors.go`).
pub fn refuse_and_close(status: &Status) -> Response<Body> {
    let mut response = refuse(status);
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// JSON, one after the other, for as long as there is something.
pub fn stream(events: impl Stream<Item = Bytes> + Send + 'static) -> Response<Body> {
    use futures_util::StreamExt as _;
    let frames = events.map(|event| Ok(Frame::data(event)));
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Reads a whole body.
pub async fn read(request: Request<Incoming>) -> Result<Bytes, Status> {
    let body = Limited::new(request.into_body(), LIMIT).collect().await;
    Ok(body.map_err(|error| Status::bad_request(format!("reading the body: {error}")))?.to_bytes())
}

/// A header as text; empty if it is not there.
pub fn header<'a, T>(request: &'a Request<T>, name: &str) -> &'a str {
    request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
