//! `cluster.toml` as it stands: every key that may occur, each value checked on its own.
//!
//! The doc comments are what editors show: `schema` turns these types into a JSON Schema.

mod hetzner;
mod node;
mod services;

use schemars::JsonSchema;

use super::{
    Argument, DnsLabel, Domain, Endpoint, FolderPath, K3sVersion, KnownHost, MirrorUrl, Posture, Range,
    RepositoryUrl, Revision, SshKey, TimeZone, VpnKind,
};
use crate::diagnostic::{Located, Table};

pub(super) use hetzner::RawHetzner;
pub(super) use node::{RawDisk, RawHardware, RawInterface, RawLonghorn, RawNode, RawSwap};
pub(super) use services::{
    RawAdmin, RawApp, RawBackup, RawMail, RawRevocation, RawStorage, RawTls, read_apps,
};

/// The only version of the file so far.
const VERSION: u32 = 1;

/// Names of the postures in the file.
const POSTURES: [(&str, Posture); 2] = [("bring-up", Posture::BringUp), ("production", Posture::Production)];

/// Names of the kinds of VPN in the file.
const VPNS: [(&str, VpnKind); 2] = [("wireguard", VpnKind::Wireguard), ("headscale", VpnKind::Headscale)];

/// Parts of k3s that can be left out.
const COMPONENTS: [&str; 6] =
    ["coredns", "local-storage", "metrics-server", "runtimes", "servicelb", "traefik"];

/// Pods of a node at most: a /23 has 512 addresses, three of which no pod can have.
const MOST_PODS: u16 = 509;

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
    /// Certificates of what the cluster serves.
    pub(super) tls: Option<RawTls>,
    /// The mail server that the cluster sends by.
    pub(super) mail: Option<RawMail>,
    /// Volumes.
    pub(super) storage: Option<RawStorage>,
    /// Copies of datastore and volumes in S3; without it, there are none outside the cluster.
    pub(super) backup: Option<RawBackup>,
    /// Where cloud nodes are servers of Hetzner Cloud; without it, they are machines that somebody else makes.
    pub(super) hetzner: Option<RawHetzner>,
    /// Apps that ArgoCD installs; those that are not named are off.
    #[schemars(with = "Option<services::AppsSchema>")]
    pub(super) apps: Vec<RawApp>,
    /// The nodes; one, three or five of them are control planes.
    #[schemars(rename = "node")]
    pub(super) nodes: Vec<RawNode>,
    /// Who may come in by the VPN of the admins.
    #[schemars(rename = "admin", with = "Option<Vec<RawAdmin>>", extend("default" = []))]
    pub(super) admins: Vec<RawAdmin>,
    /// Memberships that are good no longer.
    #[schemars(rename = "revocation", with = "Option<Vec<RawRevocation>>", extend("default" = []))]
    pub(super) revocations: Vec<RawRevocation>,
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
    /// DNS name that the names of all apps end in.
    pub(super) domain: Option<Located<Domain>>,
    /// What cloud nodes have open to the Internet; `bring-up` adds SSH and the Kubernetes API.
    #[schemars(
        with = "Option<String>",
        extend("enum" = ["bring-up", "production"], "default" = "bring-up")
    )]
    pub(super) posture: Option<Located<Posture>>,
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
    /// Kind of VPN.
    #[schemars(
        with = "Option<String>",
        extend("enum" = ["wireguard", "headscale"], "default" = "wireguard")
    )]
    pub(super) vpn: Option<Located<VpnKind>>,
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
    /// The private network that cloud nodes share, a /8 to /28; without it they meet over the Internet.
    pub(super) private_range: Option<Located<Range>>,
    /// Addresses of the admins in their VPN, a /16 to /26.
    #[schemars(extend("default" = "10.45.0.0/24"))]
    pub(super) admin_range: Option<Located<Range>>,
    /// UDP port of the admins' VPN, on control planes.
    #[schemars(extend("default" = 51821, "minimum" = 1))]
    pub(super) admin_port: Option<Located<u16>>,
}

/// Kubernetes.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "k3s", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawK3s {
    /// Pinned k3s release, such as `v1.36.4+k3s1`.
    #[schemars(required)]
    pub(super) version: Option<Located<K3sVersion>>,
    /// Parts of k3s that are left out: `coredns`, `local-storage`, `metrics-server`, `runtimes`, `servicelb`, `traefik`.
    #[schemars(with = "Option<Vec<String>>", extend("default" = ["traefik"]))]
    pub(super) disable: Option<Vec<Located<String>>>,
    /// Pods of a node at most, 10 to 509.
    #[schemars(extend("default" = 300, "minimum" = 10, "maximum" = MOST_PODS))]
    pub(super) max_pods: Option<Located<u16>>,
    /// Further arguments of the API server, `name=value`.
    #[schemars(with = "Option<Vec<Argument>>", extend("default" = []))]
    pub(super) apiserver_args: Vec<Located<Argument>>,
    /// Further arguments of the controller manager, `name=value`.
    #[schemars(with = "Option<Vec<Argument>>", extend("default" = []))]
    pub(super) controller_manager_args: Vec<Located<Argument>>,
    /// Further arguments of every kubelet, `name=value`.
    #[schemars(with = "Option<Vec<Argument>>", extend("default" = []))]
    pub(super) kubelet_args: Vec<Located<Argument>>,
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
    /// Name of the Secret in `argocd` with the repository's deploy key, for a repository by SSH. The key is made of the
    /// identity; `imgbuild identity show` shows its public half, which the repository's host must let read.
    pub(super) deploy_key_secret: Option<Located<DnsLabel>>,
    /// Lines of a `known_hosts` file for the repository's host, where ArgoCD does not know it by itself.
    #[schemars(with = "Option<Vec<KnownHost>>", extend("default" = []))]
    pub(super) known_hosts: Vec<Located<KnownHost>>,
}

impl RawFile {
    pub(super) fn read(file: &mut Table<'_>) -> Self {
        Self {
            version: file.required("version").integer(VERSION, VERSION),
            cluster: file.required_table("cluster", RawCluster::read),
            network: file.optional("network").table(RawNetwork::read),
            k3s: file.required_table("k3s", RawK3s::read),
            gitops: file.optional("gitops").table(RawGitops::read),
            tls: file.optional("tls").table(RawTls::read),
            mail: file.optional("mail").table(RawMail::read),
            storage: file.optional("storage").table(RawStorage::read),
            backup: file.optional("backup").table(RawBackup::read),
            hetzner: file.optional("hetzner").table(RawHetzner::read),
            apps: file.optional("apps").table(read_apps).unwrap_or_default(),
            nodes: file.optional("node").tables(RawNode::read),
            admins: file.optional("admin").tables(RawAdmin::read),
            revocations: file.optional("revocation").tables(RawRevocation::read),
        }
    }
}

impl RawCluster {
    fn read(table: &mut Table<'_>) -> Self {
        Self {
            name: table.required("name").parsed(),
            endpoint: table.required("endpoint").parsed(),
            domain: table.optional("domain").parsed(),
            posture: table.optional("posture").choice(&POSTURES),
            time_zone: table.optional("time-zone").parsed(),
            ssh_keys: table.optional("ssh-keys").list(),
            mirror: table.optional("mirror").parsed(),
        }
    }
}

impl RawNetwork {
    fn read(table: &mut Table<'_>) -> Self {
        Self {
            vpn: table.optional("vpn").choice(&VPNS),
            vpn_range: table.optional("vpn-range").parsed(),
            vpn_port: table.optional("vpn-port").integer(1, u16::MAX),
            pod_range: table.optional("pod-range").parsed(),
            service_range: table.optional("service-range").parsed(),
            private_range: table.optional("private-range").parsed(),
            admin_range: table.optional("admin-range").parsed(),
            admin_port: table.optional("admin-port").integer(1, u16::MAX),
        }
    }
}

impl RawK3s {
    fn read(table: &mut Table<'_>) -> Self {
        let disable = table.optional("disable");
        let is_given = disable.is_given();
        let disable = disable.names("part of k3s", &COMPONENTS);
        Self {
            version: table.required("version").parsed(),
            disable: is_given.then_some(disable),
            max_pods: table.optional("max-pods").integer(10, MOST_PODS),
            apiserver_args: table.optional("apiserver-args").list(),
            controller_manager_args: table.optional("controller-manager-args").list(),
            kubelet_args: table.optional("kubelet-args").list(),
        }
    }
}

impl RawGitops {
    fn read(table: &mut Table<'_>) -> Self {
        Self {
            repository: table.required("repository").parsed(),
            revision: table.optional("revision").parsed(),
            path: table.optional("path").parsed(),
            deploy_key_secret: table.optional("deploy-key-secret").parsed(),
            known_hosts: table.optional("known-hosts").list(),
        }
    }
}
