//! The API of Kubernetes on a control-plane node, as firstboot uses it: with the admin's certificate that k3s keeps
//! beside it, over loopback. Paths and verbs are those of the API's own reference; objects are JSON values.

pub mod resources;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use thiserror::Error;

use crate::converge::{ConvergeError, System};
use crate::exchange::{ExchangeError, Peer};
use crate::http::Answer;
use crate::tls::TlsError;

/// k3s' certificates on a control plane.
const SERVER: &str = "/var/lib/rancher/k3s/server/tls";
/// k3s' certificates on every node.
const AGENT: &str = "/var/lib/rancher/k3s/agent";
const PORT: u16 = 6443;
/// For one request.
const TIME: Duration = Duration::from_secs(30);
/// Longest answer: a list of all nodes of a large cluster.
const LONGEST: usize = 32 << 20;

/// The API.
#[derive(Clone, Debug)]
pub struct Api(Peer);

/// A way to an API that may be still on its way up.
pub type Reach = Box<dyn Fn() -> Result<Api, ApiError> + Send + Sync>;

/// Why the API did not do what it was asked for.
#[derive(Debug, Error)]
pub enum ApiError {
    /// k3s has not made its certificates yet.
    #[error("k3s has no `{path}` yet")]
    NoCertificate {
        /// The file.
        path: String,
    },
    /// A file refused.
    #[error(transparent)]
    Converge(#[from] ConvergeError),
    /// A certificate or key is none.
    #[error("reading k3s' {what}")]
    Pem {
        /// Which.
        what: &'static str,
        /// Why.
        #[source]
        source: pem::Error,
    },
    /// It does not answer.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    /// The API said no.
    #[error("the API answers {status} to {verb} of `{path}`: {message}")]
    Status {
        /// HTTP status code.
        status: u16,
        /// What was asked.
        verb: &'static str,
        /// Of what.
        path: String,
        /// Its words, made harmless.
        message: String,
    },
    /// The answer is no JSON.
    #[error("the API's answer to {verb} of `{path}` is no JSON")]
    Json {
        /// What was asked.
        verb: &'static str,
        /// Of what.
        path: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

/// Where Kubernetes has its nodes.
pub const NODES: &str = "/api/v1/nodes";

/// Whether a node of Kubernetes is Ready, since when, and why: its condition of that type.
pub fn ready_condition(node: &Value) -> Option<&Value> {
    let conditions = node["status"]["conditions"].as_array()?;
    conditions.iter().find(|condition| condition["type"] == "Ready")
}

/// Whether that condition says so.
pub fn is_true(condition: &Value) -> bool {
    condition["status"] == "True"
}

impl Api {
    /// The API of the control plane on this machine, as its admin.
    pub fn of_control_plane(system: &System) -> Result<Self, ApiError> {
        let [authority, certificate, key] =
            ["server-ca.crt", "client-admin.crt", "client-admin.key"].map(|name| format!("{SERVER}/{name}"));
        Self::with((Ipv4Addr::LOCALHOST, PORT).into(), [authority, certificate, key], system)
    }

    /// The API of the control plane at `server`, as this machine's kubelet.
    pub fn of_kubelet(system: &System, server: Ipv4Addr) -> Result<Self, ApiError> {
        let [authority, certificate, key] = ["server-ca.crt", "client-kubelet.crt", "client-kubelet.key"]
            .map(|name| format!("{AGENT}/{name}"));
        Self::with((server, PORT).into(), [authority, certificate, key], system)
    }

    fn with(address: SocketAddr, paths: [String; 3], system: &System) -> Result<Self, ApiError> {
        let read = |path: String| system.read(&path)?.ok_or(ApiError::NoCertificate { path });
        let [authority, certificate, key] = paths;
        Self::new(address, &read(authority)?, &read(certificate)?, &read(key)?)
    }

    /// The API at `address`, with certificates in PEM.
    pub fn new(
        address: SocketAddr,
        authority: &[u8],
        certificate: &[u8],
        key: &[u8],
    ) -> Result<Self, ApiError> {
        let bad = |what| move |source| ApiError::Pem { what, source };
        let certificates = |text| CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>();
        let mut roots = RootCertStore::empty();
        // Like k3s' own clients: whoever is in the bundle is trusted, for it may end in an intermediate.
        roots.add_parsable_certificates(certificates(authority).map_err(bad("server-ca.crt"))?);
        let chain = certificates(certificate).map_err(bad("client-admin.crt"))?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(bad("client-admin.key"))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(tls_fault)?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .map_err(tls_fault)?;
        Ok(Self(Peer { address, name: None, config: Arc::new(config), time: TIME, longest: LONGEST }))
    }

    /// The same, with a server whose certificate calls it so.
    #[must_use]
    pub fn called(self, name: ServerName<'static>) -> Self {
        Self(Peer { name: Some(name), ..self.0 })
    }

    /// Fails as long as the API does not answer for itself (`/readyz`).
    pub fn is_ready(&self) -> Result<(), ApiError> {
        self.send("get", "GET", "/readyz", "text/plain", &[]).map(drop)
    }

    /// An object or a list; `None` where there is none.
    pub fn get(&self, path: &str) -> Result<Option<Value>, ApiError> {
        let answer = self.send("get", "GET", path, "application/json", &[])?;
        match answer.status {
            404 => Ok(None),
            _ => json("get", path, &answer).map(Some),
        }
    }

    /// Makes an object in a collection; `None` where one of its name is there.
    pub fn create(&self, collection: &str, object: &Value) -> Result<Option<Value>, ApiError> {
        let answer =
            self.send("create", "POST", collection, "application/json", object.to_string().as_bytes())?;
        match answer.status {
            409 => Ok(None),
            _ => json("create", collection, &answer).map(Some),
        }
    }

    /// Replaces an object that still has the resource version of `object`; `None` where it has another, or is gone.
    pub fn replace(&self, path: &str, object: &Value) -> Result<Option<Value>, ApiError> {
        let answer = self.send("replace", "PUT", path, "application/json", object.to_string().as_bytes())?;
        match answer.status {
            404 | 409 => Ok(None),
            _ => json("replace", path, &answer).map(Some),
        }
    }

    /// Applies an object, server-side, as field manager `imgbuild`.
    pub fn apply(&self, path: &str, object: &Value) -> Result<Value, ApiError> {
        let path = format!("{path}?fieldManager=imgbuild&force=true");
        // JSON is YAML.
        let media_type = "application/apply-patch+yaml";
        let answer = self.send("apply", "PATCH", &path, media_type, object.to_string().as_bytes())?;
        json("apply", &path, &answer)
    }

    /// Removes an object; one that is gone is removed.
    pub fn delete(&self, path: &str) -> Result<(), ApiError> {
        let answer = self.send("delete", "DELETE", path, "application/json", &[])?;
        match answer.status {
            404 => Ok(()),
            _ => json("delete", path, &answer).map(drop),
        }
    }

    fn send(
        &self,
        verb: &'static str,
        method: &str,
        path: &str,
        media_type: &str,
        body: &[u8],
    ) -> Result<Answer, ApiError> {
        let answer = self.0.ask(method, path, media_type, body)?;
        if answer.status >= 400 && ![404, 409].contains(&answer.status) {
            return Err(refusal(verb, path, &answer));
        }
        Ok(answer)
    }
}

fn json(verb: &'static str, path: &str, answer: &Answer) -> Result<Value, ApiError> {
    if answer.status >= 300 {
        return Err(refusal(verb, path, answer));
    }
    serde_json::from_slice(&answer.body).map_err(|source| ApiError::Json {
        verb,
        path: path.to_owned(),
        source,
    })
}

fn tls_fault(error: rustls::Error) -> ExchangeError {
    TlsError::from(error).into()
}

/// The message of a `Status`, which is what the API explains itself with.
fn refusal(verb: &'static str, path: &str, answer: &Answer) -> ApiError {
    let status: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let message = status.as_ref().and_then(|status| status.get("message")?.as_str()).map_or_else(
        || String::from_utf8_lossy(&answer.body).chars().take(200).collect::<String>(),
        str::to_owned,
    );
    let message = message.escape_debug().to_string();
    ApiError::Status { status: answer.status, verb, path: path.to_owned(), message }
}
