//! The client: requests with their retries.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use md5::{Digest as _, Md5};
use reqwest::Method;
use reqwest::header::{HeaderName, HeaderValue};

use super::document::{self, BucketList, CreateBucketConfiguration, Delete, Document, Object, ObjectList};
use super::retry;
use super::transport::{Request, Transport, shown};
use super::{Endpoint, Keys, RequestLine, S3Error};
use crate::hetzner::{Operation, Pace};

/// Most of one page that services give.
const PAGE: usize = 1000;
/// An account with more pages of buckets is none: Hetzner allows 100 buckets, AWS ten thousand.
const PAGES: u32 = 100;
/// The region whose buckets are made without naming it.
const FIRST_REGION: &str = "us-east-1";

/// Talks to the service. Clones share connections.
#[derive(Clone, Debug)]
pub struct Client {
    transport: Transport,
    pace: Pace,
}

/// Objects of a bucket, as far as one page tells of them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Objects {
    /// Their keys.
    pub keys: Vec<String>,
    /// Whether there are others.
    pub is_more: bool,
}

impl Client {
    /// A client for one account, by its keys.
    pub fn new(endpoint: Endpoint, keys: Keys) -> Result<Self, S3Error> {
        Ok(Self { transport: Transport::new(endpoint, keys)?, pace: Pace::default() })
    }

    /// The same at another pace.
    #[must_use]
    pub fn with_pace(self, pace: Pace) -> Self {
        Self { pace, ..self }
    }

    /// Whom it asks.
    pub const fn endpoint(&self) -> &Endpoint {
        self.transport.endpoint()
    }

    pub(super) const fn pace(&self) -> &Pace {
        &self.pace
    }

    /// Names of the buckets that the account has.
    pub async fn buckets(&self, operation: &Operation) -> Result<BTreeSet<String>, S3Error> {
        let mut request = Request::new(Method::GET, [""; 0]);
        let mut all = BTreeSet::new();
        for _ in 0..PAGES {
            let BucketList { buckets, continuation_token } =
                match self.document(operation, &request, "list of buckets").await? {
                    Document::ListAllMyBucketsResult(list) => list,
                    other => return Err(self.unexpected(&request, "list of buckets", &other)),
                };
            all.extend(buckets.all.into_iter().map(|bucket| bucket.name));
            match continuation_token.filter(|token| !token.is_empty()) {
                None => return Ok(all),
                Some(token) => request.query = vec![("continuation-token", token)],
            }
        }
        Err(S3Error::Endless { request: self.line(&request), pages: PAGES })
    }

    /// The first objects of a bucket whose keys begin with `prefix`.
    pub async fn objects(
        &self,
        operation: &Operation,
        bucket: &str,
        prefix: &str,
    ) -> Result<Objects, S3Error> {
        let mut request = Request::new(Method::GET, [bucket]);
        request.query = vec![("list-type", "2".to_owned()), ("max-keys", PAGE.to_string())];
        if !prefix.is_empty() {
            request.query.push(("prefix", prefix.to_owned()));
        }
        let ObjectList { contents, is_truncated, next_continuation_token } =
            match self.document(operation, &request, "list of objects").await? {
                Document::ListBucketResult(list) => list,
                other => return Err(self.unexpected(&request, "list of objects", &other)),
            };
        let is_more = is_truncated || next_continuation_token.is_some();
        Ok(Objects { keys: contents.into_iter().map(|object| object.key).collect(), is_more })
    }

    /// Makes a bucket. One of this account's is as good: the answer to an earlier try may have been lost.
    pub async fn create(&self, operation: &Operation, bucket: &str) -> Result<(), S3Error> {
        let mut request = Request::new(Method::PUT, [bucket]);
        let region = self.endpoint().region();
        if region != FIRST_REGION {
            request.body = document::body(&CreateBucketConfiguration::new(region));
        }
        let made = self.call(operation, &request).await;
        match made {
            // Services differ in which of them they say of one's own.
            Err(error) if error.is("BucketAlreadyOwnedByYou") || error.is("BucketAlreadyExists") => {
                let is_own = self.buckets(operation).await?.contains(bucket);
                if is_own { Ok(()) } else { Err(S3Error::Taken { bucket: bucket.to_owned() }) }
            }
            made => made.map(drop),
        }
    }

    /// Removes a bucket, unless something is in it. One that is not there is removed.
    pub async fn delete(&self, operation: &Operation, bucket: &str) -> Result<(), S3Error> {
        match self.call(operation, &Request::new(Method::DELETE, [bucket])).await {
            Err(error) if error.is("BucketNotEmpty") => Err(S3Error::Full { bucket: bucket.to_owned() }),
            Err(error) if error.is("NoSuchBucket") => Ok(()),
            deleted => deleted.map(drop),
        }
    }

    /// Writes an object without bytes.
    pub async fn put_nothing(&self, operation: &Operation, bucket: &str, key: &str) -> Result<(), S3Error> {
        let path = std::iter::once(bucket).chain(key.split('/'));
        self.call(operation, &Request::new(Method::PUT, path)).await.map(drop)
    }

    /// Removes an object. One that is not there is removed.
    pub async fn delete_object(&self, operation: &Operation, bucket: &str, key: &str) -> Result<(), S3Error> {
        let path = std::iter::once(bucket).chain(key.split('/'));
        match self.call(operation, &Request::new(Method::DELETE, path)).await {
            Err(error) if error.is("NoSuchKey") || error.is("NoSuchBucket") => Ok(()),
            deleted => deleted.map(drop),
        }
    }

    /// Removes all objects of a bucket but those whose keys begin with `spared`; only what it shows without versions.
    pub async fn empty(&self, operation: &Operation, bucket: &str, spared: &str) -> Result<(), S3Error> {
        let mut before = Vec::new();
        loop {
            let all = self.objects(operation, bucket, "").await?;
            if !all.keys.is_empty() && all.keys == before {
                return Err(S3Error::Full { bucket: bucket.to_owned() });
            }
            before.clone_from(&all.keys);
            let keys = all.keys.into_iter().filter(|key| !key.starts_with(spared));
            let objects: Vec<Object> = keys.map(|key| Object { key }).collect();
            if objects.is_empty() {
                return Ok(());
            }
            self.delete_objects(operation, bucket, &objects).await?;
        }
    }

    /// A thousand at most.
    async fn delete_objects(
        &self,
        operation: &Operation,
        bucket: &str,
        objects: &[Object],
    ) -> Result<(), S3Error> {
        let mut request = Request::new(Method::POST, [bucket]);
        request.query = vec![("delete", String::new())];
        request.body = document::body(&Delete::new(objects));
        let digest = BASE64_STANDARD.encode(Md5::digest(&request.body));
        let digest = HeaderValue::from_str(&digest).expect("Base64 is ASCII");
        request.headers.insert(HeaderName::from_static("content-md5"), digest);
        let errors = match self.document(operation, &request, "result of a removal").await? {
            Document::DeleteResult(deleted) => deleted.errors,
            other => return Err(self.unexpected(&request, "result of a removal", &other)),
        };
        let Some(fault) = errors.into_iter().next() else { return Ok(()) };
        let key = shown(fault.key.as_deref().unwrap_or_default());
        let (code, message) = (shown(&fault.code), shown(&fault.message));
        Err(S3Error::Object { bucket: bucket.to_owned(), key, code, message })
    }

    async fn document(
        &self,
        operation: &Operation,
        request: &Request,
        expected: &'static str,
    ) -> Result<Document, S3Error> {
        let body = self.call(operation, request).await?;
        Document::parse(&body).map_err(|fault| {
            let fault = shown(&fault.to_string());
            S3Error::Reply { request: self.line(request), expected, fault }
        })
    }

    fn unexpected(&self, request: &Request, expected: &'static str, other: &Document) -> S3Error {
        let fault = match other {
            Document::Error(fault) => format!("`{}`: {}", shown(&fault.code), shown(&fault.message)),
            _ => "it is another document".to_owned(),
        };
        S3Error::Reply { request: self.line(request), expected, fault }
    }

    fn line(&self, request: &Request) -> RequestLine {
        request.line(self.endpoint())
    }

    /// As with the API of servers, what changes something is not dropped on its way: it would show after the clean-up.
    async fn call(&self, operation: &Operation, request: &Request) -> Result<String, S3Error> {
        for failed in 0.. {
            operation.check()?;
            let exchange = self.transport.exchange(request, self.pace.request);
            let answer =
                if request.method == Method::GET { operation.run(exchange).await? } else { exchange.await };
            let error = match answer {
                Ok(body) => return Ok(body),
                Err(error) => error,
            };
            match retry::pause(&self.pace, failed, &error) {
                None => return Err(error),
                Some(pause) => operation.pause(pause, Some(error.into())).await?,
            }
        }
        unreachable!("a request is not repeated for ever")
    }
}
