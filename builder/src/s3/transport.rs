//! One exchange: a request is signed and goes out once, and what comes back is a body, an error of S3, or neither.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningError, SigningParams,
    SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Response, Url};

use super::document::Document;
use super::{Endpoint, Keys, Refusal, RequestLine, S3Error};
use crate::http;
use crate::printable;
use crate::units::Bytes;

/// A page of a thousand objects has some 500 KiB, with the longest names 2 MiB.
const LONGEST: Bytes = Bytes(8 << 20);
/// Longer messages are cut.
const LONGEST_MESSAGE: usize = 500;

/// What is asked for.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    /// Bucket and key, not yet escaped; nothing for the service itself.
    pub(super) path: Vec<String>,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Request {
    pub(super) fn new(method: Method, path: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let path = path.into_iter().map(Into::into).collect();
        Self { method, path, query: Vec::new(), headers: HeaderMap::new(), body: Vec::new() }
    }

    fn url(&self, endpoint: &Endpoint) -> Url {
        let mut url = endpoint.url(self.path.iter().map(String::as_str));
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        url
    }

    pub(super) fn line(&self, endpoint: &Endpoint) -> RequestLine {
        RequestLine { method: self.method.clone(), url: self.url(endpoint).into() }
    }
}

/// Who asks whom.
#[derive(Clone, Debug)]
pub(super) struct Transport {
    http: reqwest::Client,
    endpoint: Endpoint,
    keys: Keys,
    has_answered: Arc<AtomicBool>,
}

impl Transport {
    pub(super) fn new(endpoint: Endpoint, keys: Keys) -> Result<Self, S3Error> {
        // A redirect names another host, which the signature is not for; what it says is an answer like any other.
        let http = http::client_without_redirects().map_err(|source| S3Error::Http { source })?;
        Ok(Self { http, endpoint, keys, has_answered: Arc::default() })
    }

    pub(super) const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sends once.
    pub(super) async fn exchange(&self, request: &Request, timeout: Duration) -> Result<String, S3Error> {
        let url = request.url(&self.endpoint);
        let line = RequestLine { method: request.method.clone(), url: url.to_string() };
        let signature = self.signature(request, &url).expect("requests are made of what can be signed");
        let builder = self.http.request(request.method.clone(), url).timeout(timeout);
        let builder = builder.headers(signature).headers(request.headers.clone());
        let sent = builder.body(request.body.clone()).send().await;
        let response = sent.map_err(|error| self.broken(line.clone(), error))?;
        self.has_answered.store(true, Ordering::Relaxed);
        self.read(line, response).await
    }

    /// The headers that sign a request, good for a quarter of an hour.
    fn signature(&self, request: &Request, url: &Url) -> Result<HeaderMap, SigningError> {
        let mut settings = SigningSettings::default();
        // Paths as they are: what S3 wants otherwise than all other services of AWS.
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let identity = self.keys.credentials().clone().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.endpoint.region())
            .name("s3")
            .time(SystemTime::now())
            .settings(settings)
            .build()
            .expect("all parameters are given");
        let body = SignableBody::Bytes(&request.body);
        let signable = SignableRequest::new(request.method.as_str(), url.as_str(), std::iter::empty(), body)?;
        let (instructions, _) = sign(signable, &SigningParams::V4(parameters))?.into_parts();
        let mut headers = HeaderMap::new();
        for (name, value) in instructions.headers() {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("names of headers are names");
            let mut value = HeaderValue::from_str(value).expect("signatures are ASCII");
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Ok(headers)
    }

    async fn read(&self, request: RequestLine, response: Response) -> Result<String, S3Error> {
        let status = response.status();
        let body = match http::body(response, LONGEST).await {
            Ok(Some(body)) => String::from_utf8_lossy(&body).into_owned(),
            Ok(None) => return Err(S3Error::TooLong { request, limit: LONGEST }),
            Err(error) => return Err(self.broken(request, error)),
        };
        if status.is_success() {
            return Ok(body);
        }
        match Document::parse(&body) {
            Ok(Document::Error(fault)) => {
                let (code, message) = (shown(&fault.code), shown(&fault.message));
                let region = fault.region.as_deref().map(shown);
                Err(Refusal { request, status: status.as_u16(), code, message, region }.into())
            }
            _ => Err(S3Error::Status { request, status: status.as_u16() }),
        }
    }

    fn broken(&self, request: RequestLine, source: reqwest::Error) -> S3Error {
        let is_sent = !source.is_connect() && !source.is_builder();
        let is_known = self.has_answered.load(Ordering::Relaxed);
        S3Error::Transport { request, is_sent, is_known, source: source.without_url() }
    }
}

/// A text of the service's, as a part of one line.
pub(super) fn shown(text: &str) -> String {
    printable::text(text.trim()).chars().take(LONGEST_MESSAGE).collect()
}
