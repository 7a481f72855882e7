//! VPN addresses: what the file gives is checked, the rest assigned.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use super::raw::{RawAdmin, RawNode};
use super::{Network, Range, Role};
use crate::diagnostic::{Located, Report, Span};

/// Control planes are numbered from here, so that the first is `.1`.
const CONTROL_PLANES: u32 = 1;
/// All others from here: growing the control plane to five renumbers nobody.
const OTHERS: u32 = 11;

/// A thing that has an address in a range: one of its own, or the next that is free.
struct Claimant<'file> {
    given: Option<&'file Located<Ipv4Addr>>,
    /// Where the next free address is looked for.
    from: u32,
    span: &'file Span,
}

impl<'file> From<&'file RawNode> for Claimant<'file> {
    fn from(node: &'file RawNode) -> Self {
        let is_control_plane = node.role.as_ref().is_some_and(|role| role.value == Role::ControlPlane);
        let from = if is_control_plane { CONTROL_PLANES } else { OTHERS };
        Self { given: node.vpn_address.as_ref(), from, span: &node.span }
    }
}

impl<'file> From<&'file RawAdmin> for Claimant<'file> {
    fn from(admin: &'file RawAdmin) -> Self {
        Self { given: admin.address.as_ref(), from: OTHERS, span: &admin.span }
    }
}

/// What is numbered, in words.
struct Words {
    key: &'static str,
    range: &'static str,
    address: &'static str,
    one: &'static str,
}

const NODES: Words = Words { key: "vpn-address", range: "vpn-range", address: "VPN address", one: "node" };
const ADMINS: Words = Words { key: "address", range: "admin-range", address: "address", one: "admin" };

/// The address of every node, in order; `None` only after a recorded fault.
pub(super) fn assign(nodes: &[RawNode], range: Range, report: &Report) -> Vec<Option<Ipv4Addr>> {
    let claimants: Vec<_> = nodes.iter().map(Claimant::from).collect();
    number(&claimants, range, &NODES, report)
}

/// The address of every admin, in order; `None` only after a recorded fault. Control planes have the first ones.
pub(super) fn assign_admins(admins: &[RawAdmin], range: Range, report: &Report) -> Vec<Option<Ipv4Addr>> {
    let claimants: Vec<_> = admins.iter().map(Claimant::from).collect();
    for Located { value, span } in admins.iter().filter_map(|admin| admin.address.as_ref()) {
        if (CONTROL_PLANES..OTHERS).any(|place| range.nth(place) == Some(*value)) {
            let last = range.nth(OTHERS - 1).unwrap_or(*value);
            report.fault(
                span,
                format!("the addresses up to {last} of the `admin-range` are for control planes"),
            );
        }
    }
    number(&claimants, range, &ADMINS, report)
}

/// Given addresses come first, the others are numbered upwards in file order, so appending to
/// the file moves nobody.
fn number(claimants: &[Claimant<'_>], range: Range, words: &Words, report: &Report) -> Vec<Option<Ipv4Addr>> {
    let mut taken: HashMap<Ipv4Addr, usize> = HashMap::new();
    for Located { value, span } in claimants.iter().filter_map(|claimant| claimant.given) {
        if !range.has_host(*value) {
            report.fault(
                span,
                format!("`{}` {value} is no host address of the `{}` {range}", words.key, words.range),
            );
        } else if let Some(line) = taken.get(value) {
            report.fault(
                span,
                format!("the {} {value} is taken by the {} in line {line}", words.address, words.one),
            );
        } else {
            taken.insert(*value, report.line(span));
        }
    }
    let mut next: HashMap<u32, u32> = HashMap::new();
    claimants
        .iter()
        .map(|claimant| {
            if let Some(given) = claimant.given {
                return Some(given.value);
            }
            let address = next_free(range, next.entry(claimant.from).or_insert(claimant.from), &taken);
            if address.is_none() {
                let reason =
                    format!("the `{}` {range} has no address left for this {}", words.range, words.one);
                report.fault(claimant.span, reason);
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

/// The range of the cluster that an interface's address would collide with, and its key. Cloud nodes stand in the private
/// network; an edge node that does in another of these addresses would reach neither.
pub(super) fn range_of(address: IpAddr, network: Network, is_edge: bool) -> Option<(&'static str, Range)> {
    let IpAddr::V4(address) = address else { return None };
    let private = network.private_range.filter(|_| is_edge).map(|range| ("private-range", range));
    [
        ("vpn-range", network.vpn_range),
        ("pod-range", network.pod_range),
        ("service-range", network.service_range),
        ("admin-range", network.admin_range),
    ]
    .into_iter()
    .chain(private)
    .find(|(_, range)| range.contains(address))
}
