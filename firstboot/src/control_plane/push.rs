//! The listener for a bundle, with the one-time key that the node's record came with, and its other end.
//!
//! One good bundle closes it for good. It answers only once the bundle is kept, so that an operator who has the answer
//! has a node that goes on by itself, and one who has none pushes again.

use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use rustls::ServerConfig;
use thiserror::Error;

use super::bundle::{self, Bundle};
use super::install;
use crate::cluster::ClusterRecord;
use crate::converge::System;
use crate::document;
use crate::exchange::{self, ExchangeError, Peer};
use crate::http::Answer;
use crate::public_key::PublicKey;
use crate::tls::{self, TlsError};

/// Path that takes a bundle.
const BUNDLE: &str = "/v1/bundle";
/// For one push, over a slow uplink.
const TIME: Duration = Duration::from_secs(30);
/// After a listener's own fault, as when no file is left.
const PAUSE: Duration = Duration::from_millis(200);

/// A node that waits for its bundle.
#[derive(Debug)]
pub struct Listener<'a> {
    /// The cluster of its medium.
    pub cluster: &'a ClusterRecord,
    /// Its name.
    pub node: &'a str,
    /// The only addresses that may push; none: all may try, for they need the operator's signature.
    pub from: &'a [IpAddr],
    /// Where the bundle is kept.
    pub system: &'a System,
}

impl Listener<'_> {
    /// Waits for a good bundle, for as long as it takes. One stranger at a time is heard, and none for long.
    pub fn wait(&self, listener: &TcpListener, key: &SigningKey) -> Result<Bundle, TlsError> {
        let config = tls::server(key)?;
        loop {
            let Ok((stream, address)) = listener.accept() else {
                std::thread::sleep(PAUSE);
                continue;
            };
            if !self.from.is_empty() && !self.from.contains(&address.ip().to_canonical()) {
                continue;
            }
            // What went wrong with this one, its other end was told or has caused.
            if let Some(bundle) = self.hear(stream, &config) {
                return Ok(bundle);
            }
        }
    }

    /// A bundle that is kept counts, whether its operator hears of it or not.
    fn hear(&self, stream: TcpStream, config: &Arc<ServerConfig>) -> Option<Bundle> {
        let mut taken = None;
        let _lost = exchange::serve(stream, config, (TIME, document::LONGEST), |request| {
            if (request.method.as_str(), request.path.as_str()) != ("POST", BUNDLE) {
                return Answer::text(404, "this node waits for its bundle");
            }
            let (bundle, answer) = self.take(&request.body);
            taken = bundle;
            answer
        });
        taken
    }

    fn take(&self, text: &[u8]) -> (Option<Bundle>, Answer) {
        let bundle = match bundle::open(text, self.cluster, self.node) {
            Ok(bundle) => bundle,
            Err(fault) => return (None, Answer::text(403, &fault.to_string())),
        };
        match install::keep(text, self.system) {
            Ok(_) => (Some(bundle), Answer::text(200, "kept")),
            Err(fault) => (None, Answer::text(503, &format!("{fault}: {}", fault.source))),
        }
    }
}

/// Why a bundle was not pushed.
#[derive(Debug, Error)]
pub enum PushError {
    /// Nobody answers, or who does has not the one-time key.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    /// The node has not taken it.
    #[error("{address} does not take the bundle: {reason}")]
    Refused {
        /// Where.
        address: SocketAddr,
        /// The node's words, made harmless.
        reason: String,
    },
    /// The node would take it, and cannot keep it now.
    #[error("{address} cannot keep the bundle: {reason}")]
    Unable {
        /// Where.
        address: SocketAddr,
        /// The node's words, made harmless.
        reason: String,
    },
}

/// Pushes a signed bundle to the node that holds the private half of the one-time key.
pub fn push(bundle: &str, address: SocketAddr, key: &PublicKey) -> Result<(), PushError> {
    let config = tls::client(key).map_err(ExchangeError::from)?;
    let node = Peer { address, name: None, config, time: TIME, longest: 4096 };
    let answer = node.ask("POST", BUNDLE, "text/plain", bundle.as_bytes())?;
    let reason = || String::from_utf8_lossy(&answer.body).escape_debug().to_string();
    match answer.status {
        200 => Ok(()),
        503 => Err(PushError::Unable { address, reason: reason() }),
        _ => Err(PushError::Refused { address, reason: reason() }),
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::cluster::tests::{example as cluster, operator_key, ticket_key};
    use crate::control_plane::bundle::tests::example;
    use crate::converge::Mode;
    use crate::membership::tests::node_key;

    #[test]
    fn the_first_good_bundle_is_kept_before_it_is_answered_for_and_ends_the_listening() {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (one_time, system) = (node_key(3), System::new(folder.path(), Mode::Apply));
        let good = document::sign(&example(), &operator_key()).unwrap();
        let taken = thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                let (cluster, from) = (cluster(), [address.ip()]);
                let node = Listener { cluster: &cluster, node: "cp1", from: &from, system: &system };
                let bundle = node.wait(&listener, &node_key(3)).unwrap();
                drop(listener);
                bundle
            });
            // A stranger, an operator who is led elsewhere, one with another cluster's key, and the right one.
            drop(TcpStream::connect(address).unwrap());
            let elsewhere = push(&good, address, &PublicKey::of(&node_key(4))).unwrap_err();
            assert!(matches!(elsewhere, PushError::Exchange(ExchangeError::Broken { .. })), "{elsewhere}");
            let forged = document::sign(&example(), &ticket_key()).unwrap();
            let fault = push(&forged, address, &PublicKey::of(&one_time)).unwrap_err().to_string();
            assert!(fault.contains("does not take the bundle: bundle is not signed by key "), "{fault}");
            assert_eq!(system.read(install::KEPT).unwrap(), None);
            push(&good, address, &PublicKey::of(&one_time)).unwrap();
            assert_eq!(system.read(install::KEPT).unwrap().unwrap(), good.as_bytes());
            waiting.join().unwrap()
        });
        assert_eq!(taken, example());
        let closed = push(&good, address, &PublicKey::of(&one_time)).unwrap_err();
        assert!(matches!(closed, PushError::Exchange(ExchangeError::Connect { .. })), "{closed}");
    }

    #[test]
    fn only_the_operators_addresses_are_heard() {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let system = System::new(folder.path(), Mode::Apply);
        let good = document::sign(&example(), &operator_key()).unwrap();
        thread::spawn(move || {
            let cluster = cluster();
            let from = ["192.0.2.1".parse().unwrap()];
            let node = Listener { cluster: &cluster, node: "cp1", from: &from, system: &system };
            // Waits until the test program ends.
            let _never = node.wait(&listener, &node_key(3));
        });
        let fault = push(&good, address, &PublicKey::of(&node_key(3))).unwrap_err();
        assert!(matches!(fault, PushError::Exchange(ExchangeError::Broken { .. })), "{fault}");
        assert!(!folder.path().join("var").exists());
    }
}
