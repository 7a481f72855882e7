//! Bodies of requests and answers.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::Value;

use crate::error::ApiError;

/// What is sent.
pub(super) type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>;

/// Nothing that the API takes is larger.
const LIMIT: usize = 1 << 20;

fn response(code: u16, content_type: Option<&'static str>, content: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Full::new(content.into()).boxed_unsync());
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Some(content_type) = content_type {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    response
}

/// JSON, or nothing.
pub(super) fn json(code: u16, value: Option<&Value>) -> Response<Body> {
    match value {
        Some(value) => response(code, Some("application/json"), value.to_string()),
        None => response(code, None, Bytes::new()),
    }
}

/// As gateways answer for a server that does not.
pub(super) fn html(code: u16) -> Response<Body> {
    let title =
        StatusCode::from_u16(code).ok().and_then(|status| status.canonical_reason()).unwrap_or_default();
    let page = format!("<html><body><h1>{code} {title}</h1><p>a fault of the simulator</p></body></html>\n");
    response(code, Some("text/html"), page)
}

/// Reads a whole body.
pub(super) async fn read(body: Incoming) -> Result<Bytes, ApiError> {
    let whole = Limited::new(body, LIMIT).collect().await;
    let too_large =
        || ApiError::new(413, "request_entity_too_large", format!("the body is larger than {LIMIT}"));
    Ok(whole.map_err(|_| too_large())?.to_bytes())
}
