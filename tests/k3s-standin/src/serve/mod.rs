//! The port on which k3s answers: supervisor and Kubernetes API behind one TLS certificate.

pub mod body;
mod identity;
mod kube;
mod query;
mod tls;
mod watch;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::pki_types::CertificateDer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch as state;
use tokio_rustls::TlsAcceptor;

use crate::api::status::Status;
use crate::cluster::Cluster;
use crate::options::Options;
use crate::output;
use crate::pki::server::ServerFiles;
use crate::supervisor::Supervisor;
use body::Body;
pub use identity::Trust;
pub use tls::provider;

/// Until a connection has shown that it speaks TLS.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How far a server has come.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Phase {
    /// The port is open, nothing behind it.
    Starting,
    /// The supervisor answers.
    Bound,
    /// The Kubernetes API answers.
    Api,
    /// Controllers run.
    Core,
}

/// What answers requests.
#[derive(Debug)]
pub struct Server {
    /// The objects.
    pub cluster: Arc<Cluster>,
    /// Certificates.
    pub files: ServerFiles,
    /// What it was told.
    pub options: Options,
    /// How far it has come.
    pub phase: state::Sender<Phase>,
    /// Who is who.
    pub trust: Trust,
    /// k3s' own paths.
    pub supervisor: Supervisor,
}

impl Server {
    /// How far it has come.
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Answers on `listener` until the task is dropped.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) -> anyhow::Result<()> {
        let acceptor = TlsAcceptor::from(Arc::new(tls::server(&self.files)?));
        loop {
            match listener.accept().await {
                Ok((stream, _)) => drop(tokio::spawn(self.clone().connection(acceptor.clone(), stream))),
                Err(error) => {
                    // Too many open files: others may close theirs.
                    output::error(&format!("accepting a connection: {error}"));
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn connection(self: Arc<Self>, acceptor: TlsAcceptor, stream: TcpStream) {
        let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await else { return };
        let certificates: Arc<Vec<CertificateDer<'static>>> = {
            let (_, connection) = stream.get_ref();
            Arc::new(
                connection
                    .peer_certificates()
                    .unwrap_or_default()
                    .iter()
                    .map(|one| one.clone().into_owned())
                    .collect(),
            )
        };
        let service = service_fn(|request| {
            let (server, certificates) = (self.clone(), certificates.clone());
            async move { Ok::<_, Infallible>(server.answer(request, &certificates).await) }
        });
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new());
        // Clients come and go.
        drop(builder.serve_connection(TokioIo::new(stream), service).await);
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        certificates: &[CertificateDer<'static>],
    ) -> Response<Body> {
        let phase = self.phase();
        if phase == Phase::Starting {
            return body::refuse_and_close(&Status::unavailable("starting"));
        }
        let path = request.uri().path().to_owned();
        match path.as_str() {
            "/ping" => body::response(200, "text/plain", "pong"),
            "/cacerts" => body::response(200, "text/plain", self.files.server_ca.bundle.clone()),
            _ if path.starts_with("/v1-k3s/") => crate::supervisor::answer(self, request, certificates).await,
            _ if phase < Phase::Api => body::refuse_and_close(&Status::unavailable("apiserver not ready")),
            _ => match self.trust.kube_user(&self.cluster, &request, certificates) {
                Some(user) => kube::answer(self.cluster.clone(), user, request).await,
                None => body::refuse(&Status::unauthorized("Unauthorized")),
            },
        }
    }
}
