//! The host firewall in the kernel: packets between network namespaces that play the public side, the VPN, pods and
//! administrators. What is expected is taken from the design, not from the rules.
#![expect(clippy::unwrap_used, reason = "a test stops where its arrangement fails")]

mod network;

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::thread;

use firstboot::firewall::{Loaded, Rules, Table, closed, load};
use firstboot::record::{Posture, Role};
use network::Packet::{self, Icmp, Tcp, Udp};
use network::{Namespace, UdpEcho, arrives, as_root, as_user, command, nft};

const fn address(a: u8, b: u8, c: u8, d: u8) -> Ipv4Addr {
    Ipv4Addr::new(a, b, c, d)
}

/// Addresses of the node by interface.
const NODE_PUBLIC: Ipv4Addr = address(192, 0, 2, 1);
const NODE_PRIVATE: Ipv4Addr = address(10, 0, 0, 9);
const NODE_VPN: Ipv4Addr = address(10, 44, 9, 9);
const NODE_PODS: Ipv4Addr = address(10, 42, 0, 1);
const NODE_FLANNEL: Ipv4Addr = address(10, 42, 0, 0);
const NODE_ADMIN: Ipv4Addr = address(10, 45, 0, 1);
/// Who is around it.
const STRANGER: Ipv4Addr = address(192, 0, 2, 2);
const METADATA: Ipv4Addr = address(169, 254, 169, 254);
const SERVICE: Ipv4Addr = address(10, 43, 0, 10);
const PRIVATE: Ipv4Addr = address(10, 0, 0, 5);
const CONTROL_PLANE: Ipv4Addr = address(10, 44, 0, 1);
const WORKER: Ipv4Addr = address(10, 44, 0, 11);
const EDGE: Ipv4Addr = address(10, 44, 1, 1);
const OTHER_EDGE: Ipv4Addr = address(10, 44, 1, 2);
const POD: Ipv4Addr = address(10, 42, 0, 2);
const FAR_POD: Ipv4Addr = address(10, 42, 2, 2);
const ADMIN: Ipv4Addr = address(10, 45, 0, 2);

/// Ports that something answers datagrams on.
const UDP_PORTS: [u16; 4] = [51820, 51821, 8472, 30080];

fn rules(role: Role, posture: Posture) -> Rules {
    Rules {
        role,
        posture,
        vpn_port: 51820,
        vpn_range: "10.44.0.0/16".parse().unwrap(),
        pod_range: "10.42.0.0/16".parse().unwrap(),
        service_range: "10.43.0.0/16".parse().unwrap(),
        control_planes: vec![CONTROL_PLANE, address(10, 44, 0, 2), address(10, 44, 0, 3)],
        admin_port: (role == Role::ControlPlane).then_some(51821),
        private_range: (role != Role::Edge).then(|| "10.0.0.0/16".parse().unwrap()),
        admits_ssh: true,
    }
}

/// A node and what it is connected with.
struct Net {
    node: Namespace,
    /// Strangers, the metadata address, and whatever the default route leads to.
    public: Namespace,
    /// Nodes, as seen by their addresses.
    vpn: Namespace,
    /// A node that only this node reaches.
    other_edge: Namespace,
    pod: Namespace,
    far_pod: Namespace,
    admin: Namespace,
}

impl Net {
    fn new() -> Self {
        let [node, public, vpn, other_edge, pod, far_pod, admin] = std::array::from_fn(|_| Namespace::new());
        node.ip("link set lo up\nlink add wg0 type bridge\nlink set wg0 up\n");
        node.cable("eth0", &public, &[STRANGER, METADATA, SERVICE, PRIVATE], NODE_PUBLIC);
        node.cable("vpn1", &vpn, &[CONTROL_PLANE, WORKER, EDGE], NODE_VPN);
        node.cable("vpn2", &other_edge, &[OTHER_EDGE], NODE_VPN);
        node.cable("cni0", &pod, &[POD], NODE_PODS);
        node.cable("flannel.1", &far_pod, &[FAR_POD], NODE_FLANNEL);
        node.cable("wg-admin", &admin, &[ADMIN], NODE_ADMIN);
        // Peers of a VPN reach each other through the node alone, as isolated ports do.
        node.ip(&format!(
            "link set vpn1 master wg0\nlink set vpn1 type bridge_slave isolated on
link set vpn2 master wg0\nlink set vpn2 type bridge_slave isolated on
address add {NODE_PUBLIC}/24 dev eth0\naddress add {NODE_PRIVATE}/32 dev eth0
address add {NODE_VPN}/16 dev wg0\naddress add {NODE_PODS}/23 dev cni0
address add {NODE_FLANNEL}/32 dev flannel.1\nroute add 10.42.2.0/23 dev flannel.1
address add {NODE_ADMIN}/24 dev wg-admin\nroute add default via {STRANGER} dev eth0\n"
        ));
        node.forwards();
        // Stand-in for kube-proxy, `portmap` and flannel: a hostPort, a NodePort, and masquerading.
        node.nft(&format!(
            "table ip standin {{
chain pre {{ type nat hook prerouting priority dstnat; tcp dport {{ 8080, 30081 }} fib daddr type local dnat to {FAR_POD}:80; }}
chain post {{ type nat hook postrouting priority srcnat; ip saddr 10.42.0.0/16 ip daddr != 10.42.0.0/16 masquerade; }}
}}\n"
        ));
        Self { node, public, vpn, other_edge, pod, far_pod, admin }
    }

    fn of(&self, from: Ipv4Addr) -> &Namespace {
        match from {
            STRANGER => &self.public,
            CONTROL_PLANE | WORKER | EDGE => &self.vpn,
            POD => &self.pod,
            FAR_POD => &self.far_pod,
            ADMIN => &self.admin,
            _ => &self.node,
        }
    }

    fn load(&self, rules: &Rules) -> Loaded {
        self.load_table(&rules.table())
    }

    fn load_table(&self, table: &Table) -> Loaded {
        self.node.inside(|| load(table, &nft()).unwrap())
    }

    /// Sends all at once, for what is dropped takes its time; then each that is missing again, lest a busy machine be
    /// taken for a firewall.
    fn arrived(&self, packets: &[Way], expected: &[bool]) -> Vec<bool> {
        let send = |&(from, to, packet): &Way| arrives(self.of(from), from, to, packet);
        thread::scope(|scope| {
            let waiting: Vec<_> = packets.iter().map(|way| scope.spawn(move || send(way))).collect();
            let arrived = waiting.into_iter().map(|thread| thread.join().unwrap());
            let arrived: Vec<bool> = arrived.collect();
            let judged = arrived.into_iter().zip(expected).zip(packets);
            judged.map(|((arrived, &expected), way)| arrived || (expected && send(way))).collect()
        })
    }

    fn judge(&self, what: &str, packets: &[Way], expected: &[bool]) {
        let arrived = self.arrived(packets, expected);
        let wrong: Vec<String> = packets
            .iter()
            .zip(arrived.iter().zip(expected))
            .filter(|(_, (arrived, expected))| arrived != expected)
            .map(|((from, to, packet), (arrived, _))| {
                format!("{from} to {to} {packet:?} {}", if *arrived { "arrives" } else { "is dropped" })
            })
            .collect();
        assert!(wrong.is_empty(), "{what}: {wrong:#?}");
    }
}

/// From, to, what.
type Way = (Ipv4Addr, Ipv4Addr, Packet);

/// Roles that a packet gets through on: `c`ontrol plane, `w`orker, `e`dge.
type On = &'static str;

const ROLES: [(Role, char); 3] = [(Role::ControlPlane, 'c'), (Role::Worker, 'w'), (Role::Edge, 'e')];

/// To a node: from, what, where in normal times, where while the cluster is brought up.
const TO_NODE: &[(Ipv4Addr, Packet, On, On)] = &[
    // The public side: WireGuard's port where cloud nodes are, claims and administrators on control planes.
    (STRANGER, Udp(51820), "cw", "cw"),
    (STRANGER, Tcp(51820), "c", "c"),
    (STRANGER, Udp(51821), "c", "c"),
    (STRANGER, Tcp(22), "", "cwe"),
    (STRANGER, Tcp(6443), "", "c"),
    (STRANGER, Tcp(2379), "", ""),
    (STRANGER, Tcp(2380), "", ""),
    (STRANGER, Tcp(10250), "", ""),
    (STRANGER, Udp(8472), "", ""),
    (STRANGER, Tcp(30080), "", ""),
    (STRANGER, Udp(30080), "", ""),
    (STRANGER, Tcp(80), "", ""),
    (STRANGER, Icmp, "", ""),
    // Every node and every node: VXLAN and ICMP.
    (CONTROL_PLANE, Udp(8472), "cwe", "cwe"),
    (WORKER, Udp(8472), "cwe", "cwe"),
    (EDGE, Udp(8472), "cwe", "cwe"),
    (CONTROL_PLANE, Icmp, "cwe", "cwe"),
    (WORKER, Icmp, "cwe", "cwe"),
    (EDGE, Icmp, "cwe", "cwe"),
    // The kubelet from control planes.
    (CONTROL_PLANE, Tcp(10250), "cwe", "cwe"),
    (WORKER, Tcp(10250), "", ""),
    (EDGE, Tcp(10250), "", ""),
    // The API of control planes from every node, etcd from control planes.
    (CONTROL_PLANE, Tcp(6443), "c", "c"),
    (WORKER, Tcp(6443), "c", "c"),
    (EDGE, Tcp(6443), "c", "c"),
    (CONTROL_PLANE, Tcp(2379), "c", "c"),
    (CONTROL_PLANE, Tcp(2380), "c", "c"),
    (WORKER, Tcp(2379), "", ""),
    (WORKER, Tcp(2380), "", ""),
    (EDGE, Tcp(2379), "", ""),
    (EDGE, Tcp(2380), "", ""),
    // And nothing else over the VPN.
    (CONTROL_PLANE, Tcp(22), "", ""),
    (EDGE, Tcp(22), "", ""),
    (EDGE, Tcp(51820), "", ""),
    (EDGE, Udp(51820), "", ""),
    (WORKER, Tcp(30080), "", ""),
    // Pods and their own node.
    (POD, Tcp(6443), "c", "c"),
    (POD, Tcp(10250), "cwe", "cwe"),
    (POD, Icmp, "cwe", "cwe"),
    (POD, Tcp(22), "", ""),
    (POD, Tcp(2379), "", ""),
    (POD, Udp(8472), "", ""),
    (POD, Tcp(51820), "", ""),
    // Pods and nodes elsewhere have no way around the VPN's rules.
    (FAR_POD, Icmp, "cwe", "cwe"),
    (FAR_POD, Tcp(10250), "", ""),
    (FAR_POD, Tcp(6443), "", ""),
    // Administrators.
    (ADMIN, Tcp(6443), "c", "c"),
    (ADMIN, Tcp(22), "cwe", "cwe"),
    (ADMIN, Icmp, "cwe", "cwe"),
    (ADMIN, Tcp(2379), "", ""),
    (ADMIN, Tcp(10250), "", ""),
];

/// Through a node and out of it: from, to, what, where.
const THROUGH_NODE: &[(Ipv4Addr, Ipv4Addr, Packet, On)] = &[
    // Control planes relay between edges, what every node may send to every node.
    (EDGE, OTHER_EDGE, Udp(8472), "c"),
    (EDGE, OTHER_EDGE, Icmp, "c"),
    (EDGE, OTHER_EDGE, Tcp(10250), ""),
    // Nothing from outside to addresses of the cluster, nor by the VPN to pods.
    (STRANGER, POD, Tcp(80), ""),
    (STRANGER, FAR_POD, Tcp(80), ""),
    (STRANGER, OTHER_EDGE, Tcp(6443), ""),
    (EDGE, POD, Tcp(80), ""),
    (ADMIN, POD, Tcp(80), ""),
    // But by the DNAT of a hostPort, and not by that of a NodePort, which is for pods.
    (STRANGER, NODE_PUBLIC, Tcp(8080), "cwe"),
    (STRANGER, NODE_PUBLIC, Tcp(30081), ""),
    (WORKER, NODE_VPN, Tcp(30081), ""),
    (POD, NODE_PODS, Tcp(30081), "cwe"),
    // Pods: to pods elsewhere and back, to nodes, to the Internet by their own node, never to metadata.
    (POD, FAR_POD, Tcp(80), "cwe"),
    (FAR_POD, POD, Tcp(80), "cwe"),
    (POD, OTHER_EDGE, Tcp(6443), "cwe"),
    (POD, STRANGER, Tcp(443), "cwe"),
    (FAR_POD, STRANGER, Tcp(443), ""),
    (POD, METADATA, Tcp(80), ""),
    (FAR_POD, METADATA, Tcp(80), ""),
    // The kubelet's probes, and services that a node uses itself.
    (NODE_PODS, POD, Tcp(8081), "cwe"),
    (NODE_FLANNEL, FAR_POD, Tcp(8081), "cwe"),
    (NODE_VPN, EDGE, Tcp(10250), "cwe"),
    // Cluster ranges never leave by the uplink; the private network's by its own interface only.
    (NODE_PUBLIC, SERVICE, Tcp(443), ""),
    (NODE_PUBLIC, PRIVATE, Tcp(443), "e"),
    (NODE_PRIVATE, PRIVATE, Tcp(443), "cwe"),
    (NODE_PUBLIC, STRANGER, Tcp(443), "cwe"),
];

/// The node's address on the side of `from`.
fn near(from: Ipv4Addr) -> Ipv4Addr {
    match from {
        STRANGER => NODE_PUBLIC,
        POD => NODE_PODS,
        FAR_POD => NODE_FLANNEL,
        ADMIN => NODE_ADMIN,
        _ => NODE_VPN,
    }
}

#[test]
fn what_reaches_a_node_is_decided_by_role_and_posture() {
    as_root("what_reaches_a_node_is_decided_by_role_and_posture", || {
        let net = Net::new();
        let _echoes = UDP_PORTS.map(|port| UdpEcho::new(&net.node, port));
        let packets: Vec<Way> =
            TO_NODE.iter().map(|&(from, packet, ..)| (from, near(from), packet)).collect();
        net.judge("without a firewall everything arrives", &packets, &vec![true; packets.len()]);
        for (role, letter) in ROLES {
            for posture in [Posture::Production, Posture::BringUp] {
                assert_eq!(net.load(&rules(role, posture)), Loaded::Replaced);
                let expected = TO_NODE.iter().map(|&(_, _, normal, bring_up)| {
                    if posture == Posture::Production { normal } else { bring_up }.contains(letter)
                });
                let expected: Vec<bool> = expected.collect();
                net.judge(&format!("{role:?}, {posture:?}"), &packets, &expected);
            }
        }
    });
}

#[test]
fn what_passes_and_leaves_a_node_is_decided_by_role() {
    as_root("what_passes_and_leaves_a_node_is_decided_by_role", || {
        let net = Net::new();
        let _echo = UdpEcho::new(&net.other_edge, 8472);
        let packets: Vec<Way> =
            THROUGH_NODE.iter().map(|&(from, to, packet, _)| (from, to, packet)).collect();
        net.judge("without a firewall everything arrives", &packets, &vec![true; packets.len()]);
        for (role, letter) in ROLES {
            net.load(&rules(role, Posture::Production));
            let expected: Vec<bool> = THROUGH_NODE.iter().map(|way| way.3.contains(letter)).collect();
            net.judge(&format!("{role:?}"), &packets, &expected);
        }
    });
}

/// Segments as both ends of a connection from `client` have agreed on, without TCP's options.
fn segments(net: &Net, client: Ipv4Addr, server: Ipv4Addr) -> Vec<u16> {
    let listener = net.of(server).inside(|| TcpListener::bind((server, 8081)).unwrap());
    let client_end = net.of(client).inside(|| TcpStream::connect((server, 8081)).unwrap());
    let server_end = listener.accept().unwrap();
    let sizes = [client, server].map(|place| {
        let shown = net.of(place).inside(|| command("ss").args(["-tinH", "state", "established"]).output());
        let shown = String::from_utf8(shown.unwrap().stdout).unwrap();
        let size = shown.split_whitespace().find_map(|word| word.strip_prefix("mss:"));
        size.unwrap_or_else(|| panic!("ss shows no connection: {shown}")).parse().unwrap()
    });
    drop((client_end, server_end));
    sizes.to_vec()
}

#[test]
fn connections_between_pods_of_two_nodes_have_segments_that_fit_into_the_vpn() {
    as_root("connections_between_pods_of_two_nodes_have_segments_that_fit_into_the_vpn", || {
        let net = Net::new();
        net.node.ip("link set flannel.1 mtu 1230\n");
        // 40 bytes of headers, 12 of timestamps.
        assert_eq!(segments(&net, POD, FAR_POD), [1448, 1448], "nobody knows of the smaller link");
        let _loaded = net.load(&rules(Role::Edge, Posture::Production));
        assert_eq!(segments(&net, POD, FAR_POD), [1178, 1178]);
        assert_eq!(segments(&net, FAR_POD, POD), [1178, 1178]);
    });
}

#[test]
fn without_a_login_no_port_of_ssh_is_open() {
    as_root("without_a_login_no_port_of_ssh_is_open", || {
        let net = Net::new();
        let packets = [(STRANGER, NODE_PUBLIC, Tcp(22)), (ADMIN, NODE_ADMIN, Tcp(22))];
        net.judge("without a firewall", &packets, &[true, true]);
        net.load(&Rules { admits_ssh: false, ..rules(Role::ControlPlane, Posture::BringUp) });
        net.judge("without a login", &packets, &[false, false]);
    });
}

#[test]
fn a_box_that_is_no_node_yet_may_ask_and_is_not_asked() {
    as_root("a_box_that_is_no_node_yet_may_ask_and_is_not_asked", || {
        let net = Net::new();
        let _echoes = UDP_PORTS.map(|port| UdpEcho::new(&net.node, port));
        assert_eq!(net.load_table(&closed()), Loaded::Replaced);
        let packets: Vec<Way> =
            TO_NODE.iter().map(|&(from, packet, ..)| (from, near(from), packet)).collect();
        net.judge("to the box", &packets, &vec![false; packets.len()]);
        let ways = [
            (NODE_PUBLIC, STRANGER, Tcp(443)),
            (POD, STRANGER, Tcp(443)),
            (NODE_PUBLIC, METADATA, Tcp(80)),
            (POD, METADATA, Tcp(80)),
        ];
        net.judge("from the box, and through it", &ways, &[true, false, true, false]);
        assert_eq!(net.load_table(&closed()), Loaded::Unchanged);
        assert_eq!(net.load(&rules(Role::Edge, Posture::Production)), Loaded::Replaced);
    });
}

#[test]
fn root_reads_the_metadata() {
    as_root("root_reads_the_metadata", || {
        let net = Net::new();
        net.load(&rules(Role::Worker, Posture::Production));
        net.judge("root", &[(NODE_PUBLIC, METADATA, Tcp(80))], &[true]);
    });
}

#[test]
fn another_user_does_not_read_the_metadata() {
    as_user("another_user_does_not_read_the_metadata", || {
        let net = Net::new();
        let packets = [(NODE_PUBLIC, METADATA, Tcp(80)), (NODE_PUBLIC, STRANGER, Tcp(80))];
        net.judge("without a firewall", &packets, &[true, true]);
        net.load(&rules(Role::Worker, Posture::Production));
        net.judge("user 1000", &packets, &[false, true]);
    });
}

#[test]
fn only_a_difference_is_loaded_and_a_flushed_table_is_one() {
    as_root("only_a_difference_is_loaded_and_a_flushed_table_is_one", || {
        let node = Namespace::new();
        let normal = rules(Role::ControlPlane, Posture::Production);
        let load = |rules: &Rules| node.inside(|| load(&rules.table(), &nft()).unwrap());
        node.nft("table ip standin\n");
        assert_eq!(load(&normal), Loaded::Replaced);
        assert_eq!(load(&normal), Loaded::Unchanged);
        for damage in [
            "flush table inet imgbuild",
            "flush chain inet imgbuild forward",
            "delete table inet imgbuild",
            // The rules are gone, and what they belong to has their name.
            "delete table inet imgbuild\nadd table inet imgbuild",
        ] {
            node.nft(&format!("{damage}\n"));
            assert_eq!(load(&normal), Loaded::Replaced, "{damage}");
            assert_eq!(load(&normal), Loaded::Unchanged, "{damage}");
        }
        assert_eq!(load(&rules(Role::ControlPlane, Posture::BringUp)), Loaded::Replaced);
        assert_eq!(load(&normal), Loaded::Replaced);
        // A cluster whose control planes are not known yet.
        assert_eq!(load(&Rules { control_planes: Vec::new(), ..normal }), Loaded::Replaced);
        // What belongs to others was never touched: it can be deleted still.
        node.nft("delete table ip standin\n");
    });
}

#[test]
fn an_nft_that_is_not_there_or_fails_is_named() {
    let rules = rules(Role::Edge, Posture::Production);
    let error = |nft| format!("{:#}", load(&rules.table(), Path::new(nft)).unwrap_err());
    let absent = error("/absent/nft");
    let expected =
        "reading the firewall that is loaded: running `/absent/nft list ruleset inet`: No such file";
    assert!(absent.starts_with(expected), "{absent}");
    let failing = error("/bin/false");
    let expected =
        "reading the firewall that is loaded: running `/bin/false list ruleset inet`: it ended with exit";
    assert!(failing.starts_with(expected), "{failing}");
}
