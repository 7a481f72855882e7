//! What the cloud allows, and what its nodes have to say.

use std::net::Ipv4Addr;

use super::super::raw::{RawHetzner, RawNode};
use super::super::{DnsLabel, Domain, Endpoint, Hetzner, Range, Role};
use super::{check_unique, values};
use crate::diagnostic::{Located, Report};

/// Networks have at least 256 addresses (API reference, `POST /networks`, `ip_range`).
const LONGEST_PREFIX: u8 = 24;

/// No server has it in a private network (API reference, `POST /networks`).
const GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 31, 1, 1);

/// What else of the file matters here.
pub(super) struct Around<'file> {
    pub(super) cluster: Option<&'file DnsLabel>,
    pub(super) endpoint: Option<&'file Endpoint>,
    pub(super) domain: Option<&'file Domain>,
    pub(super) private_range: Option<&'file Located<Range>>,
    pub(super) nodes: &'file [RawNode],
}

/// Checks what spans several keys.
pub(super) fn check(raw: Option<&RawHetzner>, around: &Around<'_>, report: &Report) {
    let nodes = around.nodes;
    let Some(hetzner) = raw else {
        for Located { span, .. } in nodes.iter().filter_map(|node| node.server_type.as_ref()) {
            report.fault(span, "`server-type` needs a table `[hetzner]`");
        }
        return;
    };
    let taken = |what: &'static str| {
        move |value: &DnsLabel, first| format!("the {what} `{value}` stands in line {first} already")
    };
    let locations = hetzner.location.iter().chain(&hetzner.other_locations);
    check_unique(locations, report, taken("location"));
    let types = hetzner.server_type.iter().chain(&hetzner.other_server_types);
    check_unique(types, report, taken("server type"));
    check_nodes(nodes, report);
    if let Some(cluster) = around.cluster {
        check_server_names(cluster, nodes, report);
    }
    if let Some(range) = around.private_range {
        check_range(range, report);
    }
    if let Some(zone) = &hetzner.dns_zone {
        check_zone(zone, around, report);
    }
}

fn check_range(Located { value: range, span }: &Located<Range>, report: &Report) {
    if range.prefix() > LONGEST_PREFIX {
        let reason =
            format!("a network of Hetzner Cloud is a /{LONGEST_PREFIX} at least, `private-range` is {range}");
        report.fault(span, reason);
    } else if !range.is_private() {
        let help = "it lies in 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16";
        report.fault_with_help(
            span,
            format!("{range} is no private range, as networks of Hetzner Cloud are"),
            help,
        );
    }
}

fn check_zone(Located { value: zone, span }: &Located<Domain>, around: &Around<'_>, report: &Report) {
    let own = [around.endpoint.map(Endpoint::as_str), around.domain.map(Domain::as_str)];
    let nodes = around.nodes.iter().filter_map(|node| Some(node.endpoint.as_ref()?.value.as_str()));
    if !own.into_iter().flatten().chain(nodes).any(|name| is_in_zone(name, zone)) {
        let reason =
            format!("neither `endpoint` nor `domain` of `[cluster]` nor a node's is a name in `{zone}`");
        report.fault(span, reason);
    }
}

fn check_nodes(nodes: &[RawNode], report: &Report) {
    for node in nodes {
        let is_edge = node.role.as_ref().is_some_and(|role| role.value == Role::Edge);
        if let Some(Located { span, .. }) = node.server_type.as_ref().filter(|_| is_edge) {
            report.fault(span, "an edge node is no server of the cloud, and has no `server-type`");
        }
        if let Some(Located { value, span }) = &node.private_address
            && *value == GATEWAY
        {
            report.fault(span, format!("{GATEWAY} is the gateway of Hetzner's public network"));
        }
    }
}

/// They are called `CLUSTER-NODE`, for a project may have several clusters.
fn check_server_names(cluster: &DnsLabel, nodes: &[RawNode], report: &Report) {
    let in_cloud = |node: &&RawNode| node.role.as_ref().is_some_and(|role| role.value != Role::Edge);
    for Located { value, span } in nodes.iter().filter(in_cloud).filter_map(|node| node.name.as_ref()) {
        let name = format!("{cluster}-{value}");
        if let Err(fault) = name.parse::<DnsLabel>() {
            report.fault(span, format!("the node's server is called `{name}`: {fault}"));
        }
    }
}

/// Whether a DNS name is the zone's own or below it.
pub(crate) fn is_in_zone(name: &str, zone: &Domain) -> bool {
    name.strip_suffix(zone.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

pub(super) fn resolve(raw: RawHetzner) -> Option<Hetzner> {
    Some(Hetzner {
        location: raw.location?.value,
        other_locations: values(raw.other_locations),
        server_type: raw.server_type?.value,
        other_server_types: values(raw.other_server_types),
        dns_zone: raw.dns_zone.map(|zone| zone.value),
    })
}
