//! Commands on another machine, over SSH and without an `ssh` program.
//!
//! - [`Key`] is made in memory, for one run, and is never written anywhere.
//! - [`Host`] is a machine to connect to, with the patience that one needs which is still booting. Once its host key is
//!   trusted, every later connection must show the same one; what makes a key trusted is for its callers to say.
//! - [`Connection`] runs [`Command`]s, several at once where they like.
//!
//! Only algorithms without known weaknesses are offered (`algorithms.rs`), all of which OpenSSH has by default since
//! version 6.5. Every wait belongs to an [`Operation`](crate::hetzner::Operation); a peer that fell silent is noticed
//! by its keepalives, or by what it does not read.
//!
//! Protocol: RFC 4251 to 4254, with the extensions of OpenSSH's `PROTOCOL`.

pub use self::connection::{Command, Connection};
pub use self::error::{Ended, SshError};
pub use self::host::{Host, Pace};
pub use self::key::{HostKey, Key};

mod algorithms;
mod connection;
mod error;
mod host;
mod key;
mod output;
#[cfg(test)]
pub(crate) mod simulator;
#[cfg(test)]
mod tests;
