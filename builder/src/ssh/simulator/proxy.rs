//! A wire between client and host, which breaks where a test wants it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Who sends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Side {
    Client,
    Host,
}

/// Where a connection breaks: when this side has sent so many bytes of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    pub(crate) side: Side,
    pub(crate) after: u64,
    /// Nothing comes through any more, and nobody is told: a machine that hangs.
    pub(crate) is_frozen: bool,
}

impl Cut {
    /// The connection is closed.
    pub(crate) const fn after(side: Side, after: u64) -> Self {
        Self { side, after, is_frozen: false }
    }
}

/// A running proxy; dropping it ends it.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
    task: JoinHandle<()>,
}

struct State {
    /// Where connections end, the last one is the next one's.
    host: Mutex<SocketAddr>,
    /// Of the connections to come, the next one last; further ones hold.
    cuts: Mutex<Vec<Cut>>,
    sent: AtomicU64,
    connections: AtomicU64,
}

impl Proxy {
    /// Breaks the first connections by `cuts`, in this order.
    pub(crate) async fn start(host: SocketAddr, mut cuts: Vec<Cut>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        cuts.reverse();
        let state = Arc::new(State {
            host: Mutex::new(host),
            cuts: Mutex::new(cuts),
            sent: AtomicU64::new(0),
            connections: AtomicU64::new(0),
        });
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                shared.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(carry(client, Arc::clone(&shared)));
            }
        });
        Self { address, state, task }
    }

    /// Later connections go there.
    pub(crate) fn redirect(&self, host: SocketAddr) {
        *self.state.host.lock().unwrap() = host;
    }

    /// How many bytes clients have sent through it.
    pub(crate) fn sent(&self) -> u64 {
        self.state.sent.load(Ordering::SeqCst)
    }

    /// How many connections it had.
    pub(crate) fn connections(&self) -> u64 {
        self.state.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(client: TcpStream, state: Arc<State>) {
    let address = *state.host.lock().unwrap();
    let cut = state.cuts.lock().unwrap().pop();
    let Ok(host) = TcpStream::connect(address).await else { return };
    let (mut client, mut host) = (client.into_split(), host.into_split());
    let limit = |side| cut.filter(|cut| cut.side == side).map_or(u64::MAX, |cut| cut.after);
    let sent = AtomicU64::new(0);
    // Either direction's end is both directions' end.
    tokio::select! {
        () = copy(&mut client.0, &mut host.1, limit(Side::Client), &state.sent) => {}
        () = copy(&mut host.0, &mut client.1, limit(Side::Host), &sent) => {}
    }
    if cut.is_some_and(|cut| cut.is_frozen) {
        std::future::pending::<()>().await;
    }
}

async fn copy(from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf, limit: u64, count: &AtomicU64) {
    let (mut buffer, mut left) = (vec![0; 16 << 10], limit);
    while left > 0 {
        let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let Ok(length @ 1..) = from.read(&mut buffer[..most]).await else { return };
        let length_u64 = u64::try_from(length).unwrap();
        left -= length_u64;
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
        count.fetch_add(length_u64, Ordering::SeqCst);
    }
}
