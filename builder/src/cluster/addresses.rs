//! VPN addresses: what the file gives is checked, the rest assigned.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use super::raw::RawNode;
use super::{Network, Range, Role};
use crate::diagnostic::{Located, Report};

/// Control planes are numbered from here, so that the first is `.1`.
const CONTROL_PLANES: u32 = 1;
/// All others from here: growing the control plane to five renumbers nobody.
const OTHERS: u32 = 11;

/// The address of every node, in order; `None` only after a recorded fault.
///
/// Given addresses come first, the others are numbered upwards in file order, so appending nodes to
/// the file moves nobody.
pub(super) fn assign(nodes: &[RawNode], range: Range, report: &Report) -> Vec<Option<Ipv4Addr>> {
    let mut taken: HashMap<Ipv4Addr, usize> = HashMap::new();
    for Located { value, span } in nodes.iter().filter_map(|node| node.vpn_address.as_ref()) {
        if !range.has_host(*value) {
            report
                .fault(span, format!("`vpn-address` {value} is no host address of the `vpn-range` {range}"));
        } else if let Some(line) = taken.get(value) {
            report.fault(span, format!("the VPN address {value} is taken by the node in line {line}"));
        } else {
            taken.insert(*value, report.line(span));
        }
    }
    let (mut control_plane, mut other) = (CONTROL_PLANES, OTHERS);
    nodes
        .iter()
        .map(|node| {
            if let Some(given) = &node.vpn_address {
                return Some(given.value);
            }
            let is_control_plane = node.role.as_ref().is_some_and(|role| role.value == Role::ControlPlane);
            let next = if is_control_plane { &mut control_plane } else { &mut other };
            let address = next_free(range, next, &taken);
            if address.is_none() {
                report
                    .fault(&node.span, format!("the `vpn-range` {range} has no address left for this node"));
            }
            address
        })
        .collect()
}

fn next_free(range: Range, next: &mut u32, taken: &HashMap<Ipv4Addr, usize>) -> Option<Ipv4Addr> {
    loop {
        let address = range.nth(*next).filter(|address| range.has_host(*address))?;
        *next += 1;
        if !taken.contains_key(&address) {
            return Some(address);
        }
    }
}

/// The range of the cluster that an interface's address would collide with, and its key.
pub(super) fn range_of(address: IpAddr, network: Network) -> Option<(&'static str, Range)> {
    let IpAddr::V4(address) = address else { return None };
    [
        ("vpn-range", network.vpn_range),
        ("pod-range", network.pod_range),
        ("service-range", network.service_range),
    ]
    .into_iter()
    .find(|(_, range)| range.contains(address))
}
