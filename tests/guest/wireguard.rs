//! Tunnels between network namespaces, by a kernel that has WireGuard; judged by wg(8). Runs as root inside a machine, for
//! few build hosts have such a kernel, and ends well if every claim holds.
#![expect(clippy::unwrap_used, reason = "a test stops where its arrangement fails")]

#[expect(dead_code, unused_imports, reason = "tests on the host need more of it")]
#[path = "../../firstboot/tests/network/mod.rs"]
mod network;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::SystemTime;

use firstboot::converge::Outcome;
use firstboot::secret_key::SecretKey;
use firstboot::wireguard::difference::{Present, Wanted, difference};
use firstboot::wireguard::{Device, Kernel, Link, WireguardKey};
use network::{Namespace, Packet, arrives, command, tool};

const PORT: u16 = 51820;
const HUB: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
const EDGE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
const HUB_INSIDE: Ipv4Addr = Ipv4Addr::new(10, 44, 0, 1);
const EDGE_INSIDE: Ipv4Addr = Ipv4Addr::new(10, 44, 1, 1);

fn main() {
    a_tunnel_comes_up_and_outlives_every_change_of_others_and_of_itself();
}

fn a_tunnel_comes_up_and_outlives_every_change_of_others_and_of_itself() {
    let (hub, edge) = (Namespace::new(), Namespace::new());
    hub.cable("cable", &edge, &[EDGE], HUB);
    hub.ip(&format!("address add {HUB}/32 dev cable\nroute add {EDGE} dev cable\n"));
    let (hub_key, edge_key) = (interface(&hub, HUB_INSIDE, 1), interface(&edge, EDGE_INSIDE, 2));
    let of_edge = peer(edge_key, &[format!("{EDGE_INSIDE}/32")]);
    let of_hub = Wanted {
        endpoint: Some(SocketAddr::from((HUB, PORT))),
        keepalive: 25,
        ..peer(hub_key, &[format!("{HUB_INSIDE}/32"), "10.44.0.0/16".to_owned()])
    };
    converge(&hub, std::slice::from_ref(&of_edge));
    converge(&edge, std::slice::from_ref(&of_hub));
    let passes = || arrives(&edge, EDGE_INSIDE, HUB_INSIDE, Packet::Icmp);
    assert!(passes() || passes(), "no packet passes the tunnel");
    let first = converge(&hub, std::slice::from_ref(&of_edge)).peers.remove(0);
    assert_eq!(first.endpoint, Some(SocketAddr::from((EDGE, PORT))), "it is where it was heard of");
    assert!(first.handshake.is_some() && first.received > 0 && first.sent > 0, "{first:?}");

    // So many others that neither what is told nor what is read fits into one message, and one that does not by itself.
    let number = |number: u32| format!("{}/32", Ipv4Addr::from(0x0a2c_4000 + number));
    let key =
        |number: u8, kind: u8| WireguardKey([&[number, kind][..], &[7; 30]].concat().try_into().unwrap());
    let mut wanted: Vec<Wanted> =
        (0..=255).map(|other| peer(key(other, 1), &[number(other.into())])).collect();
    let many: Vec<String> = (1000..2500).map(number).collect();
    wanted.push(peer(key(0, 2), &many));
    wanted.push(of_edge.clone());
    let device = converge(&hub, &wanted);
    assert_eq!(device.peers.len(), 258);
    // All addresses go over to others, and back.
    wanted.reverse();
    for (other, index) in wanted.iter_mut().skip(2).zip(0..=255) {
        other.allowed = peer(other.key, &[number(255 - index)]).allowed;
    }
    converge(&hub, &wanted);
    let narrow = Wanted { allowed: peer(hub_key, &[format!("{HUB_INSIDE}/32")]).allowed, ..of_hub.clone() };
    converge(&edge, std::slice::from_ref(&narrow));
    let moved = Wanted { keepalive: 0, endpoint: Some(SocketAddr::from((HUB, 9))), ..of_hub.clone() };
    converge(&edge, std::slice::from_ref(&moved));
    assert!(!passes(), "packets pass though they are sent elsewhere");
    converge(&edge, std::slice::from_ref(&of_hub));
    assert!(passes(), "no packet passes the tunnel any more");
    let last = converge(&hub, std::slice::from_ref(&of_edge));
    assert_eq!(last.peers[0].handshake, first.handshake, "the tunnel was made anew");

    // The node is re-imaged under its name: the address is that of another key.
    let renewed = peer(key(1, 3), &[format!("{EDGE_INSIDE}/32")]);
    let device = converge(&hub, std::slice::from_ref(&renewed));
    assert_eq!(device.peers.len(), 1);
    assert!(!passes(), "a key that has gone still works");
    assert_eq!(converge(&hub, &[]).peers, []);
}

/// WireGuard's interface of a node, with a private key of its own.
fn interface(node: &Namespace, address: Ipv4Addr, number: u8) -> WireguardKey {
    let address = format!("{address}/16").parse().unwrap();
    let link = Link { name: "wg0".to_owned(), kind: "wireguard".to_owned(), mtu: 1280, address };
    node.inside(|| {
        let mut kernel = Kernel::open().unwrap();
        let key = SecretKey::new([number; 32]);
        for expected in [Outcome::Changed, Outcome::Unchanged] {
            assert_eq!(kernel.ensure_link(&link).unwrap(), expected);
        }
        // Some bits of a private key are always the same, and the kernel tells the key with them.
        for expected in [Outcome::Changed, Outcome::Unchanged] {
            let device = kernel.device("wg0").unwrap();
            assert_eq!(kernel.ensure_identity("wg0", &device, &key, PORT).unwrap(), expected);
        }
        kernel.device("wg0").unwrap().public_key.unwrap()
    })
}

/// Makes the node's peers the wanted ones, of which nothing differs afterwards; returns what the kernel has.
fn converge(node: &Namespace, wanted: &[Wanted]) -> Device {
    let read = || node.inside(|| Kernel::open().unwrap().device("wg0").unwrap());
    node.inside(|| {
        let mut kernel = Kernel::open().unwrap();
        let changes = difference(&kernel.device("wg0").unwrap().peers, wanted);
        kernel.apply("wg0", &changes).unwrap();
    });
    let mut device = read();
    assert_eq!(difference(&device.peers, wanted), []);
    let mut judged = theirs(node);
    // A handshake may come in between.
    for _ in 0..5 {
        if ours(&device) == judged {
            break;
        }
        (device, judged) = (read(), theirs(node));
    }
    assert_eq!(ours(&device), judged);
    device
}

/// A line for each peer, as `wg show wg0 dump` has them.
fn ours(device: &Device) -> BTreeSet<String> {
    let line = |peer: &Present| {
        let endpoint = peer.endpoint.map_or("(none)".to_owned(), |endpoint| endpoint.to_string());
        let allowed: Vec<String> = peer.allowed.iter().map(ToString::to_string).collect();
        let since = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let (handshake, keepalive) = (peer.handshake.map_or(0, since), peer.keepalive.to_string());
        let keepalive = if peer.keepalive == 0 { "off" } else { &keepalive };
        format!("{} {endpoint} {} {handshake} {keepalive}", peer.key, allowed.join(","))
    };
    device.peers.iter().map(line).collect()
}

fn theirs(node: &Namespace) -> BTreeSet<String> {
    let wg = tool("wg", "wireguard-tools");
    let mut command = command(wg.to_str().unwrap());
    let output = node.inside(|| command.args(["show", "wg0", "dump"]).output().unwrap());
    let text = String::from_utf8(output.stdout).unwrap();
    let line = |line: &str| {
        let fields: Vec<&str> = line.split('\t').collect();
        let mut allowed: Vec<ipnet::IpNet> =
            fields[3].split(',').filter_map(|net| net.parse().ok()).collect();
        allowed.sort();
        let allowed: Vec<String> = allowed.iter().map(ToString::to_string).collect();
        format!("{} {} {} {} {}", fields[0], fields[2], allowed.join(","), fields[4], fields[7])
    };
    text.lines().skip(1).map(line).collect()
}

fn peer(key: WireguardKey, allowed: &[String]) -> Wanted {
    let allowed = allowed.iter().map(|net| net.parse().unwrap()).collect();
    Wanted { key, endpoint: None, allowed, keepalive: 0 }
}
