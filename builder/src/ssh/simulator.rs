//! A host for tests: a real SSH server in this process, which runs with `bash` what it is told to.
//!
//! Programs come from a folder of the test's only, so that it decides which there are and what `blockdev` sees.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes as Packet;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{PrivateKey, PublicKey};
use russh::server::{self, Auth, ChannelOpenHandle, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

pub(crate) use proxy::{Cut, Proxy, Side};

mod process;
mod proxy;

/// The file beside the folder of programs by which they tell that the host is gone.
pub(crate) const OFF: &str = "off";

/// A running server; dropping it ends it and what it started.
pub(crate) struct Simulator {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
    task: JoinHandle<()>,
}

/// What its connections share.
struct State {
    key: PublicKey,
    programs: PathBuf,
    is_over: AtomicBool,
    /// When a command has made this file, the host is gone.
    off: Option<PathBuf>,
    /// How many commands were begun.
    commands: AtomicUsize,
}

impl Simulator {
    /// A host whose key is made of `seed`; it lets in who has the key of `public_line`.
    pub(crate) async fn start(seed: u8, public_line: &str, programs: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::start_on(listener, seed, public_line, programs)
    }

    pub(crate) fn start_on(listener: TcpListener, seed: u8, public_line: &str, programs: PathBuf) -> Self {
        let address = listener.local_addr().unwrap();
        let config = Arc::new(server::Config {
            keys: vec![PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))],
            auth_rejection_time: std::time::Duration::ZERO,
            ..server::Config::default()
        });
        let key = PublicKey::from_openssh(public_line).unwrap();
        let off = programs.parent().map(|folder| folder.join(OFF));
        let (is_over, commands) = (AtomicBool::new(false), AtomicUsize::new(0));
        let state = Arc::new(State { key, programs, is_over, off, commands });
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            // Ends with the task; each connection ends with its client's.
            while let Ok((stream, _)) = listener.accept().await {
                let handler = Handler { state: Arc::clone(&shared), inputs: HashMap::new() };
                let config = Arc::clone(&config);
                tokio::spawn(async move {
                    if let Ok(running) = server::run_stream(config, stream, handler).await {
                        let _ = running.await;
                    }
                });
            }
        });
        Self { address, state, task }
    }

    /// How many commands were begun.
    pub(crate) fn commands(&self) -> usize {
        self.state.commands.load(Ordering::SeqCst)
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.task.abort();
        self.state.is_over.store(true, Ordering::SeqCst);
    }
}

/// One connection.
struct Handler {
    state: Arc<State>,
    /// Standard inputs of what runs.
    inputs: HashMap<ChannelId, mpsc::UnboundedSender<Packet>>,
}

impl server::Handler for Handler {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        let is_known = user == "root" && key.public_key.key_data() == self.state.key.key_data();
        Ok(if is_known { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.state.commands.fetch_add(1, Ordering::SeqCst);
        session.channel_success(channel)?;
        let input = process::start(Arc::clone(&self.state), command, channel, session.handle());
        self.inputs.insert(channel, input);
        Ok(())
    }

    async fn data(&mut self, channel: ChannelId, data: &[u8], _: &mut Session) -> Result<(), Self::Error> {
        if let Some(input) = self.inputs.get(&channel) {
            // A program that reads no more loses the rest.
            let _ = input.send(Packet::copy_from_slice(data));
        }
        Ok(())
    }

    async fn channel_eof(&mut self, channel: ChannelId, _: &mut Session) -> Result<(), Self::Error> {
        self.inputs.remove(&channel);
        Ok(())
    }

    async fn channel_close(&mut self, channel: ChannelId, _: &mut Session) -> Result<(), Self::Error> {
        self.inputs.remove(&channel);
        Ok(())
    }
}
