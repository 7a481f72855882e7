//! What spans several keys of the cluster file, and the step from raw to checked.

use std::collections::HashMap;
use std::hash::Hash;
use std::path::Path;

use firstboot::plan::NODE_RANGE;

use super::addresses::{self, assign};
use super::raw::{RawCluster, RawFile, RawGitops, RawInterface, RawNetwork, RawNode};
use super::{Available, Cluster, Gitops, Interface, K3s, Network, Node, Range, Role};
use crate::diagnostic::{Located, Report, Span, listed};
use crate::spelling::did_you_mean;
use crate::units::Arch;

/// Control planes that form a quorum without waste; etcd gains nothing from an even number.
const QUORUMS: [usize; 3] = [1, 3, 5];

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

/// Checks what spans several keys and fills in the defaults; `None` only after a recorded fault.
pub(super) fn check(raw: RawFile, report: &Report, file: &Path, available: &Available) -> Option<Cluster> {
    let network = check_network(raw.network.unwrap_or_default(), &raw.nodes, report);
    check_names(&raw.nodes, report);
    check_control_planes(&raw.nodes, report);
    check_settings(&raw.nodes, report, available);
    check_interfaces(&raw.nodes, network, report);
    let addresses = assign(&raw.nodes, network.vpn_range, report);
    let nodes: Option<Vec<Node>> =
        raw.nodes.into_iter().zip(addresses).map(|(node, address)| resolve_node(node, address?)).collect();

    let RawCluster { name, endpoint, time_zone, ssh_keys, mirror } = raw.cluster?;
    check_unique(ssh_keys.iter(), report, |_, first| format!("the key stands in line {first} already"));
    Some(Cluster {
        file: file.to_owned(),
        name: name?.value,
        endpoint: endpoint?.value,
        time_zone: value_or(time_zone, "Etc/UTC"),
        ssh_keys: values(ssh_keys),
        mirror: mirror.map(|mirror| mirror.value),
        network,
        k3s: K3s { version: raw.k3s?.version?.value },
        gitops: match raw.gitops {
            Some(gitops) => Some(resolve_gitops(gitops)?),
            None => None,
        },
        nodes: nodes?,
    })
}

fn values<T>(list: Vec<Located<T>>) -> Vec<T> {
    list.into_iter().map(|located| located.value).collect()
}

/// The value, or the default, which is written as people would write it.
fn value_or<T: std::str::FromStr<Err: std::fmt::Debug>>(located: Option<Located<T>>, default: &str) -> T {
    located.map_or_else(|| default.parse().expect("defaults are valid"), |located| located.value)
}

fn resolve_gitops(raw: RawGitops) -> Option<Gitops> {
    Some(Gitops {
        repository: raw.repository?.value,
        revision: value_or(raw.revision, "main"),
        path: value_or(raw.path, "deployment"),
    })
}

fn resolve_node(raw: RawNode, vpn_address: std::net::Ipv4Addr) -> Option<Node> {
    let role = raw.role?.value;
    Some(Node {
        name: raw.name?.value,
        role,
        profile: value_or(raw.profile, default_profile(role)),
        image: value_or(raw.image, "disk"),
        arch: raw.arch.map_or(Arch::Amd64, |arch| arch.value),
        vpn_address,
        labels: raw.labels.into_iter().map(|(key, value)| (key.value, value.value)).collect(),
        interfaces: raw.interfaces.into_iter().map(resolve_interface).collect::<Option<_>>()?,
    })
}

const fn default_profile(role: Role) -> &'static str {
    match role {
        Role::ControlPlane | Role::Worker => "cloud",
        Role::Edge => "edge",
    }
}

fn resolve_interface(raw: RawInterface) -> Option<Interface> {
    Some(Interface {
        mac: raw.mac?.value,
        addresses: values(raw.addresses),
        gateway: raw.gateway.map(|gateway| gateway.value),
        dns: values(raw.dns),
    })
}

fn check_network(raw: RawNetwork, nodes: &[RawNode], report: &Report) -> Network {
    check_size(raw.vpn_range.as_ref(), 8, 24, "vpn-range", report);
    check_size(raw.pod_range.as_ref(), 8, NODE_RANGE, "pod-range", report);
    check_size(raw.service_range.as_ref(), 12, 24, "service-range", report);
    check_port(raw.vpn_port.as_ref(), report);
    let spans = [&raw.vpn_range, &raw.pod_range, &raw.service_range]
        .map(|range| range.as_ref().map(|range| range.span.clone()));
    let network = Network {
        vpn_range: value_or(raw.vpn_range, "10.44.0.0/16"),
        vpn_port: raw.vpn_port.map_or(51820, |port| port.value),
        pod_range: value_or(raw.pod_range, "10.42.0.0/16"),
        service_range: value_or(raw.service_range, "10.43.0.0/16"),
    };
    let [vpn, pod, service] = spans;
    let ranges = [
        ("vpn-range", network.vpn_range, vpn),
        ("pod-range", network.pod_range, pod),
        ("service-range", network.service_range, service),
    ];
    check_overlaps(&ranges, report);
    check_pod_room(network.pod_range, ranges[1].2.as_ref(), nodes, report);
    network
}

fn check_size(range: Option<&Located<Range>>, least: u8, most: u8, key: &str, report: &Report) {
    let Some(Located { value, span }) = range else { return };
    if !(least..=most).contains(&value.prefix()) {
        report.fault(span, format!("`{key}` is a /{least} to /{most}, not a /{}", value.prefix()));
    }
}

fn check_port(port: Option<&Located<u16>>, report: &Report) {
    let Some(Located { value, span }) = port else { return };
    if let Some((port, owner)) = TAKEN_PORTS.iter().find(|(port, _)| port == value) {
        report.fault(span, format!("port {port} belongs to {owner}"));
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

/// Records every value that occurred before; `reason` gets the value and the line of the first.
fn check_unique<'values, T: Eq + Hash + 'values>(
    values: impl Iterator<Item = &'values Located<T>>,
    report: &Report,
    reason: impl Fn(&T, usize) -> String,
) {
    let mut first: HashMap<&T, &Span> = HashMap::new();
    for Located { value, span } in values {
        if let Some(first) = first.get(value) {
            report.fault(span, reason(value, report.line(first)));
        } else {
            first.insert(value, span);
        }
    }
}

fn check_names(nodes: &[RawNode], report: &Report) {
    check_unique(nodes.iter().filter_map(|node| node.name.as_ref()), report, |name, first| {
        format!("the node name `{name}` is taken by the node in line {first}")
    });
    let macs = nodes.iter().flat_map(|node| &node.interfaces).filter_map(|interface| interface.mac.as_ref());
    check_unique(macs, report, |mac, first| {
        format!("the Ethernet address `{mac}` is taken by the interface in line {first}")
    });
}

fn check_control_planes(nodes: &[RawNode], report: &Report) {
    // A role that could not be read may be the missing control plane.
    if nodes.iter().any(|node| node.role.is_none()) {
        return;
    }
    let roles: Vec<_> = nodes
        .iter()
        .filter_map(|node| node.role.as_ref())
        .filter(|role| role.value == Role::ControlPlane)
        .collect();
    let Some(last) = roles.last() else {
        let span = nodes.first().map_or(0..0, |node| node.span.clone());
        let help = "one `[[node]]` needs `role = \"control-plane\"`";
        report.fault_with_help(&span, "the cluster has no control plane", help);
        return;
    };
    if !QUORUMS.contains(&roles.len()) {
        let reason = format!("a cluster has 1, 3 or 5 control planes, this one has {}", roles.len());
        report.fault(&last.span, reason);
    }
}

fn check_settings(nodes: &[RawNode], report: &Report, available: &Available) {
    for node in nodes {
        for (what, name, known) in
            [("profile", &node.profile, &available.profiles), ("image", &node.image, &available.images)]
        {
            let Some(Located { value, span }) = name else { continue };
            if known.iter().any(|known| known == value.as_str()) {
                continue;
            }
            let names = || known.iter().map(String::as_str);
            let help = did_you_mean(value.as_str(), names()).map_or_else(
                || format!("known are {}; a file `{what}s/{value}.toml` would be another", listed(names())),
                |near| format!("did you mean `{near}`?"),
            );
            report.fault_with_help(span, format!("there is no {what} `{value}`"), help);
        }
    }
}

fn check_interfaces(nodes: &[RawNode], network: Network, report: &Report) {
    for interface in nodes.iter().flat_map(|node| &node.interfaces) {
        for Located { value, span } in &interface.addresses {
            if let Some((name, range)) = addresses::range_of(value.address(), network) {
                report.fault(span, format!("`{value}` lies inside the `{name}` {range}"));
            }
        }
        let Some(Located { value: gateway, span }) = &interface.gateway else { continue };
        if interface.addresses.is_empty() {
            report.fault(span, "a gateway needs `addresses`: with DHCP, it comes from the server");
        } else if !interface.addresses.iter().any(|address| address.value.reaches(*gateway)) {
            report.fault(span, format!("the gateway `{gateway}` is a neighbour of none of the addresses"));
        }
    }
}
