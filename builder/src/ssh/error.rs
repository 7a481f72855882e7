//! What can go wrong on the way to another machine, and there.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use thiserror::Error;

use super::HostKey;
use crate::hetzner::HetznerError;
use crate::units::Bytes;

/// How a command ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Ended {
    /// By itself, with this exit status.
    Status(u32),
    /// By a signal, `KILL`.
    Signal(String),
}

impl fmt::Display for Ended {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(formatter, "status {status}"),
            Self::Signal(name) => write!(formatter, "signal {name}"),
        }
    }
}

/// Why something did not come about over SSH.
#[derive(Debug, Error)]
pub enum SshError {
    /// The operation's time is over, or it was stopped.
    #[error(transparent)]
    Operation(#[from] HetznerError),
    /// The kernel gives no random bytes.
    #[error("making an SSH key")]
    Random(#[source] io::Error),
    /// A key cannot be written as OpenSSH writes it.
    #[error("writing an SSH key")]
    Key(#[source] russh::keys::ssh_key::Error),
    /// No TCP connection.
    #[error("connecting to {address}")]
    Connect {
        /// Where to.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// It takes connections and says nothing, or not enough.
    #[error("{address} was silent for {}", humantime::format_duration(*.waited))]
    Silent {
        /// Who.
        address: SocketAddr,
        /// How long.
        waited: Duration,
    },
    /// No agreement on how to talk, or something that talks otherwise.
    #[error("{address} and this program do not get to speak SSH with each other")]
    Handshake {
        /// Who.
        address: SocketAddr,
        /// Why.
        source: russh::Error,
    },
    /// It does not let the key in.
    #[error("{address} does not let `{user}` in with this key")]
    Refused {
        /// Who.
        address: SocketAddr,
        /// As whom.
        user: String,
    },
    /// It is not the host that it was.
    #[error("{address} has another host key than before: {found}, not {trusted}")]
    HostKey {
        /// Who.
        address: SocketAddr,
        /// The key of the host that is trusted.
        trusted: HostKey,
        /// The key that it shows.
        found: HostKey,
    },
    /// Patience is over.
    #[error("no SSH connection to {address} within {}", humantime::format_duration(*.waited))]
    Unreachable {
        /// Where to.
        address: SocketAddr,
        /// How long it was tried.
        waited: Duration,
        /// What came of the last try.
        source: Box<SshError>,
    },
    /// The connection broke.
    #[error("the connection to {address} was lost while {what}{}", because(.why))]
    Lost {
        /// Who was at its other end.
        address: SocketAddr,
        /// What it was used for: a gerund and its object.
        what: &'static str,
        /// What is known of the reason.
        why: String,
    },
    /// A command cannot be run at all.
    #[error("{what}: {address} runs no commands")]
    NoCommand {
        /// Who.
        address: SocketAddr,
        /// What was to be done: a gerund and its object.
        what: &'static str,
    },
    /// A command says more than can be its answer.
    #[error("{what}: the machine answers with more than {limit}")]
    TooLong {
        /// What was done: a gerund and its object.
        what: &'static str,
        /// The most that is read.
        limit: Bytes,
    },
    /// A command ended otherwise than well.
    #[error("{what} failed there with {ended}{}", words(.complaint))]
    Failed {
        /// What was done: a gerund and its object.
        what: &'static str,
        /// How it ended.
        ended: Ended,
        /// The last of its standard error, printable.
        complaint: String,
    },
}

fn because(why: &str) -> String {
    if why.is_empty() { String::new() } else { format!(": {why}") }
}

fn words(complaint: &str) -> String {
    if complaint.is_empty() { String::new() } else { format!(":\n{complaint}") }
}

impl SshError {
    /// Whether the connection broke, so that another one may bring what this one did not.
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Lost { .. })
    }

    /// Whether a machine that boots may do better soon.
    pub(super) fn passes(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Silent { .. } | Self::Refused { .. } | Self::Lost { .. } => true,
            Self::Handshake { source, .. } => is_broken(source),
            _ => false,
        }
    }

    /// What to do, where there is something.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Operation(error) => return error.hint(),
            Self::Unreachable { source, .. } => match source.hint() {
                Some(hint) => return Some(hint),
                None => {
                    "a firewall between here and the server must let TCP port 22 out; another try makes a new server"
                }
            },
            Self::Refused { .. } => {
                "the rescue system must be enabled with the key of this run, and nobody else's"
            }
            Self::HostKey { .. } => {
                "either the machine was made anew meanwhile, or somebody stands between here and it: try again, from \
                 another network"
            }
            Self::Handshake { source: russh::Error::NoCommonAlgo { .. }, .. } => {
                "the host must have Ed25519 or ECDSA keys, and OpenSSH 6.5 or newer"
            }
            _ => return None,
        };
        Some(text.to_owned())
    }
}

/// Whether an error of the handshake is but the end of the connection.
fn is_broken(error: &russh::Error) -> bool {
    use russh::Error as E;
    matches!(
        error,
        E::IO(_)
            | E::HUP
            | E::Disconnect
            | E::ConnectionTimeout
            | E::KeepaliveTimeout
            | E::InactivityTimeout
            | E::SendError
            | E::RecvError
    )
}
