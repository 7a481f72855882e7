//! What `firstboot status` shows: the phase, since when, why, and what to do.

mod phase;

use std::fs::File;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::apply::StepState;
use crate::claim::code::Code;
use crate::converge::System;
use crate::record::Role;
use crate::slot::Generation;
use crate::slot::node::Standing;

pub use phase::Phase;

/// Where the status lies; on a tmpfs, so it speaks of this boot only.
pub const PATH: &str = "/run/imgbuild/status.json";

/// Held while the status is changed: several programs do.
const LOCK: &str = "/run/imgbuild/status.lock";

/// The status, format 1.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Format; 1.
    pub version: u32,
    /// Where the node stands.
    pub phase: Phase,
    /// Since when, RFC 3339.
    pub since: String,
    /// Why it is in this phase, in words.
    pub reason: String,
    /// What a person can do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Whether it has been in this phase for longer than that should last.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub overdue: bool,
    /// What a person compares, while the node waits for their word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// Node key fingerprint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Root hash of the running image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_hash: Option<String>,
    /// Which slot runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<SlotStatus>,
    /// Artifacts of the image that are not the pinned files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unpinned: Vec<String>,
    /// Artifacts that were left out of the image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absent: Vec<String>,
    /// What stage0 found worth showing to a person, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The node that the record names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeStatus>,
    /// The plan with what became of each step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepStatus>,
}

/// The status of this boot; `None` where `firstboot` has not begun it.
pub fn read(system: &System) -> anyhow::Result<Option<Status>> {
    let Some(text) = system.read(PATH)? else { return Ok(None) };
    serde_json::from_slice(&text).map(Some).context("reading the status of this boot")
}

/// Changes the status of this boot, which `firstboot` has begun; `None` where it has not.
pub fn update(system: &System, change: impl FnOnce(&mut Status)) -> anyhow::Result<Option<Status>> {
    if system.read(PATH)?.is_none() {
        return Ok(None);
    }
    let path = system.path(LOCK);
    let lock = File::create(&path).with_context(|| format!("opening `{}`", path.display()))?;
    lock.lock().context("waiting for who changes the status")?;
    let text = system.read(PATH)?.unwrap_or_default();
    let mut status: Status = serde_json::from_slice(&text).context("reading the status of this boot")?;
    change(&mut status);
    let text = serde_json::to_vec_pretty(&status).context("rendering status")?;
    system.ensure_file(PATH, &text, 0o644)?;
    Ok(Some(status))
}

/// The running slot.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SlotStatus {
    /// `a` or `b`.
    pub name: String,
    /// What lies in it, where a boot file says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<Generation>,
    /// How it stands.
    pub standing: Standing,
}

/// Who the node is.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeStatus {
    /// Node name.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// Cluster name.
    pub cluster: String,
    /// Which source the record came from.
    pub record: String,
}

/// One step of the plan.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepStatus {
    /// Stable name.
    pub name: String,
    /// What it does.
    pub summary: String,
    /// What became of it.
    pub state: StepState,
    /// Files with content that the step writes or will write.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileStatus>,
}

/// A file of a step.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileStatus {
    /// Absolute path.
    pub path: String,
    /// Permission bits, octal.
    pub mode: String,
    /// Content, or `(secret)`.
    pub text: String,
}
