use proptest::prelude::*;

use super::*;

/// Two control planes, of which only the first has a private address, a worker with one, and two edges.
pub(crate) fn example() -> Vec<Peer> {
    let peer = |node: &str, role, address: [u8; 4], number: u8| Peer {
        node: node.to_owned(),
        role,
        key: WireguardKey([number; 32]).to_string(),
        address: address.into(),
        endpoint: (role != Role::Edge).then(|| format!("{node}.example.org:51820")),
        private_endpoint: None,
    };
    let mut peers = vec![
        peer("edge2", Role::Edge, [10, 44, 1, 2], 5),
        peer("w1", Role::Worker, [10, 44, 0, 11], 3),
        peer("cp2", Role::ControlPlane, [10, 44, 0, 2], 2),
        peer("cp1", Role::ControlPlane, [10, 44, 0, 1], 1),
        peer("edge1", Role::Edge, [10, 44, 1, 1], 4),
    ];
    peers[1].private_endpoint = Some("10.0.0.11:51820".to_owned());
    peers[3].private_endpoint = Some("10.0.0.1:51820".to_owned());
    peers
}

pub(crate) fn place(peer: &Peer) -> Place {
    Place {
        node: peer.node.clone(),
        role: peer.role,
        address: peer.address,
        range: "10.44.0.0/16".parse().unwrap(),
        is_private: peer.private_endpoint.is_some(),
    }
}

/// The tunnels of the node called `name`, a line for each.
fn tunnels(name: &str, relay: Option<Ipv4Addr>) -> String {
    let peers = example();
    let own = peers.iter().find(|peer| peer.node == name).unwrap();
    let topology = Topology::new(&place(own), &peers, relay);
    assert_eq!(topology.left_out, []);
    let line = |tunnel: &Tunnel| {
        let allowed: Vec<String> = tunnel.allowed.iter().map(ToString::to_string).collect();
        let endpoint = tunnel.endpoint.as_ref().map_or("-".to_owned(), ToString::to_string);
        format!("{} [{}] {endpoint} {:?}\n", tunnel.node, allowed.join(" "), tunnel.keepalive)
    };
    topology.tunnels.iter().map(line).collect()
}

#[test]
fn a_control_plane_has_a_tunnel_with_everybody() {
    insta::assert_snapshot!(tunnels("cp1", None), @r"
    cp2 [10.44.0.2/32] cp2.example.org:51820 None
    w1 [10.44.0.11/32] 10.0.0.11:51820 None
    edge1 [10.44.1.1/32] - None
    edge2 [10.44.1.2/32] - None
    ");
}

#[test]
fn a_worker_has_a_tunnel_with_everybody() {
    insta::assert_snapshot!(tunnels("w1", Some(Ipv4Addr::new(10, 44, 0, 1))), @r"
    cp1 [10.44.0.1/32] 10.0.0.1:51820 None
    cp2 [10.44.0.2/32] cp2.example.org:51820 None
    edge1 [10.44.1.1/32] - None
    edge2 [10.44.1.2/32] - None
    ");
}

#[test]
fn who_is_not_in_the_private_network_takes_the_public_way() {
    insta::assert_snapshot!(tunnels("cp2", None), @r"
    cp1 [10.44.0.1/32] cp1.example.org:51820 None
    w1 [10.44.0.11/32] w1.example.org:51820 None
    edge1 [10.44.1.1/32] - None
    edge2 [10.44.1.2/32] - None
    ");
}

#[test]
fn an_edge_has_a_tunnel_with_every_cloud_node_and_reaches_edges_through_one_control_plane() {
    insta::assert_snapshot!(tunnels("edge1", Some(Ipv4Addr::new(10, 44, 0, 2))), @r"
    cp1 [10.44.0.1/32] cp1.example.org:51820 Some(25)
    cp2 [10.44.0.0/16 10.44.0.2/32] cp2.example.org:51820 Some(25)
    w1 [10.44.0.11/32] w1.example.org:51820 Some(25)
    ");
}

#[test]
fn a_worker_never_relays() {
    let tunnels = tunnels("edge1", Some(Ipv4Addr::new(10, 44, 0, 11)));
    assert!(!tunnels.contains("/16"), "{tunnels}");
}

#[test]
fn a_wrong_peer_is_left_out_and_the_others_stay() {
    let mut peers = example();
    // edge2 takes a control plane's address, and a new edge edge1's key.
    peers[0].address = Ipv4Addr::new(10, 44, 0, 2);
    let mut thief = peers[4].clone();
    thief.node = "edge3".to_owned();
    thief.address = Ipv4Addr::new(10, 44, 1, 3);
    let mut far = thief.clone();
    far.node = "edge4".to_owned();
    far.address = Ipv4Addr::new(10, 45, 0, 4);
    let mut keyless = thief.clone();
    keyless.node = "edge5".to_owned();
    keyless.address = Ipv4Addr::new(10, 44, 1, 5);
    keyless.key = "none".to_owned();
    let mut mute = peers[1].clone();
    mute.node = "w2".to_owned();
    mute.address = Ipv4Addr::new(10, 44, 0, 12);
    mute.endpoint = Some("w2".to_owned());
    mute.private_endpoint = None;
    peers.extend([thief, far, keyless, mute]);
    let topology = Topology::new(&place(&example()[3]), &peers, None);
    let names: Vec<&str> = topology.tunnels.iter().map(|tunnel| tunnel.node.as_str()).collect();
    assert_eq!(names, ["cp2", "w1", "edge1"]);
    let left_out: Vec<String> =
        topology.left_out.iter().map(|(node, why)| format!("{node}: {why}")).collect();
    insta::assert_snapshot!(left_out.join("\n"), @r"
    w2: `w2` is no endpoint, `host:port`
    edge2: its address is that of `cp2`
    edge3: its key is that of `edge1`
    edge5: `none` is no WireGuard key, which has 32 bytes in base64
    edge4: its address 10.45.0.4 is not in the VPN's range 10.44.0.0/16
    ");
}

#[test]
fn nobody_takes_the_nodes_own_address() {
    let mut peers = example();
    peers[0].address = peers[3].address;
    let topology = Topology::new(&place(&peers[3]), &peers, None);
    let twice = PeerFault::Twice { what: "address", other: "cp1".to_owned() };
    assert_eq!(topology.left_out, [("edge2".to_owned(), twice)]);
}

#[test]
fn a_nodes_place_is_that_of_its_record() {
    let place = Place::of(&crate::record::example()).unwrap();
    assert_eq!((place.role, place.is_private), (Role::Edge, false));
    assert_eq!(place.on_link().to_string(), "10.44.1.1/16");
}

/// Peers with addresses and keys from so small a choice that many collide.
fn peers() -> impl Strategy<Value = Vec<Peer>> {
    let role = prop_oneof![Just(Role::ControlPlane), Just(Role::Worker), Just(Role::Edge)];
    let peer = (role, 0_u8..40, 0_u8..40).prop_map(|(role, address, key)| Peer {
        node: format!("{role:?}{address}-{key}"),
        role,
        key: WireguardKey([key; 32]).to_string(),
        address: [10, 44, 0, address].into(),
        endpoint: None,
        private_endpoint: None,
    });
    prop::collection::vec(peer, 0..30)
}

proptest! {
    #[test]
    fn no_address_leads_to_two_nodes(peers in peers(), own in any::<prop::sample::Index>(), relay in 0_u8..40) {
        prop_assume!(!peers.is_empty());
        let place = place(&peers[own.index(peers.len())]);
        let topology = Topology::new(&place, &peers, Some([10, 44, 0, relay].into()));
        let mut wide = 0;
        for (index, one) in topology.tunnels.iter().enumerate() {
            prop_assert!(one.address != place.address);
            prop_assert!(one.allowed.contains(&one.address.into()));
            wide += one.allowed.len() - 1;
            for other in &topology.tunnels[index + 1..] {
                prop_assert!(one.key != other.key);
                // Of two ranges WireGuard takes the narrower, so only the same range twice would be a fault.
                prop_assert!(one.allowed.is_disjoint(&other.allowed));
            }
        }
        // Only an edge has a relay, and no more than one: on a hub every edge has its own address alone.
        prop_assert!(wide <= usize::from(place.role == Role::Edge));
    }

    #[test]
    fn what_is_built_does_not_depend_on_the_order_of_what_is_told(peers in peers(), turn in 0_usize..30) {
        prop_assume!(!peers.is_empty());
        let place = place(&peers[0]);
        // Two nodes of one name are one node twice: which one is meant is for who tells.
        let names: BTreeSet<&str> = peers.iter().map(|peer| peer.node.as_str()).collect();
        prop_assume!(names.len() == peers.len());
        let mut turned = peers.clone();
        turned.rotate_left(turn % peers.len());
        prop_assert_eq!(Topology::new(&place, &peers, None), Topology::new(&place, &turned, None));
    }
}
