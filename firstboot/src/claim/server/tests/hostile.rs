//! Ten thousand strangers at a service that runs in a process of its own, as it does on a node.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::Ipv4Addr;
use std::process::{Child, ChildStdout, Stdio};
use std::sync::atomic::AtomicUsize;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::stranger::{Speech, Stranger};
use super::*;
use crate::serve::back_off::BackOff;

/// Set for the process that is the service.
const INSIDE: &str = "IMGBUILD_TEST_SERVES_CLAIMS";
const NAME: &str =
    "claim::server::tests::hostile::ten_thousand_strangers_cost_little_and_keep_no_honest_node_out";
const STRANGERS: usize = 10_000;
/// Addresses that they come from.
const ADDRESSES: u8 = 8;
/// Files that a test program needs besides.
const OTHER_FILES: u64 = 500;
/// Honest nodes, all behind one address, and the time between two: longer together than any connection may last, so that
/// the service is at its bounds for all of it.
const NODES: u8 = 20;
const BETWEEN: Duration = Duration::from_millis(700);
/// A node's way in takes some minutes at most.
const MOST_TRIES: usize = 6;
/// KiB that a connection may cost: some 60 of its thread's stack, a message of TLS up to 64 in records up to 16, a head of
/// 8 and a body of 16. For all ten thousand at once that would be 2 GiB.
const COST: u64 = 224;

#[test]
fn ten_thousand_strangers_cost_little_and_keep_no_honest_node_out() {
    if std::env::var_os(INSIDE).is_some() {
        return serve_until_input_ends();
    }
    raise_file_limit();
    let mut served = Served::start();
    let quiet = served.status("VmRSS");
    let (made, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let tries: Vec<usize> = thread::scope(|scope| {
        for number in 0..ADDRESSES {
            let (made, is_over, to) = (&made, &is_over, served.address);
            scope.spawn(move || besiege(Ipv4Addr::new(127, 0, 1, number), to, made, is_over));
        }
        // However this ends, they do.
        let _end = Ends(&is_over);
        while made.load(Ordering::Relaxed) < STRANGERS {
            thread::sleep(Duration::from_millis(50));
        }
        let join = |number| {
            let address = served.address;
            scope.spawn(move || {
                thread::sleep(BETWEEN * u32::from(number));
                tries_to_join(number, address)
            })
        };
        let joining: Vec<_> = (1..=NODES).map(join).collect();
        joining.into_iter().map(|node| node.join().unwrap()).collect()
    });
    assert!(tries.iter().all(|tries| *tries <= MOST_TRIES), "{tries:?}");
    let connections = u64::try_from(Limits::default().connections).unwrap();
    let (took, bound) = (served.status("VmHWM"), quiet + connections * COST);
    assert!(took <= bound, "it took {took} KiB, of at most {bound}");
    assert!(served.child.try_wait().unwrap().is_none(), "the service has ended");
    assert_eq!(
        tries_to_join(NODES + 1, served.address),
        1,
        "they have gone, and the service has not recovered"
    );
}

/// The rest of the process that is the service.
fn serve_until_input_ends() {
    let running = Running::start(Limits::default());
    println!("\nserving {}", running.address);
    let _ended = std::io::stdin().read_to_end(&mut Vec::new());
}

/// A service in a process of its own, which ends with this.
struct Served {
    child: Child,
    address: SocketAddr,
    // Read from no more, and open: what it says at its end is no error.
    _output: BufReader<ChildStdout>,
}

impl Served {
    fn start() -> Self {
        #[expect(clippy::disallowed_types, reason = "the test runs itself again")]
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", NAME, "--nocapture"])
            .env(INSIDE, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let address = output.by_ref().lines().map(Result::unwrap).find_map(|line| {
            let address = line.strip_prefix("serving ")?;
            Some(address.parse().unwrap())
        });
        Self { child, address: address.expect("the test does not find itself"), _output: output }
    }

    /// A number of `proc_pid_status(5)`.
    fn status(&self, name: &str) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        found
            .and_then(|value| value.split_whitespace().next()?.parse().ok())
            .unwrap_or_else(|| panic!("no {name}: {text}"))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Ends the siege.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn raise_file_limit() {
    let needed = u64::try_from(STRANGERS).unwrap() + OTHER_FILES;
    let limit = getrlimit(Resource::Nofile);
    let hard = limit.maximum.unwrap_or(u64::MAX);
    assert!(hard >= needed, "{needed} open files are needed, and `ulimit -Hn` is {hard}");
    if limit.current.is_some_and(|soft| soft < needed) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(needed), ..limit }).unwrap();
    }
}

/// A share of the strangers, from one address.
fn besiege(from: Ipv4Addr, to: SocketAddr, made: &AtomicUsize, is_over: &AtomicBool) {
    let SocketAddr::V4(to) = to else { panic!("{to}") };
    let speeches: Vec<Arc<Speech>> = Speech::all().into_iter().map(Arc::new).collect();
    let mut strangers: Vec<Stranger> = speeches
        .iter()
        .cycle()
        .take(STRANGERS / usize::from(ADDRESSES))
        .map(|speech| Stranger::new(from, Arc::clone(speech)))
        .collect();
    while !is_over.load(Ordering::Relaxed) {
        let count = strangers.iter_mut().map(|stranger| usize::from(stranger.go_on(to))).sum();
        made.fetch_add(count, Ordering::Relaxed);
        thread::sleep(Duration::from_millis(50));
    }
}

/// How often an honest node asks until it has joined, waiting in between as the program does.
fn tries_to_join(number: u8, address: SocketAddr) -> usize {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let ticket = Ticket {
        node: format!("box{number}"),
        not_after: now + 3600,
        nonce: ClusterId([number; 16]),
        ..ticket()
    };
    let (right, mut claimant) = (with(&ticket), claimant(number));
    let mut waits = BackOff::of_claims();
    let mut faults = Vec::new();
    for tries in 1..=MOST_TRIES {
        match claimant.ask(&right, address, &PublicKey::of(&membership_key())) {
            Ok(Reply::Granted(_)) => return tries,
            Ok(reply) => panic!("{reply:?}"),
            Err(fault) => faults.push(format!("{:#}", anyhow::Error::from(fault))),
        }
        thread::sleep(waits.next());
    }
    panic!("box{number} has not joined: {faults:?}");
}
