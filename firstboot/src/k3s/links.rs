//! Links from k3s' data directory to the release in the root, as its self-extracting release would leave them.
//!
//! The program itself needs none of them, for it is started with the right search path. Those to `data/<digest>` keep
//! a wrapper that somebody starts by hand from unpacking; those to CNI plug-ins are what charts of other networks and
//! containerd's own configuration look for.

use super::{DATA, K3sError, RELEASE, names, remove_stale, target};
use crate::converge::{Outcome, System};

/// The one program behind all plug-ins.
const CNI: &str = "cni";

pub(super) fn ensure(system: &System, digest: &str) -> Result<Outcome, K3sError> {
    let data = format!("{DATA}/data");
    let own = format!("{data}/{digest}");
    // A link that dangles is fatal for ever to the self-extracting release: it cannot put a folder in its place.
    let mut outcome = remove_stale(system, &data, RELEASE, &[digest.to_owned()])?;
    outcome = outcome.or(system.ensure_symlink(&own, &format!("{RELEASE}/data/{digest}"))?);
    outcome = outcome.or(system.ensure_symlink(&format!("{data}/current"), &own)?);
    outcome = outcome.or(ensure_plugins(system, &data, digest)?);
    Ok(outcome)
}

/// Plug-ins are links whose target is exactly `cni`. What is no link was put there by somebody else, and stays.
fn ensure_plugins(system: &System, data: &str, digest: &str) -> Result<Outcome, K3sError> {
    let release = format!("{RELEASE}/data/{digest}/bin");
    let is_plugin = |name: &String| {
        name == CNI || target(system, &format!("{release}/{name}")).is_some_and(|target| target == CNI)
    };
    let plugins: Vec<String> = names(system, &release)?.into_iter().filter(is_plugin).collect();
    let folder = format!("{data}/cni");
    let mut outcome = remove_stale(system, &folder, data, &plugins)?;
    for name in plugins {
        let path = format!("{folder}/{name}");
        let is_foreign = std::fs::symlink_metadata(system.path(&path)).is_ok_and(|found| !found.is_symlink());
        if !is_foreign || name == CNI {
            outcome = outcome.or(system.ensure_symlink(&path, &format!("{data}/{digest}/bin/{CNI}"))?);
        }
    }
    Ok(outcome)
}
