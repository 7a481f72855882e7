//! k3s' settings file. One template serves every role: what differs is said by the record.

use std::fmt::Write as _;

use crate::record::{NodeRecord, Role};

/// The node address is the VPN address everywhere, else VXLAN and the API's endpoints would use
/// the public side.
const VPN_INTERFACE: &str = "wg0";

/// Pods of a node at most.
const MOST_PODS: u32 = 300;
/// Prefix length of a node's part of the pod range. It has room for [`MOST_PODS`], which the 254 addresses of
/// Kubernetes' own default, 24, have not. Fixed when a node joins.
pub const NODE_RANGE: u8 = 23;
/// Longhorn makes a disk on nodes with this label, with the tags that their annotation says; `true` would make one
/// without tags.
const LONGHORN_DISK: &str = "node.longhorn.io/create-default-disk=config";

pub(super) fn summary(record: &NodeRecord) -> String {
    match record.node.role {
        // The first control plane must not be guessed: two that both begin are two clusters.
        Role::ControlPlane => {
            format!("runs k3s server {}; its order says whether it begins or joins", record.k3s.version)
        }
        Role::Worker | Role::Edge => format!("runs k3s agent {}", record.k3s.version),
    }
}

pub(super) fn config(record: &NodeRecord) -> String {
    let mut yaml = Yaml::default();
    yaml.scalar("node-name", &record.node.name);
    yaml.scalar("node-ip", &record.vpn.address.to_string());
    yaml.scalar("flannel-iface", VPN_INTERFACE);
    if record.node.role == Role::ControlPlane {
        yaml.scalar("advertise-address", &record.vpn.address.to_string());
        yaml.scalar("cluster-cidr", &record.k3s.pod_range);
        yaml.scalar("service-cidr", &record.k3s.service_range);
        let servers = record.k3s.servers.iter().map(ToString::to_string);
        yaml.list("tls-san", std::iter::once(record.cluster.endpoint.clone()).chain(servers));
        yaml.list("disable", ["traefik".to_owned()]);
        // Edge links flap: pods are moved after five minutes without contact, not after 40 seconds.
        let node_range = format!("node-cidr-mask-size={NODE_RANGE}");
        let arguments = ["node-monitor-grace-period=300s", "node-monitor-period=30s", &node_range];
        yaml.list("kube-controller-manager-arg", arguments.map(str::to_owned));
    } else if let Some(server) = record.k3s.servers.first() {
        yaml.scalar("server", &format!("https://{server}:6443"));
    }
    let labels = record.node.labels.iter().map(|(key, value)| format!("{key}={value}"));
    let carries_volumes = record.node.role != Role::ControlPlane;
    yaml.list("node-label", labels.chain(carries_volumes.then(|| LONGHORN_DISK.to_owned())));
    if record.node.role == Role::Edge {
        yaml.list("node-taint", ["imgbuild.org/edge=true:NoSchedule".to_owned()]);
    }
    yaml.list("kubelet-arg", [format!("max-pods={MOST_PODS}")]);
    yaml.text
}

/// Writes the flat YAML that k3s reads. Strings are double-quoted as JSON, which is YAML.
#[derive(Default)]
struct Yaml {
    text: String,
}

impl Yaml {
    fn scalar(&mut self, key: &str, value: &str) {
        let _ = writeln!(self.text, "{key}: {}", quoted(value));
    }

    fn list(&mut self, key: &str, values: impl IntoIterator<Item = String>) {
        let mut values = values.into_iter().peekable();
        if values.peek().is_some() {
            let _ = writeln!(self.text, "{key}:");
        }
        for value in values {
            let _ = writeln!(self.text, "  - {}", quoted(&value));
        }
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pod_of_a_node_has_an_address() {
        // Network, broadcast and the bridge have one each.
        let addresses = (1_u32 << (32 - NODE_RANGE)) - 3;
        assert!(addresses >= MOST_PODS, "{addresses} addresses for {MOST_PODS} pods");
    }
}
