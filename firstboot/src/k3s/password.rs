//! The node password, by which k3s knows a node that comes again. `/etc` is new at each boot: without this file k3s
//! would make another password, and be refused as a second node of its name.

use super::K3sError;
use crate::converge::{Outcome, System};

/// Where the claim, or the control plane's order, left it on the state partition.
pub const KEPT: &str = "/var/lib/imgbuild/node-password";
/// Where k3s reads it (`pkg/agent/config/config.go`, `ensureNodePassword`).
const PATH: &str = "/etc/rancher/node/password";

/// A node that has none yet lets k3s make one, which is what the first start of a cluster without claims does.
pub(super) fn ensure(system: &System) -> Result<Outcome, K3sError> {
    match system.read(KEPT)? {
        Some(password) => Ok(system.ensure_file(PATH, &password, 0o600)?),
        None => Ok(Outcome::Unchanged),
    }
}
