//! What nodes have in common, and must not have in common.

use std::collections::{BTreeMap, HashSet};
use std::net::Ipv4Addr;

use super::super::addresses;
use super::super::raw::{RawDisk, RawHardware, RawInterface, RawLonghorn, RawNode, RawSwap};
use super::super::{
    Available, Disk, DnsLabel, Hardware, Interface, Longhorn, Network, Node, Role, Swap, SwapBehavior,
};
use super::{check_unique, value_or, values};
use crate::diagnostic::{Located, Report, listed};
use crate::spelling::did_you_mean;
use crate::units::{Arch, Bytes};

/// Control planes that form a quorum without waste; etcd gains nothing from an even number.
const QUORUMS: [usize; 3] = [1, 3, 5];

/// The scope of cloud nodes, unless they are given another.
const CLOUD: &str = "cloud";

/// Swap that is worth its file: less than this is a slip of the unit.
const LEAST_SWAP: Bytes = Bytes(16 << 20);

/// Checks what spans several keys of nodes.
pub(super) fn check(nodes: &[RawNode], network: Network, report: &Report, available: &Available) {
    check_names(nodes, report);
    check_control_planes(nodes, report);
    check_site(nodes, report);
    check_settings(nodes, report, available);
    check_interfaces(nodes, network, report);
    check_private(nodes, network, report);
    check_machines(nodes, report);
    check_taints(nodes, report);
    check_scopes(nodes, report);
}

fn is_edge(node: &RawNode) -> bool {
    node.role.as_ref().is_some_and(|role| role.value == Role::Edge)
}

/// Makes the node; `None` only after a recorded fault.
pub(super) fn resolve(raw: RawNode, vpn_address: Ipv4Addr) -> Option<Node> {
    let role = raw.role?.value;
    let site = raw.site.map(|site| site.value);
    let carries_volumes = role != Role::ControlPlane || raw.longhorn.is_some();
    let longhorn = carries_volumes.then(|| raw.longhorn.unwrap_or_default());
    let longhorn = super::resolved(longhorn, |longhorn| resolve_longhorn(longhorn, role, site.as_ref()))?;
    Some(Node {
        name: raw.name?.value,
        role,
        profile: value_or(raw.profile, default_profile(role)),
        image: value_or(raw.image, "disk"),
        arch: raw.arch.map_or(Arch::Amd64, |arch| arch.value),
        vpn_address,
        endpoint: raw.endpoint.map(|endpoint| endpoint.value),
        private_address: raw.private_address.map(|address| address.value),
        server_type: raw.server_type.map(|name| name.value),
        site,
        labels: raw.labels.into_iter().map(|(key, value)| (key.value, value.value)).collect(),
        taints: values(raw.taints),
        hardware: raw.hardware.map(resolve_hardware),
        swap: super::resolved(raw.swap, resolve_swap)?,
        longhorn,
        interfaces: raw.interfaces.into_iter().map(resolve_interface).collect::<Option<_>>()?,
    })
}

const fn default_profile(role: Role) -> &'static str {
    match role {
        Role::ControlPlane | Role::Worker => "cloud",
        Role::Edge => "edge",
    }
}

fn resolve_hardware(raw: RawHardware) -> Hardware {
    Hardware {
        serial: raw.serial.map(|serial| serial.value),
        mac: raw.mac.map(|mac| mac.value),
        disk_serial: raw.disk_serial.map(|serial| serial.value),
    }
}

fn resolve_swap(raw: RawSwap) -> Option<Swap> {
    let behavior = raw.behavior.map_or(SwapBehavior::LimitedSwap, |behavior| behavior.value);
    Some(Swap { size: raw.size?.value.0, behavior })
}

/// The scopes that a node has unless given: volumes of the cloud and of a site are never mixed.
fn default_scope(role: Role, site: Option<&DnsLabel>) -> DnsLabel {
    match (role, site) {
        (Role::Edge, Some(site)) => site.clone(),
        (Role::Edge, None) => value_or(None, "edge"),
        (Role::ControlPlane | Role::Worker, _) => value_or(None, CLOUD),
    }
}

fn resolve_longhorn(raw: RawLonghorn, role: Role, site: Option<&DnsLabel>) -> Option<Longhorn> {
    let mut scopes = values(raw.scopes);
    if scopes.is_empty() {
        scopes.push(default_scope(role, site));
    }
    let tagged =
        |path, tags: Vec<DnsLabel>| Disk { path, tags: scopes.iter().cloned().chain(tags).collect() };
    let disk = |disk: RawDisk| Some(tagged(disk.path?.value, values(disk.tags)));
    let mut disks = raw.disks.into_iter().map(disk).collect::<Option<Vec<_>>>()?;
    if disks.is_empty() {
        disks.push(tagged(value_or(None, "/var/lib/longhorn"), Vec::new()));
    }
    Some(Longhorn { scopes, disks })
}

fn resolve_interface(raw: RawInterface) -> Option<Interface> {
    Some(Interface {
        mac: raw.mac?.value,
        addresses: values(raw.addresses),
        gateway: raw.gateway.map(|gateway| gateway.value),
        dns: values(raw.dns),
    })
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

/// etcd's members must be near each other: no quorum lasts across sites.
fn check_site(nodes: &[RawNode], report: &Report) {
    let is_control_plane =
        |node: &&RawNode| node.role.as_ref().is_some_and(|role| role.value == Role::ControlPlane);
    let mut planes = nodes.iter().filter(is_control_plane);
    let Some(first) = planes.next() else { return };
    let site = |node: &RawNode| node.site.as_ref().map(|site| site.value.clone());
    let shown =
        |site: Option<DnsLabel>| site.map_or_else(|| "no `site`".to_owned(), |site| format!("`{site}`"));
    for node in planes.filter(|node| site(node) != site(first)) {
        let span = node.site.as_ref().map_or(&node.span, |site| &site.span);
        let reason = format!(
            "all control planes stand in one place: this one has {}, the first {}",
            shown(site(node)),
            shown(site(first))
        );
        report.fault(span, reason);
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
    let of_nodes =
        nodes.iter().flat_map(|node| node.interfaces.iter().map(move |interface| (node, interface)));
    for (node, interface) in of_nodes {
        for Located { value, span } in &interface.addresses {
            if let Some((name, range)) = addresses::range_of(value.address(), network, is_edge(node)) {
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

/// The private network: its addresses are for cloud nodes, and each is one node's.
fn check_private(nodes: &[RawNode], network: Network, report: &Report) {
    let given = nodes.iter().filter_map(|node| Some((node, node.private_address.as_ref()?)));
    for (node, Located { value, span }) in given.clone() {
        let fault = |reason: String| report.fault(span, reason);
        match network.private_range {
            _ if is_edge(node) => {
                fault("an edge node is not in the private network of the cloud nodes".to_owned());
            }
            None => fault("`private-address` needs a `private-range` in `[network]`".to_owned()),
            Some(range) if !range.has_host(*value) => {
                fault(format!("`private-address` {value} is no host address of the `private-range` {range}"));
            }
            Some(range) if range.nth(1) == Some(*value) => {
                fault(format!("`private-address` {value} is the gateway of the `private-range` {range}"));
            }
            Some(_) => {}
        }
    }
    check_unique(given.map(|(_, address)| address), report, |address, first| {
        format!("the private address {address} is taken by the node in line {first}")
    });
    for node in nodes.iter().filter(|node| is_edge(node)) {
        if let Some(Located { span, .. }) = &node.endpoint {
            report.fault(span, "an edge node has no `endpoint`: it is reached by the tunnels that it holds");
        }
    }
}

/// A machine is one node, and a rule says something of it.
fn check_machines(nodes: &[RawNode], report: &Report) {
    let rules = || nodes.iter().filter_map(|node| node.hardware.as_ref());
    for rule in rules().filter(|rule| rule.is_empty) {
        report.fault(&rule.span, "`hardware` is empty: it takes `serial`, `mac` and `disk-serial`");
    }
    let taken = |what: &str, first| format!("the {what} is that of the node in line {first}");
    check_unique(rules().filter_map(|rule| rule.serial.as_ref()), report, |_, first| {
        taken("serial number", first)
    });
    check_unique(rules().filter_map(|rule| rule.mac.as_ref()), report, |_, first| {
        taken("Ethernet address", first)
    });
    check_unique(rules().filter_map(|rule| rule.disk_serial.as_ref()), report, |_, first| {
        taken("disk", first)
    });
    for Located { value, span } in nodes.iter().filter_map(|node| node.swap.as_ref()?.size.as_ref()) {
        if value.0 < LEAST_SWAP || value.0.0 % 4096 != 0 {
            report.fault(span, format!("swap has at least {LEAST_SWAP}, in whole pages of 4 KiB"));
        }
    }
}

/// Kubernetes has one taint for each key and effect.
fn check_taints(nodes: &[RawNode], report: &Report) {
    for node in nodes {
        let mut seen = HashSet::new();
        for Located { value, span } in &node.taints {
            let identity = value.identity();
            if !seen.insert(identity) {
                let (key, effect) = identity;
                report
                    .fault(span, format!("the node has a taint `{key}` with the effect `{effect}` already"));
            }
        }
    }
}

/// Copies of a volume lie within a scope, so none may have nodes on both sides of the VPN.
fn check_scopes(nodes: &[RawNode], report: &Report) {
    let mut sides: BTreeMap<DnsLabel, (bool, usize)> = BTreeMap::new();
    for node in nodes {
        let (Some(role), is_edge) = (&node.role, is_edge(node)) else { continue };
        let line = report.line(&node.span);
        let given = node.longhorn.as_ref().map_or(&[][..], |longhorn| &longhorn.scopes);
        let default = (given.is_empty() && (role.value != Role::ControlPlane || node.longhorn.is_some()))
            .then(|| default_scope(role.value, node.site.as_ref().map(|site| &site.value)));
        let spans = given.iter().map(|scope| (&scope.value, &scope.span));
        for (scope, span) in spans.chain(default.as_ref().map(|scope| (scope, &node.span))) {
            let (is_other, first) = *sides.entry(scope.clone()).or_insert((is_edge, line));
            if is_other != is_edge {
                let [own, other] = if is_edge { ["edge", "cloud"] } else { ["cloud", "edge"] };
                let reason = format!(
                    "the scope `{scope}` of this {own} node is that of the {other} node in line {first}: \
                     no volume has copies on both sides"
                );
                report.fault(span, reason);
            }
        }
    }
}
