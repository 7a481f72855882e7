//! A node's side of the claim.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use ed25519_dalek::SigningKey;
use thiserror::Error;

use super::challenge::{Challenge, NoChallenge};
use super::message::{Reply, Request, Right};
use super::server::{CHALLENGE, CLAIM};
use crate::document;
use crate::http::{self, Answer, HttpError};
use crate::public_key::PublicKey;
use crate::ticket::Hardware;
use crate::tls::{self, Timed, TlsError};

/// For one exchange, over a slow uplink.
const TIME: Duration = Duration::from_secs(20);
/// Longest answer: a grant with the peers of a large cluster.
const LONGEST_ANSWER: usize = 1 << 20;

/// Why there is no answer. Every one of them may be gone at the next try.
#[derive(Debug, Error)]
pub enum ClaimError {
    /// Nobody listens, or no packet arrives.
    #[error("connecting to {address}")]
    Connect {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The exchange broke off, or its other end does not hold the cluster's key.
    #[error("speaking with {address}")]
    Exchange {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: HttpError,
    },
    /// The service said no to the form of what was asked.
    #[error("{address} answers with status {status}: {text}")]
    Status {
        /// Where.
        address: SocketAddr,
        /// HTTP status code.
        status: u16,
        /// Its words, made harmless.
        text: String,
    },
    /// The answer is none of the protocol.
    #[error("the challenge of {address} is unusable")]
    Challenge {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: NoChallenge,
    },
    /// The answer is none of the protocol.
    #[error("the answer of {address} is unusable")]
    Answer {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The request cannot be written.
    #[error("rendering the request")]
    Render(#[source] serde_json::Error),
}

/// Who asks.
#[derive(Debug)]
pub struct Claimant {
    /// The node key.
    pub key: SigningKey,
    /// The node's public WireGuard key, 32 bytes in base64.
    pub wireguard: String,
    /// What machine it is.
    pub hardware: Hardware,
    /// The first challenge it was given since it waits.
    pub first: Option<Challenge>,
}

impl Claimant {
    /// Asks once. The service at `address` must hold the private half of `cluster_key`.
    pub fn ask(
        &mut self,
        right: &Right,
        address: SocketAddr,
        cluster_key: &PublicKey,
    ) -> Result<Reply, ClaimError> {
        let exchange = Exchange { address, config: tls::client(cluster_key)? };
        let answer = exchange.send("GET", CHALLENGE, &[])?;
        if answer.status != 200 {
            return Err(exchange.status(&answer));
        }
        let challenge: Challenge = String::from_utf8_lossy(&answer.body)
            .parse()
            .map_err(|source| ClaimError::Challenge { address, source })?;
        let request = Request {
            challenge,
            first_challenge: *self.first.get_or_insert(challenge),
            key: PublicKey::of(&self.key),
            wireguard: self.wireguard.clone(),
            hardware: self.hardware.clone(),
            right: right.clone(),
        };
        let text = document::sign(&request, &self.key).map_err(ClaimError::Render)?;
        let answer = exchange.send("POST", CLAIM, text.as_bytes())?;
        serde_json::from_slice(&answer.body).map_err(|source| match answer.status {
            200 | 202 | 403 | 503 => ClaimError::Answer { address, source },
            _ => exchange.status(&answer),
        })
    }
}

struct Exchange {
    address: SocketAddr,
    config: std::sync::Arc<rustls::ClientConfig>,
}

impl Exchange {
    fn send(&self, method: &str, path: &str, body: &[u8]) -> Result<Answer, ClaimError> {
        let address = self.address;
        let stream = TcpStream::connect_timeout(&address, TIME)
            .map_err(|source| ClaimError::Connect { address, source })?;
        let mut stream = tls::connect(&self.config, Timed::new(stream, TIME))?;
        http::write_request(&mut stream, method, path, body)
            .map_err(HttpError::from)
            .and_then(|()| http::read_answer(&mut stream, LONGEST_ANSWER))
            .map_err(|source| ClaimError::Exchange { address, source })
    }

    fn status(&self, answer: &Answer) -> ClaimError {
        let text: String = String::from_utf8_lossy(&answer.body).chars().take(200).collect();
        ClaimError::Status {
            address: self.address,
            status: answer.status,
            text: text.escape_debug().to_string(),
        }
    }
}
