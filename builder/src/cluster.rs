//! The cluster file: parse, check, resolve.
//!
//! `raw` reads `cluster.toml` as it stands, `check` looks at what spans several keys and gives the
//! checked [`Cluster`]; `find` looks for the file, `record` writes what a node is told, `schema` tells
//! editors what may stand in the file.

mod addresses;
mod check;
mod find;
mod key;
mod label;
mod location;
mod name;
mod network;
mod raw;
mod record;
mod schema;
mod text;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use serde::Serialize;
use thiserror::Error;

pub use firstboot::record::Role;

pub use find::{FILE_NAME, LoadError, directory_of};
pub use key::{SshKey, SshKeyError};
pub use label::{LabelError, LabelKey, LabelValue};
pub use location::{FolderPath, K3sVersion, LocationError, MirrorUrl, RepositoryUrl, Revision};
pub use name::{DnsLabel, Endpoint, NameError, TimeZone};
pub use network::{InterfaceAddress, Mac, NetworkError, Range};
pub use schema::schema;

use crate::diagnostic::{Faults, Report};
use crate::spelling::did_you_mean;
use crate::units::Arch;

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
    /// Nodes in file order; one, three or five are control planes.
    pub nodes: Vec<Node>,
}

/// Address ranges; none overlaps another.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Network {
    /// Node addresses inside the VPN.
    pub vpn_range: Range,
    /// UDP port of WireGuard and TCP port of the claim service.
    pub vpn_port: u16,
    /// Pod addresses; each node gets a /23 of it.
    pub pod_range: Range,
    /// Service addresses.
    pub service_range: Range,
}

/// Kubernetes.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct K3s {
    /// Pinned release.
    pub version: K3sVersion,
}

/// The repository that ArgoCD syncs.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Gitops {
    /// Its URL.
    pub repository: RepositoryUrl,
    /// Branch, tag or commit.
    pub revision: Revision,
    /// Folder inside it.
    pub path: FolderPath,
}

/// A node.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Node {
    /// Node and host name, unique.
    pub name: DnsLabel,
    /// What it does.
    pub role: Role,
    /// Profile its bundle is built from.
    pub profile: DnsLabel,
    /// Image the bundle is laid on.
    pub image: DnsLabel,
    /// Architecture.
    pub arch: Arch,
    /// Address inside the VPN, unique.
    pub vpn_address: Ipv4Addr,
    /// Kubernetes labels.
    pub labels: BTreeMap<LabelKey, LabelValue>,
    /// Interfaces with settings of their own; empty means DHCP on every Ethernet interface.
    pub interfaces: Vec<Interface>,
}

/// A network interface with settings of its own.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Interface {
    /// Ethernet address it is found by, unique.
    pub mac: Mac,
    /// Its addresses; empty means DHCP.
    pub addresses: Vec<InterfaceAddress>,
    /// Default gateway, a neighbour of one of the addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// Name servers.
    pub dns: Vec<IpAddr>,
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
