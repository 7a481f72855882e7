//! The host firewall, as the record asks for it.

use ipnet::Ipv4Net;

use super::{Change, PlannedFile};
use crate::firewall::Rules;
use crate::record::{NodeRecord, Posture, Role};

/// What is loaded, for people to read.
const PATH: &str = "/run/imgbuild/firewall.nft";

pub(super) fn summary(record: &NodeRecord) -> String {
    let more = match record.cluster.posture {
        Posture::BringUp => ", and SSH and the API to the Internet",
        Posture::Production => "",
    };
    format!("opens what a {} needs{more}", record.node.role.name())
}

pub(super) fn changes(record: &NodeRecord) -> Vec<Change> {
    let rules = rules(record);
    let file = PlannedFile::new(PATH, 0o600, rules.table());
    vec![Change::File(file), Change::Firewall(Box::new(rules))]
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
