//! The plan: every step from record to report, in the order they are carried out.
//!
//! Making a plan is pure; [`crate::apply`] carries out what needs no network.

mod firewall;
mod gitops;
mod k3s;
mod longhorn;
mod network;
mod swap;

use std::fmt;

use crate::firewall::Table;
use crate::hetzner::Network;
use crate::record::{NodeRecord, Role};

pub use k3s::{K3S_CONFIG, K3S_ORDER, K3S_TOKEN, NODE_RANGE, Order, VPN_INTERFACE, order};
pub use longhorn::annotations as node_annotations;
pub use network::ADMIN_INTERFACE;

/// One step.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Step {
    /// Stable name for programs: `host-name`.
    pub name: &'static str,
    /// What it does, for people.
    pub summary: String,
    /// What carrying it out means.
    pub effect: Effect,
}

/// What carrying out a step means.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Effect {
    /// Differences that firstboot removes itself.
    Converge(Vec<Change>),
    /// Carried out by `firstboot serve` on a node that joins a cluster, in the order of the steps; the files are what it
    /// writes.
    Joining(Vec<PlannedFile>),
}

/// A wanted fact about the node.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Change {
    /// A regular file with this content.
    File(PlannedFile),
    /// A symbolic link.
    Symlink {
        /// Absolute path.
        path: String,
        /// Its target.
        target: String,
    },
    /// No such file.
    Absent {
        /// Absolute path.
        path: String,
    },
    /// No other file whose name begins and ends so.
    NoOthers {
        /// Absolute path of the folder.
        folder: String,
        /// Beginning of the names.
        prefix: String,
        /// End of the names.
        suffix: String,
        /// The names that stay.
        names: Vec<String>,
    },
    /// The kernel's host name.
    HostName(String),
    /// The kernel's table of the host firewall.
    Firewall(Table),
}

/// What a file holds, and whether anyone but the file may be told.
///
/// `Display` and `Debug` never show a secret, so no report, journal or console can.
#[derive(Clone, Eq, PartialEq)]
pub enum Content {
    /// May be shown.
    Public(String),
    /// For the file alone.
    Secret(String),
}

impl Content {
    /// The bytes for the file.
    pub fn for_file(&self) -> &[u8] {
        match self {
            Self::Public(text) | Self::Secret(text) => text.as_bytes(),
        }
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public(text) => text,
            Self::Secret(_) => "(secret)",
        })
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Public(text) => f.debug_tuple("Public").field(text).finish(),
            Self::Secret(_) => f.write_str("Secret(..)"),
        }
    }
}

/// A file with its content.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PlannedFile {
    /// Absolute path.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// Content.
    pub content: Content,
}

impl PlannedFile {
    /// A file that holds no secret.
    fn new(path: &str, mode: u32, text: impl Into<String>) -> Self {
        Self { path: path.to_owned(), mode, content: Content::Public(text.into()) }
    }
}

/// Makes the plan for a record, wherever the node is.
pub fn plan(record: &NodeRecord) -> Vec<Step> {
    plan_on(record, &Network::default())
}

/// Makes the plan for a record on a server whose provider describes its network.
pub fn plan_on(record: &NodeRecord, provided: &Network) -> Vec<Step> {
    let mut steps = vec![
        converge("firewall", firewall::summary(record), firewall::changes(record)),
        converge("host-name", format!("is called `{}`", record.node.name), host_name(record)),
        converge("time-zone", format!("shows time of {}", record.time_zone), time_zone(record)),
        converge("ssh-keys", ssh_summary(record), vec![ssh_keys(record)]),
        converge(
            "network",
            network::summary(&record.interfaces, provided),
            network::changes(&record.interfaces, provided),
        ),
        joining("claim", claim_summary(record), Vec::new()),
        joining("vpn", format!("brings up WireGuard at {}", record.vpn.address), network::wireguard(record)),
        joining("k3s", k3s::summary(record), k3s_files(record)),
    ];
    if record.node.role == Role::ControlPlane {
        let files = record.gitops.iter().flat_map(gitops::files).collect();
        steps.push(joining("argocd", gitops::summary(record), files));
    }
    steps
}

/// The plan of a box that has no record yet, and asks its cluster for one.
pub fn newcomer(provided: &Network) -> Vec<Step> {
    let mut steps = unknown(provided);
    steps.push(joining(
        "claim",
        "asks for a place in the cluster, which a person gives".to_owned(),
        Vec::new(),
    ));
    steps
}

/// The plan of a server that nobody has given anything to, or that does not know it yet.
pub fn unknown(provided: &Network) -> Vec<Step> {
    let mut steps = vec![converge("firewall", "opens nothing".to_owned(), firewall::closed())];
    if *provided != Network::default() {
        steps.push(converge("network", network::summary(&[], provided), network::changes(&[], provided)));
    }
    steps
}

fn k3s_files(record: &NodeRecord) -> Vec<PlannedFile> {
    let swap = record.node.swap.map(swap::unit);
    swap.into_iter().chain(k3s::files(record)).chain(longhorn::file(record)).collect()
}

fn converge(name: &'static str, summary: String, changes: Vec<Change>) -> Step {
    Step { name, summary, effect: Effect::Converge(changes) }
}

fn joining(name: &'static str, summary: String, files: Vec<PlannedFile>) -> Step {
    Step { name, summary, effect: Effect::Joining(files) }
}

fn host_name(record: &NodeRecord) -> Vec<Change> {
    let name = &record.node.name;
    let mut hosts = format!(
        "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n127.0.1.1 {name}.{cluster} {name}\n",
        cluster = record.cluster.name
    );
    let api = record.api_name();
    hosts.extend(record.k3s.servers.iter().map(|server| format!("{server} {api}\n")));
    vec![
        Change::File(PlannedFile::new("/etc/hostname", 0o644, format!("{name}\n"))),
        Change::File(PlannedFile::new("/etc/hosts", 0o644, hosts)),
        Change::HostName(name.clone()),
    ]
}

fn time_zone(record: &NodeRecord) -> Vec<Change> {
    let target = format!("../usr/share/zoneinfo/{}", record.time_zone);
    vec![Change::Symlink { path: "/etc/localtime".to_owned(), target }]
}

/// Below /etc and not in root's home: keys that left the record must not outlive the boot.
fn ssh_keys(record: &NodeRecord) -> Change {
    let path = "/etc/ssh/authorized_keys.d/root";
    if record.ssh_authorized_keys.is_empty() {
        return Change::Absent { path: path.to_owned() };
    }
    let mut text = record.ssh_authorized_keys.join("\n");
    text.push('\n');
    Change::File(PlannedFile::new(path, 0o644, text))
}

fn ssh_summary(record: &NodeRecord) -> String {
    match record.ssh_authorized_keys.len() {
        0 => "admits no SSH key".to_owned(),
        1 => "admits 1 SSH key, where the image runs sshd".to_owned(),
        count => format!("admits {count} SSH keys, where the image runs sshd"),
    }
}

fn claim_summary(record: &NodeRecord) -> String {
    let endpoint = &record.cluster.endpoint;
    let port = record.vpn.port;
    match record.node.role {
        Role::ControlPlane => format!("waits on TCP port {port} for its order from `imgbuild up` or `boot`"),
        Role::Worker | Role::Edge => format!("claims membership from {endpoint}:{port}"),
    }
}

#[cfg(test)]
mod tests;
