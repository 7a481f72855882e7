//! Address ranges and ports: their sizes, and that none takes another's place.

use firstboot::plan::NODE_RANGE;

use super::super::raw::{RawNetwork, RawNode};
use super::super::{Network, Range, VpnKind};
use super::value_or;
use crate::diagnostic::{Located, Report, Span};

/// Ports that a node serves already, so the VPN can't have them.
const TAKEN_PORTS: [(u16, &str); 7] = [
    (22, "SSH"),
    (80, "HTTP"),
    (443, "HTTPS"),
    (2379, "etcd"),
    (6443, "the Kubernetes API"),
    (8472, "flannel's VXLAN"),
    (10250, "the kubelet"),
];

/// WireGuard's own port, unless given.
const VPN_PORT: u16 = 51820;
/// The port beside it, unless given.
const ADMIN_PORT: u16 = 51821;

pub(super) fn check(raw: RawNetwork, nodes: &[RawNode], report: &Report) -> Network {
    check_size(raw.vpn_range.as_ref(), 8, 24, "vpn-range", report);
    check_size(raw.pod_range.as_ref(), 8, NODE_RANGE, "pod-range", report);
    check_size(raw.service_range.as_ref(), 12, 24, "service-range", report);
    check_size(raw.private_range.as_ref(), 8, 28, "private-range", report);
    check_size(raw.admin_range.as_ref(), 16, 26, "admin-range", report);
    check_ports(raw.vpn_port.as_ref(), raw.admin_port.as_ref(), report);
    let spans = [&raw.vpn_range, &raw.pod_range, &raw.service_range, &raw.admin_range, &raw.private_range]
        .map(|range| range.as_ref().map(|range| range.span.clone()));
    let network = Network {
        vpn: raw.vpn.map_or(VpnKind::Wireguard, |kind| kind.value),
        vpn_range: value_or(raw.vpn_range, "10.44.0.0/16"),
        vpn_port: raw.vpn_port.map_or(VPN_PORT, |port| port.value),
        pod_range: value_or(raw.pod_range, "10.42.0.0/16"),
        service_range: value_or(raw.service_range, "10.43.0.0/16"),
        private_range: raw.private_range.map(|range| range.value),
        admin_range: value_or(raw.admin_range, "10.45.0.0/24"),
        admin_port: raw.admin_port.map_or(ADMIN_PORT, |port| port.value),
    };
    let [vpn, pod, service, admin, private] = spans;
    check_pod_room(network.pod_range, pod.as_ref(), nodes, report);
    let ranges = [
        ("vpn-range", network.vpn_range, vpn),
        ("pod-range", network.pod_range, pod),
        ("service-range", network.service_range, service),
        ("admin-range", network.admin_range, admin),
    ];
    let private = network.private_range.map(|range| ("private-range", range, private));
    let ranges: Vec<_> = ranges.into_iter().chain(private).collect();
    check_overlaps(&ranges, report);
    network
}

fn check_size(range: Option<&Located<Range>>, least: u8, most: u8, key: &str, report: &Report) {
    let Some(Located { value, span }) = range else { return };
    if !(least..=most).contains(&value.prefix()) {
        report.fault(span, format!("`{key}` is a /{least} to /{most}, not a /{}", value.prefix()));
    }
}

fn check_ports(vpn: Option<&Located<u16>>, admin: Option<&Located<u16>>, report: &Report) {
    for Located { value, span } in vpn.into_iter().chain(admin) {
        if let Some((port, owner)) = TAKEN_PORTS.iter().find(|(port, _)| port == value) {
            report.fault(span, format!("port {port} belongs to {owner}"));
        }
    }
    let [vpn_port, admin_port] =
        [(vpn, VPN_PORT), (admin, ADMIN_PORT)].map(|(port, default)| port.map_or(default, |port| port.value));
    if let (true, Some(Located { span, .. })) = (vpn_port == admin_port, admin.or(vpn)) {
        report.fault(span, format!("`vpn-port` and `admin-port` are both {vpn_port}"));
    }
}

/// Faults stand at the range that the file gives; of two given, at the later.
fn check_overlaps(ranges: &[(&str, Range, Option<Span>)], report: &Report) {
    for (index, (name, range, span)) in ranges.iter().enumerate() {
        for (other_name, other, other_span) in &ranges[index + 1..] {
            if !range.overlaps(*other) {
                continue;
            }
            let is_later = match (span, other_span) {
                (Some(span), Some(other)) => span.start > other.start,
                (own, _) => own.is_some(),
            };
            let (at, first, second) = if is_later {
                (span, (name, range), (other_name, other))
            } else {
                (other_span, (other_name, other), (name, range))
            };
            let Some(at) = at else { continue };
            let reason = format!("`{}` {} overlaps `{}` {}", first.0, first.1, second.0, second.1);
            report.fault(at, reason);
        }
    }
}

/// Kubernetes gives each node a part of the pod range. The fault stands at the range where the file gives
/// one, else at the first node that the default has no room for.
fn check_pod_room(range: Range, span: Option<&Span>, nodes: &[RawNode], report: &Report) {
    // A narrower range has been refused for its size.
    let Some(bits) = NODE_RANGE.checked_sub(range.prefix()) else { return };
    let room = usize::try_from(1_u64 << bits).unwrap_or(usize::MAX);
    let Some(first) = nodes.get(room) else { return };
    let reason = format!(
        "`pod-range` {range} has room for {room} {}, each with a /{NODE_RANGE}; the cluster has {}",
        if room == 1 { "node" } else { "nodes" },
        nodes.len()
    );
    report.fault(span.unwrap_or(&first.span), reason);
}
