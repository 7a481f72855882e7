//! A connection to a host that let us in.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, OnceLock};

use bytes::Bytes as Packet;
use futures_util::{Stream, StreamExt as _};
use russh::client::{self, DisconnectReason};
use russh::keys::PublicKeyOrCertificate;
use russh::{ChannelMsg, ChannelReadHalf, Sig};

use super::error::Ended;
use super::output::Output;
use super::{HostKey, SshError};
use crate::hetzner::Operation;
use crate::printable;
use crate::units::Bytes;

/// Extended data of this type is standard error (RFC 4254, 5.2).
const STANDARD_ERROR: u32 = 1;

/// What russh asks and tells while a connection lasts.
#[derive(Debug)]
pub(super) struct Watch {
    trusted: Option<HostKey>,
    pub(super) seen: Arc<Seen>,
}

/// What is known of a connection from outside.
#[derive(Debug, Default)]
pub(super) struct Seen {
    host_key: OnceLock<HostKey>,
    lost: OnceLock<String>,
}

impl Watch {
    pub(super) fn new(trusted: Option<HostKey>) -> Self {
        Self { trusted, seen: Arc::default() }
    }
}

/// Errors of the handshake, which know of no address.
#[derive(Debug)]
pub(super) enum WatchError {
    Russh(russh::Error),
    HostKey { trusted: HostKey, found: HostKey },
}

impl From<russh::Error> for WatchError {
    fn from(error: russh::Error) -> Self {
        Self::Russh(error)
    }
}

impl WatchError {
    pub(super) fn at(self, address: SocketAddr) -> SshError {
        match self {
            Self::Russh(source) => SshError::Handshake { address, source },
            Self::HostKey { trusted, found } => SshError::HostKey { address, trusted, found },
        }
    }
}

impl client::Handler for Watch {
    type Error = WatchError;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, WatchError> {
        // Certificates are not offered, so that a host has no reason to show one.
        let PublicKeyOrCertificate::PublicKey { key, .. } = key else { return Ok(false) };
        let found = HostKey::from(key);
        // A host that changes its key within a connection is none that was ever let in.
        let expected = self.trusted.as_ref().or_else(|| self.seen.host_key.get());
        if let Some(trusted) = expected.filter(|trusted| **trusted != found) {
            return Err(WatchError::HostKey { trusted: trusted.clone(), found });
        }
        let _ = self.seen.host_key.set(found);
        Ok(true)
    }

    async fn disconnected(&mut self, reason: DisconnectReason<WatchError>) -> Result<(), WatchError> {
        let why = match &reason {
            DisconnectReason::ReceivedDisconnect(told) => printable::text(told.message.trim()).into_owned(),
            DisconnectReason::Error(WatchError::Russh(error)) => {
                printable::text(&error.to_string()).into_owned()
            }
            DisconnectReason::Error(WatchError::HostKey { .. }) => "its host key changed".to_owned(),
        };
        let _ = self.seen.lost.set(why);
        match reason {
            DisconnectReason::ReceivedDisconnect(_) => Ok(()),
            DisconnectReason::Error(error) => Err(error),
        }
    }
}

/// A command for the other machine's `bash`.
#[derive(Debug)]
pub struct Command<'a> {
    /// What it does, for messages: a gerund and its object.
    pub what: &'static str,
    /// The script. Its last command's exit status is the script's.
    pub script: &'a str,
    /// The most that it may say on standard output.
    pub limit: Bytes,
}

/// A connection. Dropping it ends it, and with it what runs there and still reads or writes.
pub struct Connection {
    address: SocketAddr,
    session: client::Handle<Watch>,
    host_key: HostKey,
    seen: Arc<Seen>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Connection").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Connection {
    /// Nothing where the host showed no key, which russh rules out.
    pub(super) fn new(address: SocketAddr, session: client::Handle<Watch>, seen: Arc<Seen>) -> Option<Self> {
        let host_key = seen.host_key.get()?.clone();
        Some(Self { address, session, host_key, seen })
    }

    /// The key that the host has shown, and has proved to own.
    pub const fn host_key(&self) -> &HostKey {
        &self.host_key
    }

    /// Runs a command to its end, with nothing on its standard input; returns its standard output.
    pub async fn run(&self, operation: &Operation, command: &Command<'_>) -> Result<Vec<u8>, SshError> {
        self.feed(operation, command, futures_util::stream::empty()).await
    }

    /// The same with `input` on its standard input. A command that ends earlier leaves the rest of it.
    pub async fn feed(
        &self,
        operation: &Operation,
        command: &Command<'_>,
        input: impl Stream<Item = Packet>,
    ) -> Result<Vec<u8>, SshError> {
        operation.run(self.exchange(command, input)).await?
    }

    async fn exchange(
        &self,
        command: &Command<'_>,
        input: impl Stream<Item = Packet>,
    ) -> Result<Vec<u8>, SshError> {
        let what = command.what;
        let channel = self.session.channel_open_session().await.map_err(|error| match error {
            russh::Error::ChannelOpenFailure(_) => SshError::NoCommand { address: self.address, what },
            _ => self.lost(what),
        })?;
        let (mut answers, writer) = channel.split();
        let feeding = async {
            writer.exec(true, line(command.script)).await?;
            let mut input = pin!(input);
            while let Some(packet) = input.next().await {
                writer.data_bytes(packet).await?;
            }
            writer.eof().await
        };
        let mut output = Output::new(what, command.limit);
        {
            let mut feeding = pin!(feeding);
            let mut collecting = pin!(self.collect(&mut answers, &mut output));
            tokio::select! {
                // A command may end before it has read all, and then nobody takes the rest.
                done = &mut collecting => done?,
                fed = &mut feeding => {
                    fed.map_err(|_| self.lost(what))?;
                    collecting.await?;
                }
            }
        }
        output.finish().unwrap_or_else(|| Err(self.lost(what)))
    }

    /// Reads until the channel is closed.
    async fn collect(&self, answers: &mut ChannelReadHalf, output: &mut Output) -> Result<(), SshError> {
        loop {
            match answers.wait().await {
                Some(ChannelMsg::Data { data }) => output.say(&data)?,
                Some(ChannelMsg::ExtendedData { data, ext: STANDARD_ERROR }) => output.complain(&data),
                Some(ChannelMsg::ExitStatus { exit_status }) => output.end(Ended::Status(exit_status)),
                Some(ChannelMsg::ExitSignal { signal_name, .. }) => {
                    output.end(Ended::Signal(signal(signal_name)));
                }
                Some(ChannelMsg::Failure) => {
                    return Err(SshError::NoCommand { address: self.address, what: output.what() });
                }
                Some(ChannelMsg::Close) => return Ok(()),
                Some(_) => {}
                // What it said may be half of it.
                None => return Err(self.lost(output.what())),
            }
        }
    }

    fn lost(&self, what: &'static str) -> SshError {
        let why = self.seen.lost.get().cloned().unwrap_or_default();
        SshError::Lost { address: self.address, what, why }
    }
}

fn signal(signal: Sig) -> String {
    match signal {
        Sig::Custom(name) => printable::text(&name).chars().take(20).collect(),
        known => format!("{known:?}"),
    }
}

/// The script as one word of the other machine's shell, whichever that is.
fn line(script: &str) -> String {
    format!("exec bash -c '{}'", script.replace('\'', r"'\''"))
}
