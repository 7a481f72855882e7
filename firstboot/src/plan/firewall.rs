//! The host firewall, as the record asks for it.

use ipnet::Ipv4Net;

use super::{Change, PlannedFile};
use crate::firewall::{self, Rules, Table};
use crate::record::{NodeRecord, Posture, Role};

/// What is loaded, for people to read.
const PATH: &str = "/run/imgbuild/firewall.nft";

pub(super) fn summary(record: &NodeRecord) -> String {
    let (node, login) = match record.node.role {
        Role::ControlPlane => ("a control plane", "SSH and the API"),
        Role::Worker => ("a worker", "SSH"),
        Role::Edge => ("an edge", "SSH"),
    };
    match record.cluster.posture {
        Posture::BringUp => format!("opens what {node} needs, and {login} to the Internet"),
        Posture::Production => format!("opens what {node} needs"),
    }
}

pub(super) fn changes(record: &NodeRecord) -> Vec<Change> {
    load(rules(record).table())
}

/// Of a box without a record.
pub(super) fn closed() -> Vec<Change> {
    load(firewall::closed())
}

fn load(table: Table) -> Vec<Change> {
    vec![Change::File(PlannedFile::new(PATH, 0o600, table.text())), Change::Firewall(table)]
}

fn rules(record: &NodeRecord) -> Rules {
    let admins = record.vpn.admins.as_ref();
    Rules {
        role: record.node.role,
        posture: record.cluster.posture,
        vpn_port: record.vpn.port,
        vpn_range: range(&record.vpn.range),
        pod_range: range(&record.k3s.pod_range),
        service_range: range(&record.k3s.service_range),
        control_planes: record.k3s.servers.clone(),
        admin_port: admins.filter(|admins| admins.address.is_some()).map(|admins| admins.port),
        private_range: record
            .vpn
            .private_range
            .as_deref()
            .filter(|_| record.node.role != Role::Edge)
            .map(range),
        admits_ssh: !record.ssh_authorized_keys.is_empty(),
    }
}

/// Records are checked before they are planned. What is no range would count as all addresses, which closes the node.
fn range(text: &str) -> Ipv4Net {
    text.parse().unwrap_or_default()
}
