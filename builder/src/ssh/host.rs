//! A machine to connect to, and to connect to again.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use russh::client::{self, AuthResult};
use tokio::net::TcpStream;

use super::connection::{Connection, Watch};
use super::{HostKey, Key, SshError, algorithms};
use crate::hetzner::{HetznerError, Operation};

/// The user of rescue systems, which have no other.
const ROOT: &str = "root";
/// A booting machine may know the key a little later than it answers; one that never does is told from it by so many
/// refusals.
const REFUSALS: u32 = 5;
/// Keepalives without an answer after which a connection is lost.
const UNANSWERED: usize = 3;

/// How long things take.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// One try to connect, from the first packet to being let in.
    pub attempt: Duration,
    /// Pause after the first try; doubles each time.
    pub first_pause: Duration,
    /// No pause between tries is longer.
    pub longest_pause: Duration,
    /// All tries to connect for the first time, while the machine boots.
    pub boot: Duration,
    /// All tries to connect once more.
    pub again: Duration,
    /// Silence after which the peer is asked whether it is there.
    pub keepalive: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            attempt: Duration::from_secs(20),
            first_pause: Duration::from_millis(250),
            longest_pause: Duration::from_secs(5),
            boot: Duration::from_mins(10),
            again: Duration::from_mins(3),
            keepalive: Duration::from_secs(10),
        }
    }
}

/// A machine.
#[derive(Debug)]
pub struct Host {
    address: SocketAddr,
    user: String,
    key: Key,
    pace: Pace,
    trusted: OnceLock<HostKey>,
}

impl Host {
    /// Who lets `root` in at `address` with `key`.
    pub fn new(address: SocketAddr, key: Key, pace: Pace) -> Self {
        Self { address, user: ROOT.to_owned(), key, pace, trusted: OnceLock::new() }
    }

    /// The same for another user.
    #[must_use]
    pub fn with_user(self, user: &str) -> Self {
        Self { user: user.to_owned(), ..self }
    }

    /// Trusts the host of this connection: no other one is talked to from now on.
    pub fn trust(&self, connection: &Connection) {
        // Once trusted, only the same key comes as far as to a connection.
        let _ = self.trusted.set(connection.host_key().clone());
    }

    /// Whether there is a host key that every connection must show.
    pub fn is_trusted(&self) -> bool {
        self.trusted.get().is_some()
    }

    /// Connects, as soon as the machine lets it.
    pub async fn connect(&self, operation: &Operation) -> Result<Connection, SshError> {
        let patience = if self.is_trusted() { self.pace.again } else { self.pace.boot };
        let begun = Instant::now();
        let (mut pause, mut refusals) = (self.pace.first_pause, 0_u32);
        loop {
            let allowed = self.pace.attempt.min(operation.left());
            let error = match operation.run(tokio::time::timeout(allowed, self.attempt())).await? {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(error)) => error,
                Err(_) => SshError::Silent { address: self.address, waited: allowed },
            };
            if matches!(error, SshError::Refused { .. }) {
                refusals = refusals.saturating_add(1);
            }
            if !error.passes() || refusals >= REFUSALS {
                return Err(error);
            }
            let is_over = begun.elapsed().saturating_add(pause) > patience;
            let paused = if is_over { Ok(()) } else { operation.pause(pause, None).await };
            match paused {
                Ok(()) if !is_over => {}
                Ok(()) | Err(HetznerError::Deadline { .. }) => {
                    // Fractions of a second are of no interest to anybody.
                    let waited = Duration::from_secs(begun.elapsed().as_secs());
                    return Err(SshError::Unreachable {
                        address: self.address,
                        waited,
                        source: Box::new(error),
                    });
                }
                Err(error) => return Err(error.into()),
            }
            pause = pause.saturating_mul(2).min(self.pace.longest_pause);
        }
    }

    async fn attempt(&self) -> Result<Connection, SshError> {
        let address = self.address;
        let connect = |source| SshError::Connect { address, source };
        let stream = TcpStream::connect(address).await.map_err(connect)?;
        stream.set_nodelay(true).map_err(connect)?;
        let watch = Watch::new(self.trusted.get().cloned());
        let seen = Arc::clone(&watch.seen);
        let mut session = client::connect_stream(Arc::new(self.config()), stream, watch)
            .await
            .map_err(|error| error.at(address))?;
        let handshake = |source| SshError::Handshake { address, source };
        let answer = session
            .authenticate_publickey(&self.user, self.key.for_authentication())
            .await
            .map_err(handshake)?;
        match answer {
            AuthResult::Success => {}
            // This is how russh tells that the connection ended meanwhile.
            AuthResult::Failure { remaining_methods, .. } if remaining_methods.is_empty() => {
                return Err(handshake(russh::Error::Disconnect));
            }
            AuthResult::Failure { .. } => return Err(SshError::Refused { address, user: self.user.clone() }),
        }
        Connection::new(address, session, seen).ok_or_else(|| handshake(russh::Error::UnknownKey))
    }

    fn config(&self) -> client::Config {
        client::Config {
            client_id: russh::SshId::Standard("SSH-2.0-imgbuild".into()),
            preferred: algorithms::preferred(),
            keepalive_interval: Some(self.pace.keepalive),
            keepalive_max: UNANSWERED,
            // Keepalives are not sent while the peer reads nothing.
            inactivity_timeout: Some(self.pace.keepalive.saturating_mul(5)),
            nodelay: true,
            ..client::Config::default()
        }
    }
}
