//! The server: a thread of its own, until it is dropped.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::{io, thread};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use http_body_util::Full;
use http_body_util::combinators::BoxBody;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use s3s::auth::{S3Auth, SecretKey};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3Result, s3_error};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::store::{Bucket, Store};
use crate::{Fault, FaultKind};

/// Access key and secret key of the account that tests use.
pub const KEYS: [&str; 2] = ["IMGBUILDTEST00000001", "n0t/a+secret/of/anybody/0123456789abcdef"];
/// Those of another account.
pub const OTHER_KEYS: [&str; 2] = ["SOMEBODYELSE00000001", "n0t/a+secret/of/anybody/fedcba9876543210"];
/// The only region.
pub const REGION: &str = "fsn1";

/// What services do differently.
#[derive(Clone, Debug)]
pub struct Options {
    /// Most entries of one page of a list.
    pub page: usize,
    /// Whether making a bucket of one's own once more succeeds, as with Ceph, or is refused.
    pub makes_again: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { page: 1000, makes_again: true }
    }
}

/// Both accounts.
#[derive(Debug)]
struct Accounts;

#[async_trait::async_trait]
impl S3Auth for Accounts {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        let [_, secret] = [KEYS, OTHER_KEYS]
            .into_iter()
            .find(|[access, _]| *access == access_key)
            .ok_or_else(|| s3_error!(InvalidAccessKeyId))?;
        Ok(secret.into())
    }
}

type Body = BoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// A running server.
#[derive(Debug)]
pub struct S3Server {
    address: SocketAddr,
    store: Store,
    shared: Arc<Shared>,
    ends: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    faults: Mutex<Vec<Fault>>,
    requests: Mutex<Vec<String>>,
}

impl Shared {
    /// Notes a request, and says what it meets.
    fn meet(&self, request: &str) -> Option<FaultKind> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request.to_owned());
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        // All of them count it.
        let met: Vec<_> = faults.iter_mut().filter_map(|fault| fault.meet(request)).collect();
        met.into_iter().next()
    }
}

impl S3Server {
    /// Starts one.
    pub fn start(options: Options) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0)))?;
        let (address, store, shared) = (listener.local_addr()?, Store::new(options), Arc::default());
        let mut builder = S3ServiceBuilder::new(store.clone());
        builder.set_auth(Accounts);
        let (service, (ends, end)) = (builder.build(), oneshot::channel());
        let serving = serve(listener, service, Arc::clone(&shared));
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serving => {}
                    _ = end => {}
                }
            });
        });
        Ok(Self { address, store, shared, ends: Some(ends), thread: Some(thread) })
    }

    /// Its URL, without final slash.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Adds a fault.
    pub fn add_fault(&self, fault: Fault) {
        self.shared.faults.lock().unwrap_or_else(PoisonError::into_inner).push(fault);
    }

    /// From here on nothing fails.
    pub fn clear_faults(&self) {
        self.shared.faults.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Methods and paths of all requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes a bucket with objects, of the account with an access key.
    pub fn make(&self, owner: [&str; 2], name: &str, keys: impl IntoIterator<Item = impl Into<String>>) {
        let keys = keys.into_iter().map(Into::into).collect();
        self.store
            .all()
            .insert(name.to_owned(), Bucket { owner: owner[0].to_owned(), keys, ..Bucket::default() });
    }

    /// From here on a bucket keeps what is removed as an old version.
    pub fn keep_versions(&self, name: &str) {
        if let Some(bucket) = self.store.all().get_mut(name) {
            bucket.is_versioned = true;
        }
    }

    /// All buckets, each with its objects: `lab-etcd: a b`.
    pub fn buckets(&self) -> Vec<String> {
        let all = self.store.all();
        let shown = |(name, bucket): (&String, &Bucket)| {
            std::iter::once(format!("{name}:"))
                .chain(bucket.keys.iter().cloned())
                .collect::<Vec<_>>()
                .join(" ")
        };
        all.iter().map(shown).collect()
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        drop(self.ends.take());
        if let Some(thread) = self.thread.take() {
            // It has ended, or a panic of its own was told already.
            let _ = thread.join();
        }
    }
}

async fn serve(listener: TcpListener, service: S3Service, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (service, shared) = (service.clone(), Arc::clone(&shared));
        let answer = service_fn(move |request| {
            let (service, shared) = (service.clone(), Arc::clone(&shared));
            async move { answer(request, &service, &shared).await }
        });
        tokio::spawn(async move {
            // A client that goes away is no fault of the server's.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

/// An error closes the connection.
async fn answer(
    request: Request<Incoming>,
    service: &S3Service,
    shared: &Shared,
) -> io::Result<Response<Body>> {
    let line = format!("{} {}", request.method(), request.uri().path());
    let met = shared.meet(&line);
    let text = |status: u16, body: String| {
        let body = Full::new(Bytes::from(body)).map_err(|never| match never {}).boxed();
        Response::builder().status(status).body(body).map_err(io::Error::other)
    };
    match &met {
        Some(FaultKind::Answer { status, code }) => {
            let body = format!("<Error><Code>{code}</Code><Message>a fault of the test</Message></Error>");
            return text(*status, body);
        }
        Some(FaultKind::Text { status, body }) => return text(*status, (*body).to_owned()),
        Some(FaultKind::CloseBefore) => return Err(io::ErrorKind::ConnectionReset.into()),
        Some(FaultKind::CloseAfter | FaultKind::Hang) | None => {}
    }
    let answered = service.call(request.map(Into::into)).await.map_err(io::Error::other)?;
    match met {
        Some(FaultKind::CloseAfter) => Err(io::ErrorKind::ConnectionReset.into()),
        Some(FaultKind::Hang) => std::future::pending().await,
        _ => Ok(answered.map(|body| body.map_err(Into::into).boxed())),
    }
}
