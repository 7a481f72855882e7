//! Container images of the root where k3s imports from, file by file, so that what a person puts beside them is
//! imported too.
//!
//! k3s remembers in `.cache.json` what it has imported, by path, size and time, but never makes that file: without it
//! every archive is imported at every start. The names of ours hold their digest, so that another content is another
//! path. What is remembered is true only as long as the store is there.

use super::{DATA, K3sError, RELEASE, names, remove_stale};
use crate::converge::{Outcome, System};

/// An empty memory, as k3s takes it.
const NOTHING_IMPORTED: &[u8] = b"{}";

pub(super) fn ensure(system: &System) -> Result<Outcome, K3sError> {
    let (from, folder) = (format!("{RELEASE}/images"), format!("{DATA}/agent/images"));
    let cache = format!("{folder}/.cache.json");
    let archives = names(system, &from)?;
    let mut outcome = remove_stale(system, &folder, &from, &archives)?;
    for name in &archives {
        outcome = outcome.or(system.ensure_symlink(&format!("{folder}/{name}"), &format!("{from}/{name}"))?);
    }
    let has_store = system.path(&format!("{DATA}/agent/containerd")).is_dir();
    if !has_store || system.read(&cache)?.is_none() {
        outcome = outcome.or(system.ensure_file(&cache, NOTHING_IMPORTED, 0o600)?);
    }
    Ok(outcome)
}
