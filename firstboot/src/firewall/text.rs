//! The rules of a node as nft reads them.

use std::fmt::Write as _;

use super::{Rules, Table};
use crate::record::Posture;
use crate::record::Role;

/// Interfaces that are not the public side. All others are, whatever a provider calls them.
const INSIDE: &str = "{ lo, wg0, wg-admin, cni0, flannel.1 }";
/// What a cloud tells a server about itself, its user data included.
const METADATA: &str = "169.254.169.254";

/// What every machine takes in, whatever it is.
pub(super) const ADMITTED: &str = "type filter hook input priority filter; policy drop;
# kubelet, kube-proxy's health check, k3s' own load balancer on 6444.
iifname lo accept
# Answers to what the node began: the kubelet's probes of pods, too.
ct state established,related accept
ct state invalid drop
# Errors, among them path MTU discovery's, and IPv6's neighbours and routers (RFC 4890, section 4.4).
icmp type { destination-unreachable, time-exceeded, parameter-problem } accept
icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem } accept
icmpv6 type { nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } ip6 hoplimit 255 accept
icmpv6 type mld-listener-query ip6 saddr fe80::/10 accept
";
/// On the public side.
pub(super) const DHCP: &str =
    "# Leases of DHCP that are renewed; the first comes past every firewall, by a raw socket.
udp sport 67 udp dport 68 accept
ip6 saddr fe80::/10 udp sport 547 udp dport 546 accept
";

impl Rules {
    /// The table of these rules.
    pub fn table(&self) -> Table {
        Table::new(&[
            ("arriving", self.arriving()),
            ("input", input()),
            ("vpn", self.vpn()),
            ("pods", self.pods()),
            ("administrators", self.administrators()),
            ("public", self.public()),
            ("forward", self.forward()),
            ("output", output()),
            ("leaving", self.leaving()),
        ])
    }

    /// Ranges that exist inside the cluster only.
    fn ranges(&self) -> String {
        format!("{{ {}, {}, {} }}", self.vpn_range, self.pod_range, self.service_range)
    }

    /// From control-plane nodes; nothing where none is known, for nft refuses an empty set.
    fn by_control_planes(&self, rule: &str) -> String {
        if self.control_planes.is_empty() {
            return String::new();
        }
        let addresses: Vec<String> = self.control_planes.iter().map(ToString::to_string).collect();
        format!("ip saddr {{ {} }} {rule}\n", addresses.join(", "))
    }

    const fn is_control_plane(&self) -> bool {
        matches!(self.role, Role::ControlPlane)
    }

    /// Before the DNAT of kube-proxy and `portmap`, which hides what a packet was sent to.
    fn arriving(&self) -> String {
        let ranges = self.ranges();
        format!(
            "type filter hook prerouting priority dstnat - 10; policy accept;
# Nobody out there has or reaches an address of the cluster. Replies to masqueraded connections carry the
# node's own address here still.
iifname != {INSIDE} ip saddr {ranges} drop
iifname != {INSIDE} ip daddr {ranges} drop
# Every NodePort is open on every address of every node, by kube-proxy's DNAT. Pods and the node itself may
# use them. Only new connections: masquerading may pick such a port for a connection of the node's own.
iifname != {{ lo, cni0, flannel.1 }} fib daddr type local ct state new tcp dport 30000-32767 drop
iifname != {{ lo, cni0, flannel.1 }} fib daddr type local ct state new udp dport 30000-32767 drop
"
        )
    }

    fn vpn(&self) -> String {
        let mut text = format!(
            "ip saddr != {} drop
# flannel's VXLAN carries what pods send to pods of other nodes, and services' traffic with it.
udp dport 8472 accept
meta l4proto icmp accept
",
            self.vpn_range
        );
        text += "# The kubelet: logs, exec, and metrics-server, which must run on a control-plane node for that: flannel
# masquerades what a pod sends to a node, so it comes from the address of the pod's own node.
";
        text += &self.by_control_planes("tcp dport 10250 accept");
        if self.is_control_plane() {
            text += "# The API, and k3s' supervisor on the same port: every agent, and pods that use it, masqueraded.
tcp dport 6443 accept
# etcd's clients and peers.
";
            text += &self.by_control_planes("tcp dport 2379-2380 accept");
        }
        text
    }

    /// Pods that address their own node. From `flannel.1` no port: a pod that addresses another node comes by the VPN,
    /// and a way around it would open the kubelet to every node.
    fn pods(&self) -> String {
        let mut text = format!(
            "ip saddr != {} drop
meta l4proto icmp accept
# metrics-server asks the kubelet of its own node, too.
iifname cni0 tcp dport 10250 accept
",
            self.pod_range
        );
        if self.is_control_plane() {
            text += "# The service `kubernetes` leads here, by kube-proxy's DNAT.
iifname cni0 tcp dport 6443 accept
";
        }
        text
    }

    /// Who is on the list has a peer on `wg-admin`; there is no other way to come in by it.
    fn administrators(&self) -> String {
        let mut text = "meta l4proto icmp accept\n".to_owned();
        if self.is_control_plane() {
            text += "tcp dport 6443 accept\n";
        }
        if self.admits_ssh {
            text += "tcp dport 22 accept\n";
        }
        text
    }

    fn public(&self) -> String {
        let mut text = DHCP.to_owned();
        if self.role != Role::Edge {
            text += "# WireGuard. An edge begins its tunnels itself, and needs no port.\n";
            let _ = writeln!(text, "udp dport {} accept", self.vpn_port);
        }
        if self.is_control_plane() {
            let _ = writeln!(text, "# Claims.\ntcp dport {} accept", self.vpn_port);
        }
        if let Some(port) = self.admin_port {
            let _ = writeln!(text, "# The administrators' VPN.\nudp dport {port} accept");
        }
        if self.posture == Posture::BringUp {
            text += "# While the cluster is set up.\n";
            if self.is_control_plane() {
                text += "tcp dport 6443 accept\n";
            }
            if self.admits_ssh {
                text += "tcp dport 22 accept\n";
            }
        }
        text
    }

    fn forward(&self) -> String {
        let vpn = self.vpn_range;
        let mut text = format!(
            "type filter hook forward priority filter; policy drop;
# Of what is forwarded, pods' packets, no metadata: the user data may name the node's way into the cluster.
ip daddr {METADATA} drop
# One MTU everywhere: 1280 in the VPN, 1230 in flannel's VXLAN inside it; 40 bytes are headers. Never raised.
oifname {{ wg0, flannel.1 }} tcp flags syn / syn,rst tcp option maxseg size set rt mtu
iifname wg0 tcp flags syn / syn,rst tcp option maxseg size set 1240
iifname flannel.1 tcp flags syn / syn,rst tcp option maxseg size set 1190
"
        );
        if self.is_control_plane() {
            let _ = write!(
                text,
                "# Relay between edges, without state: the way back may lead over another control-plane node.
iifname wg0 oifname wg0 ip saddr {vpn} ip daddr {vpn} udp dport 8472 accept
iifname wg0 oifname wg0 ip saddr {vpn} ip daddr {vpn} meta l4proto icmp accept
"
            );
        }
        text += "ct state established,related accept
ct state invalid drop
# Pods to anything: pods, nodes by the VPN, the Internet. Services are pods after kube-proxy's DNAT. Pods of one
# node meet here as well, for br_netfilter brings bridged packets along. Network policies decide in k3s' table.
iifname cni0 accept
# Pods and nodes elsewhere, the API server's webhooks among them, to pods here.
iifname flannel.1 oifname cni0 accept
# What was addressed to this node and sent on by DNAT: hostPort (`portmap`), services of type LoadBalancer.
# NodePorts were dropped before. Nothing else that is new comes from the public side.
ct status dnat oifname { cni0, flannel.1 } accept
";
        text
    }

    /// After masquerading: what the wire would carry. Routes come and go with `wg0`, and without them the default
    /// route takes everything.
    fn leaving(&self) -> String {
        let ranges = self.ranges();
        let mut text = format!(
            "type filter hook postrouting priority srcnat + 10; policy accept;
oifname != {INSIDE} ip daddr {ranges} drop
# Packets that masquerading has missed, such as late ones of a connection that conntrack has forgotten.
oifname != {INSIDE} ip saddr {ranges} drop
"
        );
        if let Some(private) = self.private_range {
            let _ = write!(
                text,
                "# The interface of the private network is told by the address that it gives a packet.
oifname != {INSIDE} ip daddr {private} ip saddr != {private} drop
"
            );
        }
        text
    }
}

fn input() -> String {
    format!(
        "{ADMITTED}iifname wg0 jump vpn
iifname {{ cni0, flannel.1 }} jump pods
iifname wg-admin jump administrators
iifname != {INSIDE} jump public
"
    )
}

/// The node's own packets. A pod in the node's network is no other to the kernel than the node itself, only its
/// user tells it apart; one that runs as root can do more than read user data.
pub(super) fn output() -> String {
    format!(
        "type filter hook output priority filter; policy accept;
# firstboot runs as root. Packets of no socket have no user, and are dropped as well.
ip daddr {METADATA} meta skuid 0 accept
ip daddr {METADATA} drop
"
    )
}
