use std::time::Duration;

use super::*;
use crate::wireguard::difference::{Kind, Present};
use crate::wireguard::key::WireguardKey;
use crate::wireguard::topology::tests::{example, place};

/// Between two looks, and between two handshakes of a tunnel that works.
const LOOK: u64 = 10;
const REKEY: u64 = 120;

/// An edge in simulated time: a kernel, a name server and the nodes that answer.
struct Edge {
    upkeep: Upkeep,
    device: Device,
    peers: Vec<Peer>,
    place: Place,
    begin: Instant,
    seconds: u64,
    /// What was changed since the last time somebody asked.
    changes: Vec<Change>,
}

impl Edge {
    fn new() -> Self {
        let peers = example();
        let place = place(peers.iter().find(|peer| peer.node == "edge1").unwrap());
        Self {
            upkeep: Upkeep::default(),
            device: Device::default(),
            peers,
            place,
            begin: Instant::now(),
            seconds: 0,
            changes: Vec::new(),
        }
    }

    fn key(&self, node: &str) -> WireguardKey {
        self.peers.iter().find(|peer| peer.node == node).unwrap().key.parse().unwrap()
    }

    /// Lets `seconds` pass, during which the nodes `answering` do so, and names have the addresses of `names`.
    fn pass(&mut self, seconds: u64, answering: &[&str], names: impl Fn(&str) -> Option<[u8; 4]>) {
        let answers = |peer: &&Peer| answering.contains(&peer.node.as_str());
        let answering: Vec<WireguardKey> =
            self.peers.iter().filter(answers).map(|peer| peer.key.parse().unwrap()).collect();
        let end = self.seconds + seconds;
        while self.seconds < end {
            let times = self.times();
            let topology = self.upkeep.look(&self.place, &self.peers, &self.device, times);
            let resolve = |name: &str| names(name).map(|address| vec![IpAddr::from(address)]).ok_or(());
            self.upkeep.resolve(&topology, resolve, times.0);
            let changes = self.upkeep.changes(&topology, &self.device, times.0);
            self.carry_out(&changes);
            self.upkeep.done();
            self.changes.extend(changes);
            for peer in self.device.peers.iter_mut().filter(|peer| answering.contains(&peer.key)) {
                let is_old =
                    |time: SystemTime| times.1.duration_since(time).unwrap() >= Duration::from_secs(REKEY);
                if peer.endpoint.is_some() && peer.handshake.is_none_or(is_old) {
                    peer.handshake = Some(times.1);
                }
            }
            self.seconds += LOOK;
        }
    }

    fn times(&self) -> (Instant, SystemTime) {
        let passed = Duration::from_secs(self.seconds);
        (self.begin + passed, SystemTime::UNIX_EPOCH + Duration::from_hours(500_000) + passed)
    }

    fn carry_out(&mut self, changes: &[Change]) {
        for change in changes {
            if change.kind == Kind::Add {
                self.device.peers.push(Present::new(change.key));
            }
            let peer = self.device.peers.iter_mut().find(|peer| peer.key == change.key).unwrap();
            peer.endpoint = change.endpoint.or(peer.endpoint);
            peer.keepalive = change.keepalive.unwrap_or(peer.keepalive);
            if let Some(allowed) = &change.allowed {
                peer.allowed = allowed.iter().copied().map(IpNet::from).collect();
            }
            if change.kind == Kind::Remove {
                self.device.peers.retain(|peer| peer.key != change.key);
            }
        }
    }

    /// The last number of who relays, as chosen and as the kernel has it.
    fn relay(&self) -> u8 {
        let chosen = self.upkeep.relay();
        assert_eq!(present(&self.place, &self.device), chosen);
        chosen.unwrap().octets()[3]
    }

    /// Nodes whose peers were changed since the last time, each once.
    fn changed(&mut self) -> Vec<&'static str> {
        let changes = std::mem::take(&mut self.changes);
        let is_among = |node: &&&str| changes.iter().any(|change| change.key == self.key(node));
        ["cp1", "cp2", "w1"].iter().filter(is_among).copied().collect()
    }
}

/// All names as they are.
fn names(name: &str) -> Option<[u8; 4]> {
    let number = ["cp1", "cp2", "w1"].iter().position(|node| name.starts_with(node))?;
    Some([192, 0, 2, u8::try_from(number).unwrap() + 1])
}

const ALL: &[&str] = &["cp1", "cp2", "w1"];

#[test]
fn the_next_control_plane_relays_while_the_first_is_silent_and_no_longer() {
    let mut edge = Edge::new();
    edge.pass(600, ALL, names);
    assert_eq!((edge.relay(), edge.changed()), (1, ALL.to_vec()));
    edge.pass(600, ALL, names);
    assert_eq!(edge.changed(), [""; 0], "what is right is left alone");
    // Its last handshake is 2 minutes old by then at the most.
    edge.pass(90, &["cp2", "w1"], names);
    assert_eq!(edge.relay(), 1, "a pause is no failure");
    edge.pass(150, &["cp2", "w1"], names);
    assert_eq!((edge.relay(), edge.changed()), (2, vec!["cp1", "cp2"]));
    edge.pass(600, &["cp2", "w1"], names);
    assert_eq!(edge.relay(), 2);
    edge.pass(20, ALL, names);
    assert_eq!(edge.relay(), 1);
}

#[test]
fn a_restart_of_the_program_changes_nothing() {
    let mut edge = Edge::new();
    edge.pass(600, &["cp2", "w1"], names);
    assert_eq!(edge.relay(), 2);
    edge.changed();
    edge.upkeep = Upkeep::default();
    // Neither is the relay tried anew that never answered, nor is an address needed that is in use.
    edge.pass(10, &["cp2", "w1"], |_| None);
    assert_eq!((edge.relay(), edge.changed()), (2, Vec::new()));
}

#[test]
fn a_node_that_moves_is_found_by_its_name_and_one_whose_name_is_lost_stays() {
    let mut edge = Edge::new();
    edge.pass(600, ALL, names);
    edge.changed();
    edge.pass(600, ALL, |_| None);
    assert_eq!(edge.changed(), [""; 0], "the name server is away");
    edge.pass(10, ALL, |name| names(name).map(|[a, b, c, d]| [a, b, c, d + 10]));
    assert_eq!(edge.changed(), ALL);
    let endpoints: Vec<String> =
        edge.device.peers.iter().map(|peer| peer.endpoint.unwrap().ip().to_string()).collect();
    assert_eq!(endpoints, ["192.0.2.11", "192.0.2.12", "192.0.2.13"]);
}

#[test]
fn a_node_that_leaves_takes_its_tunnel_with_it_and_no_others() {
    let mut edge = Edge::new();
    edge.pass(600, ALL, names);
    edge.changed();
    let gone = edge.key("cp1");
    edge.peers.retain(|peer| peer.node != "cp1");
    edge.pass(10, ALL, names);
    let keys: Vec<(Kind, WireguardKey)> =
        edge.changes.iter().map(|change| (change.kind, change.key)).collect();
    // The second control plane relays from now on.
    assert_eq!(keys, [(Kind::Update, edge.key("cp2")), (Kind::Remove, gone)]);
    assert_eq!(edge.relay(), 2);
}

#[test]
fn a_cloud_node_has_no_relay() {
    let mut edge = Edge::new();
    edge.place = place(edge.peers.iter().find(|peer| peer.node == "w1").unwrap());
    edge.pass(600, &["cp1", "cp2"], names);
    assert_eq!(edge.upkeep.relay(), None);
    assert_eq!(edge.device.peers.len(), 4, "edges have a tunnel without an endpoint");
}
