//! Interfaces as the kernel has them, in network namespaces; judged by ip(8) and wg(8). What needs a kernel with WireGuard
//! is ignored, for few build hosts have one: `cargo test -p firstboot --test wireguard -- --ignored`.
#![expect(clippy::unwrap_used, reason = "a test stops where its arrangement fails")]

#[expect(dead_code, unused_imports, reason = "the firewall's tests need more of it")]
mod network;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::SystemTime;

use firstboot::control_plane::bundle::SecretKey;
use firstboot::converge::Outcome;
use firstboot::wireguard::difference::{Wanted, difference};
use firstboot::wireguard::{Device, Kernel, Link, WireguardKey};
use network::{Namespace, Packet, arrives, as_root, command, tool};

const PORT: u16 = 51820;
const HUB: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
const EDGE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
const HUB_INSIDE: Ipv4Addr = Ipv4Addr::new(10, 44, 0, 1);
const EDGE_INSIDE: Ipv4Addr = Ipv4Addr::new(10, 44, 1, 1);

/// A bridge in place of WireGuard's: pods need those anyway.
fn link(address: &str) -> Link {
    Link { name: "wg0".to_owned(), kind: "bridge".to_owned(), mtu: 1280, address: address.parse().unwrap() }
}

fn ensure(node: &Namespace, link: &Link) -> Result<Outcome, String> {
    node.inside(|| {
        let mut kernel = Kernel::open().unwrap();
        kernel.ensure_link(link).map_err(|error| format!("{:#}", anyhow::Error::from(error)))
    })
}

/// What ip(8) says of the interface.
fn ip(node: &Namespace) -> serde_json::Value {
    let ip = tool("ip", "iproute2");
    let mut command = command(ip.to_str().unwrap());
    let output = node.inside(|| command.args(["-j", "address", "show", "dev", "wg0"]).output().unwrap());
    serde_json::from_slice(&output.stdout).unwrap()
}

/// MTU, whether it is up, and addresses, in the words of ip(8).
fn shown(node: &Namespace) -> String {
    let link = &ip(node)[0];
    let is_up = link["flags"].as_array().unwrap().contains(&"UP".into());
    let addresses =
        link["addr_info"].as_array().unwrap().iter().filter(|address| address["family"] == "inet");
    let addresses: Vec<String> = addresses
        .map(|address| format!("{}/{}", address["local"].as_str().unwrap(), address["prefixlen"]))
        .collect();
    format!("{} {} {}", link["mtu"], if is_up { "up" } else { "down" }, addresses.join(" "))
}

#[test]
fn an_interface_is_made_once_and_then_kept_as_it_should_be() {
    as_root("an_interface_is_made_once_and_then_kept_as_it_should_be", || {
        let node = Namespace::new();
        let wanted = link("10.44.1.1/16");
        assert_eq!(ensure(&node, &wanted), Ok(Outcome::Changed));
        let index = ip(&node)[0]["ifindex"].clone();
        for change in [
            "link set wg0 mtu 1500",
            "link set wg0 down",
            "address flush dev wg0",
            "address add 10.44.9.9/16 dev wg0",
            // A prefix that puts nothing on the link.
            "address flush dev wg0\naddress add 10.44.1.1/32 dev wg0",
            // The one that stays is younger than the ones that go, the second of which goes with the first.
            "address flush dev wg0\naddress add 10.44.9.9/16 dev wg0\naddress add 10.44.1.1/16 dev wg0\n\
             address add 10.44.8.8/16 dev wg0",
        ] {
            assert_eq!(ensure(&node, &wanted), Ok(Outcome::Unchanged));
            node.ip(&format!("{change}\n"));
            assert_eq!(ensure(&node, &wanted), Ok(Outcome::Changed), "{change}");
            assert_eq!(shown(&node), "1280 up 10.44.1.1/16", "{change}");
        }
        assert_eq!(ensure(&node, &link("10.44.1.2/16")), Ok(Outcome::Changed));
        assert_eq!(shown(&node), "1280 up 10.44.1.2/16");
        assert_eq!(ip(&node)[0]["ifindex"], index, "it is another interface");
    });
}

#[test]
fn an_interface_of_another_kind_is_left_alone() {
    as_root("an_interface_of_another_kind_is_left_alone", || {
        let node = Namespace::new();
        node.ip("link add wg0 type veth peer name wg1\n");
        let fault = "interface `wg0` is of kind veth, not bridge";
        assert_eq!(ensure(&node, &link("10.44.1.1/16")), Err(fault.to_owned()));
        assert_eq!(shown(&node), "1500 down ");
    });
}

#[test]
fn what_the_kernel_refuses_is_named() {
    as_root("what_the_kernel_refuses_is_named", || {
        let node = Namespace::new();
        let imaginary = Link { kind: "imaginary".to_owned(), ..link("10.44.1.1/16") };
        let fault = "making interface `wg0` of kind imaginary: the kernel refuses: Operation not supported (os error 95)";
        assert_eq!(ensure(&node, &imaginary), Err(fault.to_owned()));
        let fault = "looking for interface `a-name-of-17-bytes`: the kernel refuses: \
                     Numerical result out of range (os error 34)";
        let long = Link { name: "a-name-of-17-bytes".to_owned(), ..link("10.44.1.1/16") };
        assert_eq!(ensure(&node, &long), Err(fault.to_owned()));
    });
}

/// WireGuard's interface of a node, with a private key of its own.
fn interface(node: &Namespace, address: Ipv4Addr, number: u8) -> WireguardKey {
    let link = Link { kind: "wireguard".to_owned(), ..link(&format!("{address}/16")) };
    node.inside(|| {
        let mut kernel = Kernel::open().unwrap();
        let key = SecretKey::new([number; 32]);
        for expected in [Outcome::Changed, Outcome::Unchanged] {
            assert_eq!(kernel.ensure_link(&link).unwrap(), expected);
        }
        assert_eq!(kernel.ensure_identity("wg0", &key, PORT).unwrap(), Outcome::Changed);
        // Some bits of a private key are always the same, and the kernel tells the key with them.
        assert_eq!(kernel.ensure_identity("wg0", &key, PORT).unwrap(), Outcome::Unchanged);
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
    let line = |peer: &firstboot::wireguard::difference::Present| {
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

#[test]
#[ignore = "needs a kernel with WireGuard"]
fn a_tunnel_comes_up_and_outlives_every_change_of_others_and_of_itself() {
    as_root("a_tunnel_comes_up_and_outlives_every_change_of_others_and_of_itself", || {
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
        let narrow =
            Wanted { allowed: peer(hub_key, &[format!("{HUB_INSIDE}/32")]).allowed, ..of_hub.clone() };
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
    });
}
