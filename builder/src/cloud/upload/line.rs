//! The line to the machine, over one connection after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Event, Rescue, UploadError};
use crate::diagnostic::chain;
use crate::hetzner::Operation;
use crate::ssh::{Command, Connection};
use crate::units::Bytes;

/// Connections that may be lost in a row before anything is done over them.
const LOSSES: u32 = 5;

/// A line that outlives its connections.
pub(super) struct Line<'a> {
    pub(super) operation: &'a Operation,
    pub(super) rescue: &'a Rescue,
    /// Bytes of the image that were sent over it, compressed.
    pub(super) count: Arc<AtomicU64>,
    /// Chunks that were acknowledged.
    pub(super) acknowledged: usize,
    connection: Option<Arc<Connection>>,
    losses: u32,
}

impl<'a> Line<'a> {
    pub(super) fn new(operation: &'a Operation, rescue: &'a Rescue) -> Self {
        Self { operation, rescue, count: Arc::default(), acknowledged: 0, connection: None, losses: 0 }
    }

    /// The connection that there is, or another one.
    pub(super) async fn connection(&mut self) -> Result<Arc<Connection>, UploadError> {
        if let Some(connection) = &self.connection {
            return Ok(Arc::clone(connection));
        }
        let connection = Arc::new(self.rescue.connect(self.operation).await?);
        self.connection = Some(Arc::clone(&connection));
        Ok(connection)
    }

    /// Runs a command that may be run twice.
    pub(super) async fn run(
        &mut self,
        command: &Command<'_>,
        tell: &mut (dyn FnMut(Event) + Send),
    ) -> Result<Vec<u8>, UploadError> {
        loop {
            let said = match self.connection().await {
                Ok(connection) => connection.run(self.operation, command).await.map_err(UploadError::from),
                Err(error) => Err(error),
            };
            match said {
                Ok(said) => {
                    self.advance();
                    return Ok(said);
                }
                Err(error) => self.lose(error, tell)?,
            }
        }
    }

    /// Something was done over it.
    pub(super) fn advance(&mut self) {
        self.losses = 0;
    }

    /// Gives the connection up; an error is one that another connection does not help.
    pub(super) fn lose(
        &mut self,
        error: UploadError,
        tell: &mut (dyn FnMut(Event) + Send),
    ) -> Result<(), UploadError> {
        self.connection = None;
        if !error.is_lost() {
            return Err(error);
        }
        self.losses = self.losses.saturating_add(1);
        if self.losses >= LOSSES {
            return Err(UploadError::Unstable { losses: self.losses, source: Box::new(error) });
        }
        tell(Event::Resumed { why: chain(&error) });
        Ok(())
    }

    /// Bytes of the image that were sent, compressed.
    pub(super) fn sent(&self) -> Bytes {
        Bytes(self.count.load(Ordering::Relaxed))
    }
}
