//! HTTPS as an agent speaks it: one connection per request, as little as is needed.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::serve::provider;
use crate::token::Credentials;

/// For a whole request.
const DEADLINE: Duration = Duration::from_secs(10);
/// What the host trusts.
const HOST_BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum ClientError {
    /// No URL of the form `https://host[:port]`.
    #[error("`{0}` is no https URL")]
    Url(String),
    /// The connection.
    #[error("{url}: {source}")]
    Io {
        /// To where.
        url: String,
        /// Why.
        source: std::io::Error,
    },
    /// The protocol.
    #[error("{url}: {source}")]
    Http {
        /// To where.
        url: String,
        /// Why.
        source: hyper::Error,
    },
    /// Nothing within the deadline.
    #[error("{url}: no answer within {} s", DEADLINE.as_secs())]
    Deadline {
        /// From where.
        url: String,
    },
    /// TLS can't be set up.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
    /// A certificate or key that is none.
    #[error("certificates or key: {0}")]
    Pem(String),
    /// Refused.
    #[error("{url}: {code}: {body}")]
    Status {
        /// By where.
        url: String,
        /// With what.
        code: u16,
        /// In which words.
        body: String,
    },
}

impl ClientError {
    /// The HTTP status, if it came to that.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Status { code, .. } => Some(*code),
            _ => None,
        }
    }
}

/// Whom a client believes.
#[derive(Clone, Debug)]
pub enum Believes {
    /// Whom the host believes.
    Host,
    /// Anybody.
    Anybody,
    /// The authorities of a PEM file.
    Bundle(String),
}

/// A client of one server.
#[derive(Clone, Debug)]
pub struct Client {
    url: String,
    config: Arc<ClientConfig>,
    credentials: Option<Credentials>,
}

impl Client {
    /// Of the server at `url`; `identity` is a certificate with its key, in PEM.
    pub fn new(url: &str, believes: &Believes, identity: Option<(&str, &str)>) -> Result<Self, ClientError> {
        let builder =
            ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
        let builder = match believes {
            Believes::Anybody => builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody)),
            Believes::Host => {
                let text = std::fs::read_to_string(HOST_BUNDLE).unwrap_or_default();
                builder.with_root_certificates(roots(&text)?)
            }
            Believes::Bundle(text) => {
                let roots = roots(text)?;
                let verifier =
                    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build();
                let verifier = verifier.map_err(|error| ClientError::Pem(error.to_string()))?;
                builder.with_webpki_verifier(verifier)
            }
        };
        let config = match identity {
            Some((chain, key)) => {
                let pem = |error: rustls::pki_types::pem::Error| ClientError::Pem(error.to_string());
                let chain = CertificateDer::pem_slice_iter(chain.as_bytes())
                    .collect::<Result<Vec<_>, _>>()
                    .map_err(pem)?;
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(pem)?;
                builder.with_client_auth_cert(chain, key)?
            }
            None => builder.with_no_client_auth(),
        };
        Ok(Self { url: url.trim_end_matches('/').to_owned(), config: Arc::new(config), credentials: None })
    }

    /// With credentials.
    #[must_use]
    pub fn with(mut self, credentials: Option<Credentials>) -> Self {
        self.credentials = credentials;
        self
    }

    /// GET; anything but success is an error.
    pub async fn get(&self, path: &str) -> Result<Bytes, ClientError> {
        self.send(Method::GET, path, &[], Bytes::new()).await
    }

    /// Any request; anything but success is an error.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
        body: Bytes,
    ) -> Result<Bytes, ClientError> {
        let url = format!("{}{path}", self.url);
        let answer = tokio::time::timeout(DEADLINE, self.exchange(method, path, headers, body, &url)).await;
        let (code, body) = answer.map_err(|_| ClientError::Deadline { url: url.clone() })??;
        if (200..300).contains(&code) {
            return Ok(body);
        }
        Err(ClientError::Status { url, code, body: String::from_utf8_lossy(&body).into_owned() })
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
        body: Bytes,
        url: &str,
    ) -> Result<(u16, Bytes), ClientError> {
        let io = |source| ClientError::Io { url: url.to_owned(), source };
        let http = |source| ClientError::Http { url: url.to_owned(), source };
        let invalid = || ClientError::Url(self.url.clone());
        let authority = self.url.strip_prefix("https://").ok_or_else(invalid)?;
        let (host, port) = split(authority).ok_or_else(invalid)?;
        let name = ServerName::try_from(host.clone()).map_err(|_| invalid())?;
        let stream = TcpStream::connect((host.as_str(), port)).await.map_err(io)?;
        let stream = TlsConnector::from(self.config.clone()).connect(name, stream).await.map_err(io)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(http)?;
        let mut request = Request::builder().method(method).uri(path).header(HOST, authority);
        match &self.credentials {
            Some(Credentials::Password(password)) => {
                let encoded = BASE64_STANDARD.encode(format!("node:{password}"));
                request = request.header(AUTHORIZATION, format!("Basic {encoded}"));
            }
            Some(Credentials::Bearer(token)) => {
                request = request.header(AUTHORIZATION, format!("Bearer {token}"));
            }
            None => {}
        }
        let mut has_type = false;
        for (name, value) in headers {
            has_type = has_type || *name == "content-type";
            request = request.header(*name, *value);
        }
        if !has_type {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::new(body)).map_err(|_| invalid())?;
        let exchange = async {
            let response = sender.send_request(request).await?;
            let code = response.status().as_u16();
            Ok::<_, hyper::Error>((code, response.into_body().collect().await?.to_bytes()))
        };
        // The connection's own future must run for anything to move; it ends when the exchange does.
        let mut connection = std::pin::pin!(connection);
        let mut exchange = std::pin::pin!(exchange);
        let answer = tokio::select! {
            answer = &mut exchange => answer,
            ended = &mut connection => match ended {
                Ok(()) => exchange.await,
                Err(error) => Err(error),
            },
        };
        answer.map_err(http)
    }
}

/// Host and port of `host`, `host:port`, `[::1]:port`.
fn split(authority: &str) -> Option<(String, u16)> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        let port = port.strip_prefix(':').map_or(Some(443), |port| port.parse().ok())?;
        return Some((host.to_owned(), port));
    }
    match authority.split_once(':') {
        Some((host, port)) => Some((host.to_owned(), port.parse().ok()?)),
        None => Some((authority.to_owned(), 443)),
    }
}

fn roots(bundle: &str) -> Result<RootCertStore, ClientError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(bundle.as_bytes()) {
        let certificate = certificate.map_err(|error| ClientError::Pem(error.to_string()))?;
        // The host's own file may have some that rustls does not read.
        drop(roots.add(certificate));
    }
    Ok(roots)
}

/// For the one request that fetches what is then checked.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
