//! k3s' settings. One template serves every role: what differs is said by the record.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::time::Duration;

use super::PlannedFile;
use super::longhorn;
use crate::record::{NodeRecord, Role, Swap};

/// Where k3s reads its settings; a symbolic link in the read-only root would not be writable.
pub const K3S_CONFIG: &str = "/etc/rancher/k3s/config.yaml";
/// What the one-shot order adds to [`K3S_CONFIG`]: whether this control plane begins or joins. k3s reads all of
/// `config.yaml.d` after `config.yaml`.
pub const K3S_ORDER: &str = "/etc/rancher/k3s/config.yaml.d/order.yaml";
/// The token that k3s joins by, or begins with. On state: it outlives the boot, and no settings file shows it.
pub const K3S_TOKEN: &str = "/var/lib/imgbuild/k3s-token";
/// Settings of the kubelet that are no arguments; k3s copies the file into its own folder of them.
const KUBELET_CONFIG: &str = "/etc/rancher/k3s/kubelet.yaml";

/// The node address is the VPN address everywhere, else VXLAN and the API's endpoints would use
/// the public side.
pub const VPN_INTERFACE: &str = "wg0";
/// Port of the Kubernetes API.
const API_PORT: u16 = 6443;

/// Prefix length of a node's part of the pod range. It has room for the 300 pods that a record has by default, which the
/// 254 addresses of Kubernetes' own default, 24, have not. Fixed when a node joins.
pub const NODE_RANGE: u8 = 23;
/// Labels and taints that imgbuild itself sets begin so.
const OWN: &str = "imgbuild.org";

/// What a control plane was ordered to do, once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Order {
    /// Begin a cluster.
    Init,
    /// Join the cluster of a control plane with this VPN address.
    Join(Ipv4Addr),
}

pub(super) fn summary(record: &NodeRecord) -> String {
    match record.node.role {
        // The first control plane must not be guessed: two that both begin are two clusters.
        Role::ControlPlane => {
            format!("runs k3s server {}; its order says whether it begins or joins", record.k3s.version)
        }
        Role::Worker | Role::Edge => format!("runs k3s agent {}", record.k3s.version),
    }
}

/// Every file that k3s is started with, but for the token and a control plane's order.
pub(super) fn files(record: &NodeRecord) -> Vec<PlannedFile> {
    vec![
        PlannedFile::new(K3S_CONFIG, 0o600, config(record)),
        PlannedFile::new(KUBELET_CONFIG, 0o600, kubelet(record.node.swap)),
    ]
}

/// The drop-in that a control plane's order is carried out by.
pub fn order(order: Order) -> PlannedFile {
    let mut yaml = Yaml::default();
    match order {
        Order::Init => yaml.plain("cluster-init", true),
        Order::Join(server) => yaml.scalar("server", &format!("https://{server}:{API_PORT}")),
    }
    PlannedFile::new(K3S_ORDER, 0o600, yaml.text)
}

fn config(record: &NodeRecord) -> String {
    let mut yaml = Yaml::default();
    yaml.scalar("node-name", &record.node.name);
    yaml.scalar("node-ip", &record.vpn.address.to_string());
    yaml.scalar("flannel-iface", VPN_INTERFACE);
    yaml.scalar("token-file", K3S_TOKEN);
    match record.node.role {
        Role::ControlPlane => server(record, &mut yaml),
        // By name: control planes may come and go without any edge being told.
        Role::Worker | Role::Edge => {
            yaml.scalar("server", &format!("https://{}:{API_PORT}", record.api_name()));
        }
    }
    yaml.list("node-label", labels(record));
    yaml.list("node-taint", taints(record));
    let kubelet = [format!("max-pods={}", record.k3s.max_pods), format!("config={KUBELET_CONFIG}")];
    yaml.list("kubelet-arg", kubelet.into_iter().chain(record.k3s.kubelet_args.iter().cloned()));
    yaml.text
}

/// What the servers of a cluster must have alike: k3s refuses to join where some of it differs.
fn server(record: &NodeRecord, yaml: &mut Yaml) {
    let k3s = &record.k3s;
    yaml.scalar("advertise-address", &record.vpn.address.to_string());
    yaml.scalar("cluster-cidr", &k3s.pod_range);
    yaml.scalar("service-cidr", &k3s.service_range);
    let admins = record.vpn.admins.as_ref().and_then(|admins| admins.address);
    let names = [record.cluster.endpoint.clone(), record.api_name()].into_iter();
    let names =
        names.chain(record.vpn.endpoint.iter().filter(|own| **own != record.cluster.endpoint).cloned());
    let addresses = k3s.servers.iter().copied().chain(record.vpn.private_address).chain(admins);
    yaml.list("tls-san", names.chain(addresses.map(|address| address.to_string())));
    yaml.list("disable", k3s.disable.iter().cloned());
    if let Some(snapshots) = &k3s.snapshots {
        // With any other option of S3 beside it, k3s would pass the Secret over.
        yaml.plain("etcd-s3", true);
        yaml.scalar("etcd-s3-config-secret", &snapshots.secret);
        let hours = snapshots.interval_hours;
        let hour = if hours < 24 { format!("*/{hours}") } else { "0".to_owned() };
        yaml.scalar("etcd-snapshot-schedule-cron", &format!("0 {hour} * * *"));
        yaml.plain("etcd-snapshot-retention", snapshots.keep);
    }
    yaml.list("kube-apiserver-arg", k3s.apiserver_args.iter().cloned());
    // Edge links flap: pods are moved after five minutes without contact, not after 40 seconds.
    let own = ["node-monitor-grace-period=300s".to_owned(), "node-monitor-period=30s".to_owned()].into_iter();
    let own = own.chain([format!("node-cidr-mask-size={NODE_RANGE}")]);
    yaml.list("kube-controller-manager-arg", own.chain(k3s.controller_manager_args.iter().cloned()));
}

fn labels(record: &NodeRecord) -> impl Iterator<Item = String> {
    let given = record.node.labels.iter().map(|(key, value)| format!("{key}={value}"));
    let site = record.node.site.iter().map(|site| format!("{OWN}/site={site}"));
    given.chain(site).chain(longhorn::label(record).map(str::to_owned))
}

fn taints(record: &NodeRecord) -> impl Iterator<Item = String> {
    let edge = (record.node.role == Role::Edge).then(|| format!("{OWN}/edge=true:NoSchedule"));
    edge.into_iter().chain(record.node.taints.iter().cloned())
}

/// What pods have to end in when the machine is switched off, before the network does. logind lets the kubelet hold the
/// machine up for longer than that (`logind.conf.d/pods.conf` of the profiles).
const SHUTDOWN: Duration = Duration::from_mins(1);
/// The last of it is for critical pods.
const SHUTDOWN_OF_CRITICAL: Duration = Duration::from_secs(20);

fn kubelet(swap: Option<Swap>) -> String {
    let mut yaml = Yaml::default();
    yaml.plain("apiVersion", "kubelet.config.k8s.io/v1beta1");
    yaml.plain("kind", "KubeletConfiguration");
    // Kubernetes' Graceful Node Shutdown: the node says that it leaves, and its pods are ended, not killed.
    yaml.plain("shutdownGracePeriod", format_args!("{}s", SHUTDOWN.as_secs()));
    yaml.plain("shutdownGracePeriodCriticalPods", format_args!("{}s", SHUTDOWN_OF_CRITICAL.as_secs()));
    if let Some(swap) = swap {
        // Without it, a kubelet that finds swap refuses to start.
        yaml.plain("failSwapOn", false);
        yaml.plain("memorySwap", format_args!("{{ swapBehavior: {} }}", swap.behavior.name()));
    }
    yaml.text
}

/// Writes the flat YAML that k3s reads. Strings are double-quoted as JSON, which is YAML.
#[derive(Default)]
struct Yaml {
    text: String,
}

impl Yaml {
    fn plain(&mut self, key: &str, value: impl std::fmt::Display) {
        let _ = writeln!(self.text, "{key}: {value}");
    }

    fn scalar(&mut self, key: &str, value: &str) {
        self.plain(key, quoted(value));
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
    use crate::record::K3s;

    #[test]
    fn every_pod_of_a_node_has_an_address() {
        // Network, broadcast and the bridge have one each.
        let addresses = (1_u32 << (32 - NODE_RANGE)) - 3;
        let most = u32::from(K3s::new("", "", "").max_pods);
        assert!(addresses >= most, "{addresses} addresses for {most} pods");
    }

    #[test]
    fn an_order_is_one_line_beside_what_all_control_planes_share() {
        let text = |given| order(given).content.to_string();
        assert_eq!(text(Order::Init), "cluster-init: true\n");
        assert_eq!(text(Order::Join(Ipv4Addr::new(10, 44, 0, 1))), "server: \"https://10.44.0.1:6443\"\n");
    }
}
