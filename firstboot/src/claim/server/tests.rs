mod hostile;
pub(super) mod stranger;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use super::*;
use crate::claim::client::{self, ClaimError, Claimant};
use crate::claim::message::Right;
use crate::claim::report::NodeReport;
use crate::claim::store::Verdict;
use crate::claim::tests::{Memory, service, wireguard, with};
use crate::cluster::ClusterId;
use crate::cluster::tests::{membership_key, operator_key};
use crate::exchange::ExchangeError;
use crate::membership::tests::node_key;
use crate::peers::PeerEndpoints;
use crate::public_key::PublicKey;
use crate::record::Role;
use crate::ticket::tests::example as ticket;
use crate::ticket::{Hardware, Ticket};
use crate::tls;

/// A service on a port of its own; ends with this.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    store: Arc<Memory>,
    is_over: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Running {
    pub(crate) fn start(limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (store, is_over) = (Arc::new(Memory::default()), Arc::new(AtomicBool::new(false)));
        let config = tls::server(&membership_key()).unwrap();
        let (kept, over) = (Arc::clone(&store), Arc::clone(&is_over));
        let thread = thread::spawn(move || {
            serve(&listener, &config, &Arc::new(service()), &kept, limits, &over);
        });
        Self { address, store, is_over, thread: Some(thread) }
    }

    /// A person's word on all that wait.
    pub(crate) fn decide(&self, verdict: &Verdict) {
        self.store.decide(verdict);
    }

    /// All traces of a node are removed.
    pub(crate) fn forget(&self, node: &str) {
        self.store.forget(node);
    }

    /// A person's word on a node that has joined.
    pub(crate) fn revoke(&self, node: &str) {
        self.store.revoke(node);
    }

    /// A worker joins as well.
    pub(crate) fn take_worker(&self) {
        let ticket = Ticket { node: "worker1".to_owned(), role: Role::Worker, ..ticket() };
        let reply = self.ask(9, &right_of(ticket, 9, 3_000_001)).unwrap();
        assert!(matches!(reply, Reply::Granted(_)), "{reply:?}");
    }

    /// What a node has said of itself.
    pub(crate) fn reported(&self, node: &str) -> Option<NodeReport> {
        self.store.reported(node)
    }

    pub(crate) fn ask(&self, seed: u8, right: &Right) -> Result<Reply, ClaimError> {
        claimant(seed).ask(right, self.address, &PublicKey::of(&membership_key()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let _wakes = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

fn claimant(seed: u8) -> Claimant {
    Claimant {
        key: node_key(seed),
        wireguard: wireguard(seed),
        hardware: Hardware::default(),
        endpoints: PeerEndpoints::default(),
        first: None,
        last: None,
    }
}

/// A ticket that is good today.
pub(crate) fn right(nonce: u8, generation: u64) -> Right {
    right_of(ticket(), nonce, generation)
}

fn right_of(ticket: Ticket, nonce: u8, generation: u64) -> Right {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    with(&Ticket { not_after: now + 3600, nonce: ClusterId([nonce; 16]), generation, ..ticket })
}

#[test]
fn a_node_joins_over_the_network_and_a_thief_does_not() {
    let running = Running::start(Limits::default());
    let grant = running.ask(1, &right(1, 3_000_001)).unwrap();
    assert!(matches!(grant, Reply::Granted(_)), "{grant:?}");
    let thief = running.ask(2, &right(1, 3_000_001)).unwrap();
    assert!(matches!(thief, Reply::Refused { cause: Cause::Used, .. }), "{thief:?}");
    // The store is not ready: come again.
    running.store.cut_after(Some(0));
    assert_eq!(running.ask(1, &right(1, 3_000_001)).unwrap(), Reply::Later { seconds: 10 });
}

#[test]
fn a_node_speaks_only_with_who_holds_the_clusters_key() {
    let running = Running::start(Limits::default());
    let fault =
        claimant(1).ask(&right(1, 3_000_001), running.address, &PublicKey::of(&operator_key())).unwrap_err();
    assert!(matches!(fault, ClaimError::Exchange(ExchangeError::Broken { .. })), "{fault}");
    assert_eq!(running.store.count_burnt(), 0, "the ticket was not shown");
    let answers = |key| client::answers(running.address, &PublicKey::of(&key));
    assert!(answers(membership_key()) && !answers(operator_key()));
}

#[test]
fn one_of_many_machines_with_the_same_ticket_gets_it() {
    let running = Running::start(Limits::default());
    let right = right(1, 3_000_001);
    let replies: Vec<Reply> = thread::scope(|scope| {
        let ask = |seed| {
            scope.spawn({
                let (running, right) = (&running, &right);
                move || running.ask(seed, right).unwrap()
            })
        };
        let asking: Vec<_> = (1..=16).map(ask).collect();
        asking.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let granted = replies.iter().filter(|reply| matches!(reply, Reply::Granted(_))).count();
    let used =
        replies.iter().filter(|reply| matches!(reply, Reply::Refused { cause: Cause::Used, .. })).count();
    assert_eq!((granted, used), (1, 15), "{replies:?}");
}

#[test]
fn strangers_who_say_nothing_or_nonsense_keep_nobody_out_for_long() {
    let limits =
        Limits { connections: 16, per_address: 16, time: Duration::from_secs(1), ..Limits::default() };
    let running = Running::start(limits);
    // More than there are places, each silent.
    let silent: Vec<TcpStream> = (0..400).map(|_| TcpStream::connect(running.address).unwrap()).collect();
    for nonsense in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0x16; 4096], &vec![0; 100_000]] {
        let mut stream = TcpStream::connect(running.address).unwrap();
        let _refused = stream.write_all(nonsense);
    }
    // Those beyond the places were told at once, though those with a place are still waited for.
    let mut last = silent.last().unwrap();
    last.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    assert_eq!(last.read(&mut [0]).unwrap_or(0), 0, "closed");
    // Honest nodes come again, as they do at every fault.
    let joined = (0..100).find_map(|_| {
        let reply = running.ask(1, &right(1, 3_000_001)).ok();
        if reply.is_none() {
            thread::sleep(Duration::from_millis(200));
        }
        reply
    });
    assert!(matches!(joined, Some(Reply::Granted(_))), "{joined:?}");
}
