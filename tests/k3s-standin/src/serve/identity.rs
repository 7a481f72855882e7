//! Who sends a request: by client certificate, password, or bootstrap token.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::Request;
use hyper::body::Incoming;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use x509_cert::der::Decode as _;

use super::body::header;
use super::tls::provider;
use crate::api::status::Status;
use crate::auth::{AGENTS, SERVERS, User};
use crate::cluster::Cluster;
use crate::pki::server::ServerFiles;
use crate::pki::{Certificate, names};
use crate::supervisor::bootstrap;

/// By what users are known.
#[derive(Debug)]
pub struct Trust {
    clients: Arc<dyn ClientCertVerifier>,
    /// Password of `server`.
    pub server_password: String,
    /// Password of `node`.
    pub agent_password: String,
}

impl Trust {
    /// Certificates of the client CA, and the two passwords.
    pub fn new(files: &ServerFiles, server_password: String, agent_password: String) -> anyhow::Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(files.client_ca.bundle.as_bytes()) {
            roots.add(certificate?)?;
        }
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build()?;
        Ok(Self { clients, server_password, agent_password })
    }

    /// Who the certificate is of, if it is one of the client CA's.
    fn certificate_user(&self, certificates: &[CertificateDer<'_>]) -> Option<User> {
        let (first, rest) = certificates.split_first()?;
        self.clients.verify_client_cert(first, rest, UnixTime::now()).ok()?;
        let (name, groups) = names(&Certificate::from_der(first).ok()?);
        Some(User { name, groups })
    }

    /// A user of the Kubernetes API.
    pub(super) fn kube_user(
        &self,
        cluster: &Cluster,
        request: &Request<Incoming>,
        certificates: &[CertificateDer<'_>],
    ) -> Option<User> {
        let by_token = || bootstrap::bearer(cluster, bearer(request)?);
        self.certificate_user(certificates).or_else(by_token)
    }

    /// A user of the supervisor. All methods are tried, and one is enough. `is_linked`: the apiserver, which knows
    /// bootstrap tokens, runs.
    pub fn supervisor_user(
        &self,
        cluster: &Cluster,
        request: &Request<Incoming>,
        certificates: &[CertificateDer<'_>],
        is_linked: bool,
    ) -> Result<User, Status> {
        if let Some(user) = self.certificate_user(certificates) {
            return Ok(user);
        }
        let not_authorized = || Status::unauthorized("not authorized");
        if let Some((name, password)) = basic(request) {
            let (wanted, group) = match name.as_str() {
                "server" => (&self.server_password, SERVERS),
                "node" => (&self.agent_password, AGENTS),
                _ => return Err(not_authorized()),
            };
            return if password == *wanted { Ok(User::new(name, &[group])) } else { Err(not_authorized()) };
        }
        match bearer(request) {
            Some(token) if is_linked => bootstrap::bearer(cluster, token).ok_or_else(not_authorized),
            _ if !certificates.is_empty() => Err(not_authorized()),
            // Without a method that could know it, a bearer is nobody yet.
            _ => Err(Status::forbidden("forbidden")),
        }
    }
}

fn basic(request: &Request<Incoming>) -> Option<(String, String)> {
    let encoded = header(request, "authorization").strip_prefix("Basic ")?;
    let text = String::from_utf8(BASE64_STANDARD.decode(encoded.trim()).ok()?).ok()?;
    text.split_once(':').map(|(name, password)| (name.to_owned(), password.to_owned()))
}

fn bearer(request: &Request<Incoming>) -> Option<&str> {
    header(request, "authorization").strip_prefix("Bearer ").map(str::trim)
}
