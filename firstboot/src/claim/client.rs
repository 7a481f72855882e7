//! A node's side of the claim.

use std::net::SocketAddr;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use serde::de::DeserializeOwned;
use thiserror::Error;

use super::challenge::{Challenge, NoChallenge};
use super::message::{Reply, ReportReply, Request, Right};
use super::report::{NodeReport, Report};
use super::server::{CHALLENGE, CLAIM, REPORT};
use crate::document;
use crate::exchange::{ExchangeError, Peer};
use crate::http::Answer;
use crate::peers::PeerEndpoints;
use crate::public_key::PublicKey;
use crate::ticket::Hardware;
use crate::tls;

/// For one exchange, over a slow uplink.
const TIME: Duration = Duration::from_secs(20);
/// Longest answer: a grant with the peers of a large cluster.
const LONGEST_ANSWER: usize = 1 << 20;
/// Of a signed document, and of nothing.
const MEDIA_TYPE: &str = "text/plain";

/// Why there is no answer. Every one of them may be gone at the next try.
#[derive(Debug, Error)]
pub enum ClaimError {
    /// Nobody answers, or who does is not the cluster.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
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

/// Whether who listens at `address` is the claim service of the cluster with this key.
pub fn answers(address: SocketAddr, cluster_key: &PublicKey) -> bool {
    service(address, cluster_key).and_then(|service| challenge(&service)).is_ok()
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
    /// Where its tunnel is reached.
    pub endpoints: PeerEndpoints,
    /// The first challenge it was given since it waits.
    pub first: Option<Challenge>,
    /// The last challenge that it was given.
    pub last: Option<Challenge>,
}

impl Claimant {
    /// Asks once. The service at `address` must hold the private half of `cluster_key`.
    pub fn ask(
        &mut self,
        right: &Right,
        address: SocketAddr,
        cluster_key: &PublicKey,
    ) -> Result<Reply, ClaimError> {
        let service = service(address, cluster_key)?;
        let challenge = self.challenge(&service)?;
        let request = Request {
            challenge,
            first_challenge: *self.first.get_or_insert(challenge),
            key: PublicKey::of(&self.key),
            wireguard: self.wireguard.clone(),
            hardware: self.hardware.clone(),
            endpoints: self.endpoints.clone(),
            right: right.clone(),
        };
        let text = document::sign(&request, &self.key).map_err(ClaimError::Render)?;
        send(CLAIM, &text, &service)
    }

    /// Asks for a challenge, for the sake of the time in it.
    pub fn look(&mut self, address: SocketAddr, cluster_key: &PublicKey) -> Result<(), ClaimError> {
        self.challenge(&service(address, cluster_key)?).map(drop)
    }

    fn challenge(&mut self, service: &Peer) -> Result<Challenge, ClaimError> {
        let challenge = challenge(service)?;
        self.last = Some(challenge);
        Ok(challenge)
    }

    /// Tells once how the node is.
    pub fn report(
        &mut self,
        report: &NodeReport,
        address: SocketAddr,
        cluster_key: &PublicKey,
    ) -> Result<ReportReply, ClaimError> {
        let service = service(address, cluster_key)?;
        let challenge = self.challenge(&service)?;
        let (key, endpoints) = (PublicKey::of(&self.key), self.endpoints.clone());
        let report = Report { challenge, key, endpoints, report: report.clone() };
        let text = document::sign(&report, &self.key).map_err(ClaimError::Render)?;
        send(REPORT, &text, &service)
    }
}

fn service(address: SocketAddr, cluster_key: &PublicKey) -> Result<Peer, ClaimError> {
    let config = tls::client(cluster_key).map_err(ExchangeError::from)?;
    Ok(Peer { address, name: None, config, time: TIME, longest: LONGEST_ANSWER })
}

fn challenge(service: &Peer) -> Result<Challenge, ClaimError> {
    let address = service.address;
    let answer = service.ask("GET", CHALLENGE, MEDIA_TYPE, &[])?;
    if answer.status != 200 {
        return Err(status(address, &answer));
    }
    let text = String::from_utf8_lossy(&answer.body);
    text.parse().map_err(|source| ClaimError::Challenge { address, source })
}

fn send<T: DeserializeOwned>(path: &str, text: &str, service: &Peer) -> Result<T, ClaimError> {
    let address = service.address;
    let answer = service.ask("POST", path, MEDIA_TYPE, text.as_bytes())?;
    serde_json::from_slice(&answer.body).map_err(|source| match answer.status {
        200 | 202 | 403 | 503 => ClaimError::Answer { address, source },
        _ => status(address, &answer),
    })
}

fn status(address: SocketAddr, answer: &Answer) -> ClaimError {
    let text: String = String::from_utf8_lossy(&answer.body).chars().take(200).collect();
    ClaimError::Status { address, status: answer.status, text: text.escape_debug().to_string() }
}
