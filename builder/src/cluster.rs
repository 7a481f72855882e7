//! The cluster file: parse, check, resolve.
//!
//! `raw` reads `cluster.toml` as it stands, `check` looks at what spans several keys and gives the
//! checked [`Cluster`]; `find` looks for the file, `record` writes what a node is told, `schema` tells
//! editors what may stand in the file.

mod access;
mod addresses;
mod app;
mod argument;
mod check;
pub mod edit;
mod find;
mod hardware;
mod hetzner;
mod key;
mod label;
mod location;
mod name;
mod network;
mod node;
mod not_yet;
mod raw;
mod record;
mod schema;
mod services;
mod taint;
mod text;
mod vpn_key;

use std::path::{Path, PathBuf};

use serde::Serialize;
use thiserror::Error;

pub use firstboot::record::{Posture, Role, SwapBehavior, VpnKind};

pub use access::{AccessError, KnownHost, MailAddress};
pub use app::App;
pub use argument::{Argument, ArgumentError};
pub(crate) use check::is_in_zone;
pub use find::{FILE_NAME, LoadError, directory_of};
pub use hardware::{HardwareError, Serial, StatePath};
pub use hetzner::Hetzner;
pub use key::{SshKey, SshKeyError};
pub use label::{LabelError, LabelKey, LabelValue};
pub use location::{FolderPath, K3sVersion, LocationError, MirrorUrl, RepositoryUrl, Revision};
pub use name::{DnsLabel, Domain, Endpoint, NameError, TimeZone};
pub use network::{InterfaceAddress, Mac, NetworkError, Range};
pub use node::{Disk, Hardware, Interface, Longhorn, Node, Swap};
pub use schema::schema;
pub use services::{Admin, Backup, Issuer, Mail, Revocation, Storage, Tls};
pub use taint::{Taint, TaintError};
pub use vpn_key::{VpnKey, VpnKeyError};

use crate::diagnostic::{Faults, Report};
use crate::spelling::did_you_mean;

/// A checked cluster file with every default filled in.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Cluster {
    /// The cluster file.
    #[serde(skip)]
    pub file: PathBuf,
    /// Name of the cluster.
    pub name: DnsLabel,
    /// Where the control plane is reached from the Internet.
    pub endpoint: Endpoint,
    /// DNS name that the names of all apps end in; there where an app is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<Domain>,
    /// What cloud nodes have open to the Internet.
    pub posture: Posture,
    /// Time zone of every node.
    pub time_zone: TimeZone,
    /// Keys that may log in as root on debug images.
    pub ssh_keys: Vec<SshKey>,
    /// Debian mirror, if the file names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirror: Option<MirrorUrl>,
    /// Address ranges.
    pub network: Network,
    /// Kubernetes.
    pub k3s: K3s,
    /// What ArgoCD syncs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gitops: Option<Gitops>,
    /// Certificates of what the cluster serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// The mail server that the cluster sends by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mail: Option<Mail>,
    /// Volumes.
    pub storage: Storage,
    /// Copies of datastore and volumes in S3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<Backup>,
    /// Where cloud nodes are servers of Hetzner Cloud.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hetzner: Option<Hetzner>,
    /// The apps that the file names, by name; all others are off.
    pub apps: Vec<App>,
    /// Nodes in file order; one, three or five are control planes.
    pub nodes: Vec<Node>,
    /// Who may come in by the VPN of the admins, in file order.
    pub admins: Vec<Admin>,
    /// Memberships that are good no longer.
    pub revocations: Vec<Revocation>,
}

/// Address ranges; none overlaps another.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Network {
    /// Kind of VPN.
    pub vpn: VpnKind,
    /// Node addresses inside the VPN.
    pub vpn_range: Range,
    /// UDP port of WireGuard and TCP port of the claim service.
    pub vpn_port: u16,
    /// Pod addresses; each node gets a /23 of it.
    pub pod_range: Range,
    /// Service addresses.
    pub service_range: Range,
    /// The private network that cloud nodes share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_range: Option<Range>,
    /// Addresses of admins and control planes in the VPN of the admins.
    pub admin_range: Range,
    /// UDP port of the admins' VPN.
    pub admin_port: u16,
}

/// Kubernetes.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct K3s {
    /// Pinned release.
    pub version: K3sVersion,
    /// Parts of k3s that are left out.
    pub disable: Vec<String>,
    /// Pods of a node at most.
    pub max_pods: u16,
    /// Further arguments of the API server.
    pub apiserver_args: Vec<Argument>,
    /// Further arguments of the controller manager.
    pub controller_manager_args: Vec<Argument>,
    /// Further arguments of every kubelet.
    pub kubelet_args: Vec<Argument>,
}

/// The repository that ArgoCD syncs.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Gitops {
    /// Its URL.
    pub repository: RepositoryUrl,
    /// Branch, tag or commit.
    pub revision: Revision,
    /// Folder inside it.
    pub path: FolderPath,
    /// Name of the Secret with its deploy key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deploy_key_secret: Option<DnsLabel>,
    /// Keys of its host, as lines of a `known_hosts` file.
    pub known_hosts: Vec<KnownHost>,
}

/// A node was asked for that the cluster file does not have.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("the cluster `{cluster}` has no node `{name}`")]
pub struct UnknownNode {
    /// Name of the cluster.
    pub cluster: String,
    /// The name asked for.
    pub name: String,
    /// A node whose name is nearly the same.
    pub near: Option<String>,
    /// All nodes.
    pub known: Vec<String>,
}

/// Names of the profiles and images that a cluster file may use.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Available {
    /// Profiles, sorted.
    pub profiles: Vec<String>,
    /// Images, sorted.
    pub images: Vec<String>,
}

impl Cluster {
    /// Parses and checks the text of the cluster file `file`, which is not touched.
    pub fn parse(text: &str, file: &Path, available: &Available) -> Result<Self, Faults> {
        let report = Report::new(&file.display().to_string(), text);
        let raw = report.read(raw::RawFile::read);
        let cluster = raw.and_then(|raw| check::check(raw, &report, file, available));
        report.finish(cluster)
    }

    /// Folder of the cluster file, where `profiles/`, `images/` and `imgbuild.lock` lie beside it.
    pub fn directory(&self) -> &Path {
        directory_of(&self.file)
    }

    /// A path in that folder; without a leading `.`, for it is shown to people too.
    pub fn beside(&self, path: impl AsRef<Path>) -> PathBuf {
        let directory = self.directory();
        directory.strip_prefix(".").unwrap_or(directory).join(path)
    }

    /// Where the cluster is reached from the Internet: its own endpoint, then those of its control planes, each once.
    pub fn endpoints(&self) -> Vec<&Endpoint> {
        let own = self.nodes_of(Role::ControlPlane).filter_map(|node| node.endpoint.as_ref());
        let mut endpoints = Vec::new();
        for endpoint in [&self.endpoint].into_iter().chain(own) {
            if !endpoints.contains(&endpoint) {
                endpoints.push(endpoint);
            }
        }
        endpoints
    }

    /// The nodes of a role, in file order.
    pub fn nodes_of(&self, role: Role) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(move |node| node.role == role)
    }

    /// The node called `name`.
    pub fn node(&self, name: &str) -> Result<&Node, UnknownNode> {
        self.nodes.iter().find(|node| node.name.as_str() == name).ok_or_else(|| {
            let names = || self.nodes.iter().map(|node| node.name.as_str());
            UnknownNode {
                cluster: self.name.to_string(),
                name: name.to_owned(),
                near: did_you_mean(name, names()).map(ToOwned::to_owned),
                known: names().map(ToOwned::to_owned).collect(),
            }
        })
    }
}
