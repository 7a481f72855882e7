use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use super::k3s_node::Seen;
use super::machine::{Machine, Start, Surroundings, Tunnels};
use super::*;
use crate::claim::message::{Reply, Right};
use crate::claim::server::Limits;
use crate::claim::server::tests::{Running, right};
use crate::cluster::tests::example as cluster;
use crate::converge::Mode;
use crate::k3s::RunMode;
use crate::kubernetes::Reach;
use crate::membership::tests::node_key;
use crate::peers::Peer;
use crate::plan::K3S_TOKEN;
use crate::status::{self, Phase, Status};
use crate::ticket::Hardware;

mod approval;
mod release;

/// A machine that writes down what is done to it.
struct Fake {
    service: Option<SocketAddr>,
    done: Vec<String>,
    /// Whether there is NTP.
    knows_time: bool,
    /// What it was told that the time is.
    times: Vec<u64>,
    /// What the cluster says, the last for ever.
    seen: RefCell<Vec<Seen>>,
    /// Pauses until the run ends.
    pauses: u32,
    /// How long a look takes.
    looking: Duration,
    now: Cell<Instant>,
}

impl Fake {
    fn new(service: Option<SocketAddr>, seen: &[Seen], pauses: u32) -> Self {
        Self {
            service,
            done: Vec::new(),
            knows_time: true,
            times: Vec::new(),
            seen: RefCell::new(seen.to_vec()),
            pauses,
            looking: Duration::ZERO,
            now: Cell::new(Instant::now()),
        }
    }

    fn note(&mut self, line: String) {
        if self.done.last() != Some(&line) {
            self.done.push(line);
        }
    }
}

impl Surroundings for Fake {
    fn hardware(&self) -> anyhow::Result<Hardware> {
        Ok(Hardware::default())
    }

    fn resolve(&mut self, address: &str) -> anyhow::Result<Vec<SocketAddr>> {
        self.service.map(|service| vec![service]).with_context(|| format!("nobody knows {address}"))
    }

    fn renew_network(&mut self) -> anyhow::Result<()> {
        self.note("network".to_owned());
        Ok(())
    }

    fn knows_time(&self) -> bool {
        self.knows_time
    }

    fn take_time(&mut self, seconds: u64) -> anyhow::Result<()> {
        if !self.knows_time {
            self.note("time".to_owned());
        }
        self.times.push(seconds);
        Ok(())
    }

    fn now(&self) -> Instant {
        self.now.get()
    }

    fn pause(&mut self, time: Duration) -> anyhow::Result<()> {
        self.now.set(self.now.get() + time);
        self.pauses = self.pauses.saturating_sub(1);
        anyhow::ensure!(self.pauses > 0, "the run is over");
        Ok(())
    }
}

impl Machine for Fake {
    fn connect(&mut self, _key: &SecretKey, peers: &[Peer]) -> anyhow::Result<Tunnels> {
        let names: Vec<_> = peers.iter().map(|peer| peer.node.clone()).collect();
        self.note(format!("tunnels with {}", names.join(", ")));
        Ok(Tunnels { lively: names, faults: Vec::new() })
    }

    fn start_k3s(&mut self, mode: RunMode, start: Start) -> anyhow::Result<()> {
        self.note(format!("k3s {} {start:?}", mode.name()));
        Ok(())
    }

    fn look(&self) -> Seen {
        self.now.set(self.now.get() + self.looking);
        let mut seen = self.seen.borrow_mut();
        if seen.len() > 1 { seen.remove(0) } else { seen[0].clone() }
    }

    fn api(&self) -> Reach {
        unreachable!("only control planes have it")
    }
}

fn facts(ticket: Option<Right>) -> Facts {
    let ticket = ticket.map(|right| match right {
        Right::Ticket(text) => text,
        other => panic!("{other:?}"),
    });
    let record = crate::record::example();
    Facts { record, cluster: cluster(), ticket, push_key: None, key: node_key(1), is_approved: false }
}

/// A node that `firstboot` has configured, where its status can be told.
fn node() -> (tempfile::TempDir, System) {
    let folder = tempfile::tempdir().unwrap();
    let system = System::new(folder.path(), Mode::Apply);
    boot(&system);
    (folder, system)
}

fn boot(system: &System) {
    let status = run::run(system, None).unwrap();
    system.ensure_file(status::PATH, &serde_json::to_vec(&status).unwrap(), 0o644).unwrap();
}

fn status(system: &System) -> Status {
    serde_json::from_slice(&system.read(status::PATH).unwrap().unwrap()).unwrap()
}

fn join(facts: &Facts, system: &System, machine: &mut Fake) -> String {
    member::run(facts, system, machine).unwrap_err().to_string()
}

#[test]
fn a_node_claims_its_place_once_and_the_vpn_comes_before_k3s() {
    let service = Running::start(Limits::default());
    let (_folder, system) = node();
    let facts = facts(Some(right(1, 3_000_001)));
    let mut machine = Fake::new(Some(service.address), &[Seen::Ready], 3);
    assert_eq!(join(&facts, &system, &mut machine), "the run is over");
    assert_eq!(machine.done, ["tunnels with cp1", "k3s agent IfNeeded", "tunnels with cp1"]);
    let token = String::from_utf8(system.read(K3S_TOKEN).unwrap().unwrap()).unwrap();
    assert!(token.starts_with(&format!("K10{}::", "ab".repeat(32))), "{token}");
    assert_eq!(system.read("/var/lib/imgbuild/node-password").unwrap().unwrap().len(), 64);
    let config = String::from_utf8(system.read("/etc/rancher/k3s/config.yaml").unwrap().unwrap()).unwrap();
    assert!(config.contains("server: \"https://api.demo.internal:6443\"\n"), "{config}");
    assert_eq!(status(&system).phase, Phase::Ready);
    assert_eq!(service.reported("edge1").unwrap().phase, Phase::Ready, "the operator can see it");
    // At the next boot nobody is asked.
    drop(service);
    let mut machine = Fake::new(None, &[Seen::Nothing("starting".to_owned()), Seen::Ready], 3);
    join(&facts, &system, &mut machine);
    assert_eq!(machine.done, ["tunnels with cp1", "k3s agent IfNeeded", "tunnels with cp1"]);
}

#[test]
fn a_node_is_told_the_time_by_a_cluster_that_has_not_lost_it() {
    let service = Running::start(Limits::default());
    let now = || SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let begun = now();
    let told = |facts: &Facts| {
        let (_folder, system) = node();
        let mut machine = Fake::new(Some(service.address), &[Seen::Ready], 2);
        join(facts, &system, &mut machine);
        machine.times
    };
    let facts = facts(Some(right(1, 3_000_001)));
    let times = told(&facts);
    assert!(!times.is_empty() && times.iter().all(|time| (begun..=now()).contains(time)), "{times:?}");
    let cluster = ClusterRecord { created: now() + 3600, ..cluster() };
    assert_eq!(told(&Facts { cluster, ..facts }), [0; 0], "it was not there then");
}

#[test]
fn a_node_without_ntp_asks_for_the_time_before_anything_goes_by_it() {
    let service = Running::start(Limits::default());
    let (_folder, system) = node();
    let facts = facts(Some(right(1, 3_000_001)));
    join(&facts, &system, &mut Fake::new(Some(service.address), &[Seen::Ready], 2));
    let mut machine = Fake::new(Some(service.address), &[Seen::Ready], 2);
    machine.knows_time = false;
    join(&facts, &system, &mut machine);
    assert_eq!(machine.done[..3], ["time", "tunnels with cp1", "k3s agent IfNeeded"]);
    // Where nobody can be asked it goes on, after half a minute.
    let mut machine = Fake::new(None, &[Seen::Ready], 17);
    machine.knows_time = false;
    let begun = machine.now.get();
    join(&facts, &system, &mut machine);
    assert_eq!(machine.done[..2], ["tunnels with cp1", "k3s agent IfNeeded"]);
    assert!(machine.now.get() - begun >= Duration::from_secs(30));
}

#[test]
fn a_node_that_the_cluster_forgot_shows_its_membership_and_k3s_reads_the_new_token() {
    let first = Running::start(Limits::default());
    let (_folder, system) = node();
    let facts = facts(Some(right(1, 3_000_001)));
    join(&facts, &system, &mut Fake::new(Some(first.address), &[Seen::Ready], 2));
    drop(first);
    // A control plane of the same identity that knows nobody.
    let second = Running::start(Limits::default());
    let unknown = Seen::Unknown("401".to_owned());
    let mut machine = Fake::new(Some(second.address), std::slice::from_ref(&unknown), 60);
    join(&facts, &system, &mut machine);
    let expected =
        ["tunnels with cp1", "k3s agent IfNeeded", "tunnels with cp1", "k3s agent Again", "tunnels with cp1"];
    assert_eq!(machine.done, expected);
}

#[test]
fn a_member_hears_of_a_new_worker_and_has_a_tunnel_with_it_from_then_on() {
    let service = Running::start(Limits::default());
    let (_folder, system) = node();
    let facts = facts(None);
    let Ok(Reply::Granted(grant)) = service.ask(1, &right(1, 3_000_001)) else { panic!("it may not join") };
    grant::keep(&grant, &system, &facts.cluster, &facts.key).unwrap();
    service.take_worker();
    let mut machine = Fake::new(Some(service.address), &[Seen::Ready], 3);
    join(&facts, &system, &mut machine);
    let both = "tunnels with cp1, worker1";
    assert_eq!(machine.done, ["tunnels with cp1", "k3s agent IfNeeded", "tunnels with cp1", both]);
    // Nobody is there to ask at the next boot.
    drop(service);
    let mut machine = Fake::new(None, &[Seen::Ready], 2);
    join(&facts, &system, &mut machine);
    assert_eq!(machine.done, [both, "k3s agent IfNeeded", both]);
}

#[test]
fn a_node_that_nobody_answers_is_patient_by_the_clock_and_not_by_its_looks() {
    let service = Running::start(Limits::default());
    let (_folder, system) = node();
    let facts = facts(Some(right(1, 3_000_001)));
    join(&facts, &system, &mut Fake::new(Some(service.address), &[Seen::Ready], 2));
    let silent = Seen::Nothing("connection timed out".to_owned());
    let mut machine = Fake::new(Some(service.address), std::slice::from_ref(&silent), 4);
    machine.looking = Duration::from_secs(30);
    join(&facts, &system, &mut machine);
    assert!(machine.done.contains(&"k3s agent Again".to_owned()), "{:?}", machine.done);
}

#[test]
fn a_ticket_that_another_machine_has_used_stops_the_node_by_name() {
    let service = Running::start(Limits::default());
    let (_folder, thief) = node();
    let facts = facts(Some(right(1, 3_000_001)));
    join(&facts, &thief, &mut Fake::new(Some(service.address), &[Seen::Ready], 2));
    let (_folder, owner) = node();
    let late = Facts { key: node_key(2), ..facts };
    let mut machine = Fake::new(Some(service.address), &[Seen::Ready], 4);
    join(&late, &owner, &mut machine);
    assert_eq!(machine.done, Vec::<String>::new());
    let status = status(&owner);
    assert_eq!(status.phase, Phase::Stopped);
    assert!(
        status.reason.starts_with("the cluster says no: the ticket of `edge1` was used at "),
        "{}",
        status.reason
    );
    assert!(status.hint.unwrap().starts_with("`imgbuild ticket edge1` makes another ticket"));
}

#[test]
fn a_node_without_a_ticket_waits_for_a_person_and_one_without_an_uplink_for_the_uplink() {
    let service = Running::start(Limits::default());
    let (_folder, system) = node();
    join(&facts(None), &system, &mut Fake::new(Some(service.address), &[Seen::Ready], 3));
    let shown = status(&system);
    assert_eq!(shown.phase, Phase::WaitingForApproval);
    assert!(shown.hint.unwrap().contains("`imgbuild node approve "));
    join(&facts(None), &system, &mut Fake::new(None, &[Seen::Ready], 3));
    let shown = status(&system);
    assert_eq!(shown.phase, Phase::Claiming);
    assert!(shown.reason.contains("nobody knows cp.example.org:51820"), "{}", shown.reason);
}

#[test]
fn a_node_that_cannot_go_on_says_why_where_a_person_looks() {
    let (_folder, system) = node();
    let fault = serve(&system).unwrap_err().to_string();
    assert_eq!(fault, "this medium has no cluster record: there is nothing to join");
    let shown = status(&system);
    assert_eq!((shown.phase, shown.reason), (Phase::Stopped, fault));
}

#[test]
fn what_was_kept_for_another_name_or_key_is_claimed_anew() {
    let service = Running::start(Limits::default());
    let (_folder, system) = node();
    let mut facts = facts(Some(right(1, 3_000_001)));
    join(&facts, &system, &mut Fake::new(Some(service.address), &[Seen::Ready], 2));
    facts.record.node.name = "edge2".to_owned();
    let fault = join(&facts, &system, &mut Fake::new(Some(service.address), &[Seen::Ready], 2));
    assert!(fault.starts_with("the membership is that of `edge1` at "), "{fault}");
}
