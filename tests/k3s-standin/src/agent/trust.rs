//! Whom an agent believes: three requests for the CA, the hash compared last (k3s, `ParseAndValidateToken`).

use bytes::Bytes;
use thiserror::Error;

use super::client::{Believes, Client, ClientError};
use crate::output;
use crate::pki::hash;
use crate::token::{Token, TokenError};

/// Why a server is not believed.
#[derive(Debug, Error)]
pub enum TrustError {
    /// The token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// No CA.
    #[error("failed to get CA certs: {0}")]
    Fetch(#[from] ClientError),
    /// Another CA.
    #[error("token CA hash does not match the Cluster CA certificate hash: {token} != {server}")]
    Hash {
        /// What the token says.
        token: String,
        /// What the server has.
        server: String,
    },
    /// Not even text.
    #[error("the server's CA file is no text")]
    NoText,
}

/// Whom to believe about the server at `url`.
pub async fn establish(url: &str, token: &Token) -> Result<Believes, TrustError> {
    if Client::new(url, &Believes::Host, None)?.get("/cacerts").await.is_ok() {
        if token.hash.is_some() {
            output::line(
                "warning",
                "Cluster CA certificate is trusted by the host CA bundle. Token CA hash will not be validated.",
            );
        }
        return Ok(Believes::Host);
    }
    let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).map_err(|_| TrustError::NoText);
    let bundle = text(Client::new(url, &Believes::Anybody, None)?.get("/cacerts").await?)?;
    let believes = Believes::Bundle(bundle.clone());
    Client::new(url, &believes, None)?.get("/cacerts").await?;
    let server = hash::of_bundle(bundle.as_bytes());
    match &token.hash {
        Some(token) if *token != server => Err(TrustError::Hash { token: token.clone(), server }),
        _ => Ok(believes),
    }
}
