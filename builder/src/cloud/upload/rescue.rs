//! The machine that an image is written to, and the proof that it is the one.

use std::net::SocketAddr;
use std::sync::Arc;

use super::shadow;
use super::{UploadError, plan, script};
use crate::hetzner::Operation;
use crate::secret::Secret;
use crate::ssh::{Command, Connection, Host, Key, Pace};
use crate::units::Bytes;

/// Longer than a line of `/etc/shadow` can be.
const LINE: Bytes = Bytes(4 << 10);

/// Why a host is believed to be the server.
#[derive(Clone, Debug)]
pub enum Trust {
    /// It knows a hash of the password that the provider has told.
    ByPassword(Secret),
    /// It was the first to answer.
    OnFirstUse,
}

/// A server in a rescue system. It knows its host again once it has proved itself.
#[derive(Debug)]
pub struct Rescue {
    host: Host,
    trust: Trust,
    pub(super) paths: script::Paths,
    /// Blocks of a chunk.
    pub(super) chunk_blocks: u64,
}

impl Rescue {
    /// The server at `address`, whose rescue system was enabled with `key`.
    pub fn new(address: SocketAddr, key: &Key, trust: Trust) -> Self {
        Self::with_pace(address, key, trust, Pace::default())
    }

    pub(super) fn with_pace(address: SocketAddr, key: &Key, trust: Trust, pace: Pace) -> Self {
        let host = Host::new(address, key.clone(), pace);
        Self { host, trust, paths: script::Paths::default(), chunk_blocks: plan::CHUNK }
    }

    /// Connects, and makes sure of the host.
    pub(super) async fn connect(&self, operation: &Operation) -> Result<Connection, UploadError> {
        let connection = self.host.connect(operation).await?;
        if self.host.is_trusted() {
            return Ok(connection);
        }
        if let Trust::ByPassword(password) = &self.trust {
            let script = self.paths.root_entry();
            let command = Command { what: "reading root's entry", script: &script, limit: LINE };
            let entry = Arc::new(connection.run(operation, &command).await?);
            let password = password.clone();
            // Hashing is slow on purpose.
            let checked = tokio::task::spawn_blocking(move || shadow::check(&entry, &password));
            operation.run(checked).await?.map_err(|_| super::ShadowError::Malformed)??;
        }
        self.host.trust(&connection);
        Ok(connection)
    }
}
