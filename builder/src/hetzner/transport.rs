//! One exchange: a request goes out once, and what comes back is a reply, an error of the API's, or neither.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::error::message;
use super::{Action, ApiError, Endpoint, ErrorCode, FieldFault, HetznerError, RateLimit, RequestLine, Token};
use crate::http;
use crate::printable;
use crate::units::Bytes;

/// Fifty servers with all they tell have some 300 KiB.
const LONGEST: Bytes = Bytes(8 << 20);

/// What is asked for.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    /// Parts of the path below the endpoint, not yet escaped.
    pub(super) path: Vec<String>,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) body: Body,
}

/// Body of a request.
#[derive(Debug, Default)]
pub(super) struct Body(Option<Vec<u8>>);

impl Body {
    pub(super) const NONE: Self = Self(None);

    pub(super) fn of(value: &impl serde::Serialize) -> Self {
        Self(Some(serde_json::to_vec(value).expect("requests have nothing that is no JSON")))
    }
}

impl Request {
    pub(super) fn new(method: Method, path: Vec<String>) -> Self {
        Self { method, path, query: Vec::new(), body: Body::NONE }
    }

    pub(super) fn get(path: Vec<String>) -> Self {
        Self::new(Method::GET, path)
    }

    pub(super) fn with_body(self, body: Body) -> Self {
        Self { body, ..self }
    }

    pub(super) fn line(&self) -> RequestLine {
        RequestLine { method: self.method.clone(), path: self.path.join("/") }
    }
}

/// The JSON object of an answer.
#[derive(Debug)]
pub(super) struct Reply {
    request: RequestLine,
    fields: Map<String, Value>,
}

/// Actions as replies name them: one, many, and those that follow by themselves.
const ACTIONS: [&str; 3] = ["action", "actions", "next_actions"];

impl Reply {
    /// Of a request that was found to be done already.
    pub(super) fn nothing(request: RequestLine) -> Self {
        Self { request, fields: Map::new() }
    }

    /// The part that must be there.
    pub(super) fn take<T: DeserializeOwned>(&mut self, part: &'static str) -> Result<T, HetznerError> {
        let value = self.fields.remove(part).unwrap_or_default();
        self.convert(part, value)
    }

    /// The part, unless it is absent or null.
    pub(super) fn optional<T: DeserializeOwned>(
        &self,
        part: &'static str,
    ) -> Result<Option<T>, HetznerError> {
        let value = self.fields.get(part).filter(|value| !value.is_null());
        value.map(|value| self.convert(part, value.clone())).transpose()
    }

    /// All actions that it tells of, in order.
    pub(super) fn actions(&self) -> Result<Vec<Action>, HetznerError> {
        let mut all = Vec::new();
        for part in ACTIONS {
            match self.optional::<Value>(part)? {
                Some(value @ Value::Array(_)) => all.extend(self.convert::<Vec<Action>>(part, value)?),
                Some(value) => all.push(self.convert(part, value)?),
                None => {}
            }
        }
        Ok(all)
    }

    fn convert<T: DeserializeOwned>(&self, part: &'static str, value: Value) -> Result<T, HetznerError> {
        serde_json::from_value(value).map_err(|fault| {
            let fault = printable::text(&fault.to_string()).into_owned();
            HetznerError::Reply { request: self.request.clone(), part, fault }
        })
    }
}

/// Body of an error (<https://docs.hetzner.cloud/reference/cloud#errors>).
#[derive(Deserialize)]
struct RawError {
    error: RawFault,
}

#[derive(Deserialize)]
struct RawFault {
    code: ErrorCode,
    #[serde(default)]
    message: Option<String>,
    /// Of another form for each code, so that only `invalid_input`'s is read.
    #[serde(default)]
    details: Value,
}

#[derive(Deserialize)]
struct RawDetails {
    fields: Vec<RawField>,
}

#[derive(Deserialize)]
struct RawField {
    name: String,
    #[serde(default)]
    messages: Vec<String>,
}

/// Who asks whom.
#[derive(Clone, Debug)]
pub(super) struct Transport {
    http: reqwest::Client,
    endpoint: Endpoint,
    token: Token,
    has_answered: Arc<AtomicBool>,
}

impl Transport {
    pub(super) fn new(endpoint: Endpoint, token: Token) -> Result<Self, HetznerError> {
        // A redirect would carry the token elsewhere, and the API has none.
        let http = http::client_without_redirects().map_err(|source| HetznerError::Http { source })?;
        Ok(Self { http, endpoint, token, has_answered: Arc::default() })
    }

    /// Sends once. The rate limit comes with whatever answer there is.
    pub(super) async fn exchange(
        &self,
        request: &Request,
        timeout: Duration,
    ) -> (Option<RateLimit>, Result<Reply, HetznerError>) {
        let mut url = self.endpoint.url(&request.path);
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        let mut builder = self.http.request(request.method.clone(), url).timeout(timeout);
        builder = builder.header(AUTHORIZATION, self.token.header());
        if let Some(body) = &request.body.0 {
            let json = HeaderValue::from_static("application/json");
            builder = builder.header(CONTENT_TYPE, json).body(body.clone());
        }
        let line = request.line();
        let response = match builder.send().await {
            Ok(response) => response,
            Err(error) => return (None, Err(self.broken(line, error))),
        };
        self.has_answered.store(true, Ordering::Relaxed);
        let rate = RateLimit::of(response.headers(), SystemTime::now());
        (rate, self.read(line, response, rate).await)
    }

    async fn read(
        &self,
        request: RequestLine,
        response: Response,
        rate: Option<RateLimit>,
    ) -> Result<Reply, HetznerError> {
        let status = response.status();
        let body = match http::body(response, LONGEST).await {
            Ok(Some(body)) => self.token.redact(body),
            Ok(None) => return Err(HetznerError::TooLong { request, limit: LONGEST }),
            Err(error) => return Err(self.broken(request, error)),
        };
        if !status.is_success() {
            let wait = rate.filter(|_| status.as_u16() == 429).map(|rate| rate.wait());
            return Err(refusal(request, status.as_u16(), &body, wait));
        }
        if body.is_empty() {
            return Ok(Reply::nothing(request));
        }
        match serde_json::from_slice(&body) {
            Ok(fields) => Ok(Reply { request, fields }),
            Err(fault) => {
                let fault = printable::text(&fault.to_string()).into_owned();
                Err(HetznerError::Reply { request, part: "JSON", fault })
            }
        }
    }

    fn broken(&self, request: RequestLine, source: reqwest::Error) -> HetznerError {
        let is_sent = !source.is_connect() && !source.is_builder();
        let (host, is_known) = (self.endpoint.host(), self.has_answered.load(Ordering::Relaxed));
        HetznerError::Transport { request, host, is_sent, is_known, source: source.without_url() }
    }
}

fn refusal(request: RequestLine, status: u16, body: &[u8], wait: Option<Duration>) -> HetznerError {
    let Ok(RawError { error }) = serde_json::from_slice(body) else {
        return HetznerError::Status { request, status };
    };
    let details: Option<RawDetails> = serde_json::from_value(error.details).ok();
    let field = |field: RawField| FieldFault {
        name: message(&field.name),
        messages: field.messages.iter().map(|text| message(text)).collect(),
    };
    let fields = details.map(|details| details.fields.into_iter().map(field).collect()).unwrap_or_default();
    let message = message(error.message.as_deref().unwrap_or_default());
    ApiError { request, status, code: error.code, message, fields, wait }.into()
}
