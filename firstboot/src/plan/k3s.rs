//! k3s' settings file. One template serves every role: what differs is said by the record.

use std::fmt::Write as _;

use crate::record::{NodeRecord, Role};

/// The node address is the VPN address everywhere, else VXLAN and the API's endpoints would use
/// the public side.
const VPN_INTERFACE: &str = "wg0";

pub(super) fn summary(record: &NodeRecord) -> String {
    match record.node.role {
        Role::ControlPlane => format!("runs k3s server {}", record.k3s.version),
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
        let arguments = ["node-monitor-grace-period=300s", "node-monitor-period=30s"];
        yaml.list("kube-controller-manager-arg", arguments.map(str::to_owned));
    } else if let Some(server) = record.k3s.servers.first() {
        yaml.scalar("server", &format!("https://{server}:6443"));
    }
    yaml.list("node-label", record.node.labels.iter().map(|(key, value)| format!("{key}={value}")));
    if record.node.role == Role::Edge {
        yaml.list("node-taint", ["imgbuild.org/edge=true:NoSchedule".to_owned()]);
    }
    yaml.list("kubelet-arg", ["max-pods=300".to_owned()]);
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
