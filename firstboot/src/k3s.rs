//! k3s on a node: what lies in the read-only root is made visible where k3s looks for it, then k3s is started.
//!
//! The image holds k3s unpacked (`/usr/lib/k3s`), and the state partition holds everything that k3s writes
//! (`/var/lib/rancher/k3s`). Between the two stand symbolic links, made anew before each start: a root that changed
//! leaves none that dangles. What k3s makes of them was read in its source: `cmd/k3s/main.go` (`extract`),
//! `pkg/agent/containerd/watcher.go`, `pkg/agent/config/config.go`.

mod images;
mod links;
mod name;
mod password;

use std::convert::Infallible;
use std::io;

use thiserror::Error;

use crate::converge::{ConvergeError, Outcome, System};
use crate::process;

pub(crate) use name::forget as forget_name;
pub use password::KEPT as KEPT_PASSWORD;

/// The unit of servers.
pub const SERVER_UNIT: &str = "k3s.service";
/// The unit of agents.
pub const AGENT_UNIT: &str = "k3s-agent.service";
/// Both; a node has one of them.
pub const UNITS: [&str; 2] = [SERVER_UNIT, AGENT_UNIT];
const TEMPLATE: &str = include_str!("../systemd/k3s.service");

/// k3s in the root: `data/<digest>/{bin,etc}`, `images/`, `environment`.
const RELEASE: &str = "/usr/lib/k3s";
/// k3s' data directory.
const DATA: &str = "/var/lib/rancher/k3s";

/// What a node runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub enum RunMode {
    /// The control plane, and pods.
    Server,
    /// Pods.
    Agent,
}

impl RunMode {
    /// The subcommand of k3s.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Agent => "agent",
        }
    }

    /// The unit that starts it.
    pub const fn unit_name(self) -> &'static str {
        match self {
            Self::Server => SERVER_UNIT,
            Self::Agent => AGENT_UNIT,
        }
    }

    /// The text of that unit.
    pub fn unit(self) -> String {
        TEMPLATE.replace("@mode@", self.name())
    }
}

/// Why k3s cannot be started.
#[derive(Debug, Error)]
pub enum K3sError {
    /// The image was built without k3s.
    #[error("the image has no k3s in `{RELEASE}/data`")]
    Absent,
    /// Which one is k3s?
    #[error("the image has {count} releases of k3s in `{RELEASE}/data`, expected one")]
    Several {
        /// How many.
        count: usize,
    },
    /// Something refused to change.
    #[error(transparent)]
    Converge(#[from] ConvergeError),
    /// A folder could not be looked at.
    #[error("{action} `{path}`")]
    Folder {
        /// Gerund.
        action: &'static str,
        /// Path on the node.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Nothing was started.
    #[error("starting `k3s` from the search path of `{RELEASE}/environment`")]
    Exec(#[source] io::Error),
}

/// Makes k3s' places fit the root that runs. Idempotent, and whole after a power cut at any instant once it ran again.
pub fn prepare(system: &System) -> Result<Outcome, K3sError> {
    let digest = release(system)?;
    let linked = links::ensure(system, &digest)?;
    let imported = images::ensure(system)?;
    let known = password::ensure(system)?;
    Ok(linked.or(imported).or(known))
}

/// Prepares and becomes k3s, which says itself when it is ready.
pub fn start(system: &System, mode: RunMode) -> Result<Infallible, K3sError> {
    prepare(system)?;
    process::replace_with("k3s", [mode.name()]).map_err(K3sError::Exec)
}

/// The digest that names the release in the image.
fn release(system: &System) -> Result<String, K3sError> {
    let names = names(system, &format!("{RELEASE}/data"))?;
    match names.as_slice() {
        [digest] => Ok(digest.clone()),
        [] => Err(K3sError::Absent),
        names => Err(K3sError::Several { count: names.len() }),
    }
}

/// Names in a folder of the node, sorted; none where there is no folder. A name that is no text is none of k3s'.
fn names(system: &System, folder: &str) -> Result<Vec<String>, K3sError> {
    let failed = |source| K3sError::Folder { action: "looking into", path: folder.to_owned(), source };
    let entries = match std::fs::read_dir(system.path(folder)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.map_err(failed)?.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

/// Removes links in `folder` that lead below `from` and are none of `kept`: they are of a root that ran before.
fn remove_stale(system: &System, folder: &str, from: &str, kept: &[String]) -> Result<Outcome, K3sError> {
    let mut outcome = Outcome::Unchanged;
    for name in names(system, folder)?.into_iter().filter(|name| !kept.contains(name)) {
        let path = format!("{folder}/{name}");
        if target(system, &path).is_some_and(|target| target.starts_with(from)) {
            outcome = outcome.or(system.ensure_absent(&path)?);
        }
    }
    Ok(outcome)
}

/// Where a symbolic link of the node leads; `None` for everything else.
fn target(system: &System, path: &str) -> Option<String> {
    let target = std::fs::read_link(system.path(path)).ok()?;
    target.into_os_string().into_string().ok()
}

#[cfg(test)]
mod tests;
