//! Whether a build folder already holds what would be built.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::plan::Plan;
use super::timings::{Stage, Timings};
use crate::archive::lock::{Lock, Selection};
use crate::bundle::manifest::{self, DISK, Manifest};
use crate::bundle::programs::ProgramFacts;
use crate::secure_boot::Keys;
use crate::units::{Bytes, Sha256};

/// Its file name; outside any digest.
pub(super) const FILE: &str = "build.json";

/// How a folder was built.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct BuildFacts {
    /// Digest of everything that went in, imgbuild itself included.
    inputs: Sha256,
    /// Seconds of the whole build.
    seconds: f64,
    /// Seconds of each stage, in order.
    stages: Vec<Stage>,
    /// Most memory in use at once.
    peak_memory: Bytes,
    /// Size and modification time of each file, by which a later change is seen without reading it.
    files: BTreeMap<String, Stamp>,
}

/// A file's size and modification time in nanoseconds.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
struct Stamp {
    /// Size in bytes.
    size: u64,
    /// Seconds since 1970, a dot, nanoseconds.
    modified: String,
}

/// A folder that is as it would be built.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) manifest: Manifest,
    pub(super) facts: BuildFacts,
}

/// Looks whether the plan's folder is up to date.
pub(super) fn find(plan: &Plan, lock: &Lock, selection: &Selection) -> Option<Built> {
    let facts: BuildFacts = read(&plan.output.join(FILE))?;
    if facts.inputs != inputs(plan, lock, selection) {
        return None;
    }
    let manifest: Manifest = read(&plan.output.join(manifest::FILE))?;
    let is_same = |(name, expected): (&String, &Stamp)| {
        stamp(&plan.output.join(name)).is_ok_and(|found| found == *expected)
    };
    let is_whole = !facts.files.is_empty() && facts.files.iter().all(is_same);
    is_whole.then_some(Built { manifest, facts })
}

/// `None` for anything that is not what this version writes: then the folder is built anew.
fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

fn stamp(path: &Path) -> io::Result<Stamp> {
    let metadata = fs::symlink_metadata(path)?;
    let modified = format!("{}.{:09}", metadata.mtime(), metadata.mtime_nsec());
    Ok(Stamp { size: metadata.len(), modified })
}

fn inputs(plan: &Plan, lock: &Lock, selection: &Selection) -> Sha256 {
    let inputs = json!({
        "imgbuild": plan.imgbuild,
        "profile": plan.profile,
        "image": plan.image,
        "secure_boot": plan.secure_boot.as_ref().map(Keys::digest),
        "date": selection.date,
        "users": lock.users,
        "groups": lock.groups,
        "selection": selection,
        "artifacts": plan.given,
        "reviews": format!("{:?}", plan.reviews),
        "programs": [ProgramFacts::of(&plan.programs.firstboot), ProgramFacts::of(&plan.programs.stage0)],
    });
    Sha256::of(inputs.to_string().as_bytes())
}

impl BuildFacts {
    pub(super) fn new(plan: &Plan, lock: &Lock, selection: &Selection, timings: Timings) -> Self {
        let (stages, seconds) = timings.finish();
        let inputs = inputs(plan, lock, selection);
        Self { inputs, seconds, stages, peak_memory: peak_memory(), files: BTreeMap::new() }
    }

    /// Adds the stamps of the manifest and the files it names.
    pub(super) fn with_files(mut self, folder: &Path, manifest: &Manifest) -> anyhow::Result<Self> {
        for name in manifest.files.keys().map(String::as_str).chain([DISK, manifest::FILE]) {
            let stamp = stamp(&folder.join(name)).with_context(|| format!("looking at `{name}`"))?;
            self.files.insert(name.to_owned(), stamp);
        }
        Ok(self)
    }
}

/// `VmHWM` of this process (proc(5)); 0 where the kernel does not say.
fn peak_memory() -> Bytes {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    let kibibytes: u64 = kibibytes.and_then(|number| number.trim().parse().ok()).unwrap_or_default();
    Bytes(kibibytes.saturating_mul(1024))
}
