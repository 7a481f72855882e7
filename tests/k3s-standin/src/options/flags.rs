//! k3s' flags.

use super::OptionsError;

/// Flags that are there or not.
const SWITCHES: &[&str] = &[
    "cluster-init",
    "cluster-reset",
    "debug",
    "disable-agent",
    "disable-apiserver",
    "disable-apiserver-lb",
    "disable-cloud-controller",
    "disable-controller-manager",
    "disable-default-registry-endpoint",
    "disable-etcd",
    "disable-helm-controller",
    "disable-kube-proxy",
    "disable-network-policy",
    "disable-scheduler",
    "docker",
    "embedded-registry",
    "enable-pprof",
    "etcd-disable-snapshots",
    "etcd-expose-metrics",
    "etcd-s3",
    "etcd-s3-insecure",
    "etcd-s3-skip-ssl-verify",
    "etcd-snapshot-compress",
    "flannel-external-ip",
    "flannel-ipv6-masq",
    "kine-tls",
    "multi-cluster-cidr",
    "nonroot-devices",
    "prefer-bundled-bin",
    "protect-kernel-defaults",
    "rootless",
    "secrets-encryption",
    "selinux",
    "supervisor-metrics",
    "tls-san-security",
    "with-node-id",
];

/// Flags with a value, once or more often.
const VALUES: &[&str] = &[
    "advertise-address",
    "advertise-port",
    "agent-token",
    "agent-token-file",
    "airgap-extra-registry",
    "alsologtostderr",
    "bind-address",
    "cluster-cidr",
    "cluster-dns",
    "cluster-domain",
    "cluster-reset-restore-path",
    "config",
    "container-runtime-endpoint",
    "containerd-image-pull-qps",
    "data-dir",
    "datastore-cafile",
    "datastore-certfile",
    "datastore-endpoint",
    "datastore-keyfile",
    "default-local-storage-path",
    "default-runtime",
    "disable",
    "egress-selector-mode",
    "etcd-arg",
    "etcd-s3-access-key",
    "etcd-s3-bucket",
    "etcd-s3-bucket-lookup-type",
    "etcd-s3-config-secret",
    "etcd-s3-endpoint",
    "etcd-s3-endpoint-ca",
    "etcd-s3-folder",
    "etcd-s3-proxy",
    "etcd-s3-region",
    "etcd-s3-retention",
    "etcd-s3-secret-key",
    "etcd-s3-session-token",
    "etcd-s3-timeout",
    "etcd-snapshot-dir",
    "etcd-snapshot-name",
    "etcd-snapshot-reconcile-interval",
    "etcd-snapshot-retention",
    "etcd-snapshot-schedule-cron",
    "flannel-backend",
    "flannel-cni-conf",
    "flannel-conf",
    "flannel-iface",
    "helm-job-image",
    "https-listen-port",
    "image-credential-provider-bin-dir",
    "image-credential-provider-config",
    "image-service-endpoint",
    "kube-apiserver-arg",
    "kube-cloud-controller-manager-arg",
    "kube-controller-manager-arg",
    "kube-proxy-arg",
    "kube-scheduler-arg",
    "kubelet-arg",
    "lb-server-port",
    "log",
    "node-external-dns",
    "node-external-ip",
    "node-internal-dns",
    "node-ip",
    "node-label",
    "node-name",
    "node-taint",
    "pause-image",
    "private-registry",
    "resolv-conf",
    "root",
    "secrets-encryption-provider",
    "server",
    "service-cidr",
    "service-node-port-range",
    "servicelb-namespace",
    "snapshotter",
    "system-default-registry",
    "tls-san",
    "token",
    "token-file",
    "v",
    "vmodule",
    "vpn-auth",
    "vpn-auth-file",
    "write-kubeconfig",
    "write-kubeconfig-group",
    "write-kubeconfig-mode",
];

/// Short names.
const SHORT: &[(&str, &str)] = &[
    ("c", "config"),
    ("d", "data-dir"),
    ("o", "write-kubeconfig"),
    ("s", "server"),
    ("t", "token"),
    ("l", "log"),
];

/// Names and values, in their order.
#[derive(Clone, Debug, Default)]
pub struct Flags(Vec<(String, String)>);

/// Whether k3s knows a flag of this name, which may be a short one.
pub fn is_known(name: &str) -> bool {
    let name = long(name);
    SWITCHES.contains(&name) || VALUES.contains(&name)
}

fn long(name: &str) -> &str {
    SHORT.iter().find(|(short, _)| *short == name).map_or(name, |(_, long)| long)
}

/// The value of a flag in `arguments`, before they are parsed.
pub fn find(arguments: &[String], names: &[&str]) -> Option<String> {
    for (index, argument) in arguments.iter().enumerate() {
        for name in names {
            if argument == name {
                return arguments.get(index.saturating_add(1)).cloned();
            }
            if let Some(value) = argument.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')) {
                return Some(value.to_owned());
            }
        }
    }
    None
}

impl Flags {
    /// Of `--name value`, `--name=value`, `--switch`, `--switch=false`.
    pub fn parse(arguments: &[String]) -> Result<Self, OptionsError> {
        let mut flags = Vec::new();
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let bare = argument.trim_start_matches('-');
            let (name, value) = match bare.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (bare, None),
            };
            if bare.len() == argument.len() || !is_known(name) {
                return Err(OptionsError::Unknown { name: name.to_owned() });
            }
            let name = long(name).to_owned();
            let value = match value {
                Some(value) => value,
                None if SWITCHES.contains(&name.as_str()) => "true".to_owned(),
                None => {
                    arguments.next().cloned().ok_or_else(|| OptionsError::NoValue { name: name.clone() })?
                }
            };
            flags.push((name, value));
        }
        Ok(Self(flags))
    }

    /// The last value counts; empty if there is none.
    pub fn last(&self, name: &str) -> &str {
        self.iter().filter(|(own, _)| *own == name).last().map(|(_, value)| value).unwrap_or_default()
    }

    /// All values.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.iter().filter(move |(own, _)| *own == name).map(|(_, value)| value)
    }

    /// All names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// What counts unless a flag says otherwise.
    pub fn set_default(&mut self, name: &str, value: &str) {
        if self.last(name).is_empty() && !value.is_empty() {
            self.0.push((name.to_owned(), value.to_owned()));
        }
    }
}
