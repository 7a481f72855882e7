//! `cluster.toml` as it stands: every key that may occur, each value checked on its own.
//!
//! The doc comments are what editors show: `schema` turns these types into a JSON Schema.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use schemars::JsonSchema;

use super::{
    DnsLabel, Endpoint, FolderPath, InterfaceAddress, K3sVersion, LabelKey, LabelValue, Mac, MirrorUrl,
    Range, RepositoryUrl, Revision, Role, SshKey, TimeZone,
};
use crate::diagnostic::{Located, Span, Table};
use crate::units::Arch;

/// The only version of the file so far.
const VERSION: u32 = 1;

/// Names of the roles in the file.
const ROLES: [(&str, Role); 3] =
    [("control-plane", Role::ControlPlane), ("worker", Role::Worker), ("edge", Role::Edge)];

/// Names of the architectures in the file.
const ARCHES: [(&str, Arch); 2] = [("amd64", Arch::Amd64), ("arm64", Arch::Arm64)];

/// The single source of truth of an imgbuild cluster.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "cluster.toml", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawFile {
    /// Format of this file.
    #[schemars(required, extend("const" = 1))]
    #[expect(dead_code, reason = "there is one version; the reader has refused all others")]
    pub(super) version: Option<Located<u32>>,
    /// The cluster.
    #[schemars(required)]
    pub(super) cluster: Option<RawCluster>,
    /// Address ranges.
    pub(super) network: Option<RawNetwork>,
    /// Kubernetes.
    #[schemars(required)]
    pub(super) k3s: Option<RawK3s>,
    /// The repository that ArgoCD syncs.
    pub(super) gitops: Option<RawGitops>,
    /// The nodes; one, three or five of them are control planes.
    #[schemars(rename = "node")]
    pub(super) nodes: Vec<RawNode>,
}

/// The cluster.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "cluster", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawCluster {
    /// Name of the cluster, a DNS label.
    #[schemars(required)]
    pub(super) name: Option<Located<DnsLabel>>,
    /// DNS name or address under which the control plane is reached from the Internet.
    #[schemars(required)]
    pub(super) endpoint: Option<Located<Endpoint>>,
    /// Time zone of every node by its tz database name, such as `Europe/Berlin`.
    #[schemars(extend("default" = "Etc/UTC"))]
    pub(super) time_zone: Option<Located<TimeZone>>,
    /// OpenSSH public key lines that may log in as root on debug images.
    #[schemars(with = "Option<Vec<SshKey>>", extend("default" = []))]
    pub(super) ssh_keys: Vec<Located<SshKey>>,
    /// Debian mirror that packages are fetched from.
    pub(super) mirror: Option<Located<MirrorUrl>>,
}

/// Address ranges. None may overlap another, or a network that a node stands in.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename = "network", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawNetwork {
    /// Node addresses inside the VPN, a /8 to /24.
    #[schemars(extend("default" = "10.44.0.0/16"))]
    pub(super) vpn_range: Option<Located<Range>>,
    /// UDP port of WireGuard and TCP port of the claim service.
    #[schemars(extend("default" = 51820, "minimum" = 1))]
    pub(super) vpn_port: Option<Located<u16>>,
    /// Pod addresses, a /8 to /23; each node gets a /23 of it.
    #[schemars(extend("default" = "10.42.0.0/16"))]
    pub(super) pod_range: Option<Located<Range>>,
    /// Service addresses, a /12 to /24.
    #[schemars(extend("default" = "10.43.0.0/16"))]
    pub(super) service_range: Option<Located<Range>>,
}

/// Kubernetes.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "k3s", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawK3s {
    /// Pinned k3s release, such as `v1.36.4+k3s1`.
    #[schemars(required)]
    pub(super) version: Option<Located<K3sVersion>>,
}

/// The repository that ArgoCD syncs.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "gitops", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawGitops {
    /// URL of the Git repository.
    #[schemars(required)]
    pub(super) repository: Option<Located<RepositoryUrl>>,
    /// Branch, tag or commit.
    #[schemars(extend("default" = "main"))]
    pub(super) revision: Option<Located<Revision>>,
    /// Folder inside the repository.
    #[schemars(extend("default" = "deployment"))]
    pub(super) path: Option<Located<FolderPath>>,
}

/// A node.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "node", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawNode {
    /// The table's header.
    #[schemars(skip)]
    pub(super) span: Span,
    /// Node and host name, a DNS label, unique in the cluster.
    #[schemars(required)]
    pub(super) name: Option<Located<DnsLabel>>,
    /// What the node does.
    #[schemars(required, with = "String", extend("enum" = ["control-plane", "worker", "edge"]))]
    pub(super) role: Option<Located<Role>>,
    /// Profile of its bundle; `edge` for edge nodes and `cloud` for all others unless given.
    pub(super) profile: Option<Located<DnsLabel>>,
    /// Image the bundle is laid on.
    #[schemars(extend("default" = "disk"))]
    pub(super) image: Option<Located<DnsLabel>>,
    /// Architecture.
    #[schemars(with = "Option<String>", extend("enum" = ["amd64", "arm64"], "default" = "amd64"))]
    pub(super) arch: Option<Located<Arch>>,
    /// Address inside the VPN; assigned in file order unless given.
    pub(super) vpn_address: Option<Located<Ipv4Addr>>,
    /// Kubernetes labels.
    #[schemars(with = "Option<BTreeMap<String, LabelValue>>", extend("default" = {}))]
    pub(super) labels: Vec<(Located<LabelKey>, Located<LabelValue>)>,
    /// Interfaces with settings of their own; with none, every Ethernet interface uses DHCP.
    #[schemars(with = "Option<Vec<RawInterface>>", extend("default" = []))]
    pub(super) interfaces: Vec<RawInterface>,
}

/// A network interface with settings of its own.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "interface", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawInterface {
    /// Ethernet address that the interface is found by.
    #[schemars(required)]
    pub(super) mac: Option<Located<Mac>>,
    /// Addresses with prefix length; DHCP when empty.
    #[schemars(with = "Option<Vec<InterfaceAddress>>", extend("default" = []))]
    pub(super) addresses: Vec<Located<InterfaceAddress>>,
    /// Default gateway, a neighbour of one of the addresses.
    pub(super) gateway: Option<Located<IpAddr>>,
    /// Name servers.
    #[schemars(with = "Option<Vec<IpAddr>>", extend("default" = []))]
    pub(super) dns: Vec<Located<IpAddr>>,
}

impl RawFile {
    pub(super) fn read(file: &mut Table<'_>) -> Self {
        Self {
            version: file.required("version").integer(VERSION, VERSION),
            cluster: file.required_table("cluster", RawCluster::read),
            network: file.optional("network").table(RawNetwork::read),
            k3s: file.required_table("k3s", RawK3s::read),
            gitops: file.optional("gitops").table(RawGitops::read),
            nodes: file.optional("node").tables(RawNode::read),
        }
    }
}

impl RawCluster {
    fn read(table: &mut Table<'_>) -> Self {
        Self {
            name: table.required("name").parsed(),
            endpoint: table.required("endpoint").parsed(),
            time_zone: table.optional("time-zone").parsed(),
            ssh_keys: table.optional("ssh-keys").list(),
            mirror: table.optional("mirror").parsed(),
        }
    }
}

impl RawNetwork {
    fn read(table: &mut Table<'_>) -> Self {
        Self {
            vpn_range: table.optional("vpn-range").parsed(),
            vpn_port: table.optional("vpn-port").integer(1, u16::MAX),
            pod_range: table.optional("pod-range").parsed(),
            service_range: table.optional("service-range").parsed(),
        }
    }
}

impl RawK3s {
    fn read(table: &mut Table<'_>) -> Self {
        Self { version: table.required("version").parsed() }
    }
}

impl RawGitops {
    fn read(table: &mut Table<'_>) -> Self {
        Self {
            repository: table.required("repository").parsed(),
            revision: table.optional("revision").parsed(),
            path: table.optional("path").parsed(),
        }
    }
}

impl RawNode {
    fn read(table: &mut Table<'_>) -> Self {
        Self {
            span: table.span(),
            name: table.required("name").parsed(),
            role: table.required("role").choice(&ROLES),
            profile: table.optional("profile").parsed(),
            image: table.optional("image").parsed(),
            arch: table.optional("arch").choice(&ARCHES),
            vpn_address: table.optional("vpn-address").address(),
            labels: table.optional("labels").map(),
            interfaces: table.optional("interfaces").tables(RawInterface::read),
        }
    }
}

impl RawInterface {
    fn read(table: &mut Table<'_>) -> Self {
        Self {
            mac: table.required("mac").parsed(),
            addresses: table.optional("addresses").list(),
            gateway: table.optional("gateway").address(),
            dns: table.optional("dns").addresses(),
        }
    }
}
