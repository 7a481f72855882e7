//! Laying a bundle where k3s looks for it.

use thiserror::Error;

use super::bundle::Bundle;
use super::order::{Action, OrderError};
use crate::converge::{ConvergeError, Outcome, System};
use crate::k3s::KEPT_PASSWORD;
use crate::plan::{self, K3S_TOKEN};
use crate::wireguard::private_key;

/// The bundle as it was pushed, on the state partition; a secret.
pub const KEPT: &str = "/var/lib/imgbuild/bundle";
/// k3s' certificates.
const TLS: &str = "/var/lib/rancher/k3s/server/tls";

/// Why a bundle could not be laid.
#[derive(Debug, Error)]
pub enum InstallError {
    /// A file refused.
    #[error(transparent)]
    Converge(#[from] ConvergeError),
    /// The order is not to be followed.
    #[error(transparent)]
    Order(#[from] OrderError),
}

/// Keeps the bundle; what was kept is there after a power cut.
pub fn keep(text: &[u8], system: &System) -> Result<Outcome, ConvergeError> {
    system.ensure_file(KEPT, text, 0o600)
}

/// To be called before every start of k3s.
pub fn install(bundle: &Bundle, system: &System) -> Result<Outcome, InstallError> {
    let follows_order = bundle.order.begin(system)?;
    let mut outcome = Outcome::Unchanged;
    // Before the first start only: k3s compares what lies there with its datastore, and other bytes are fatal.
    if follows_order {
        for (name, content) in &bundle.k3s_files {
            // As k3s itself has them: certificates are for everybody.
            let mode = if name.strip_suffix("crt").is_some() { 0o644 } else { 0o600 };
            outcome = outcome.or(system.ensure_file(&format!("{TLS}/{name}"), content.as_bytes(), mode)?);
        }
    }
    let password = bundle.password_key().password(&bundle.cluster.id, &bundle.node, generation(bundle));
    for (path, content) in [
        (K3S_TOKEN, bundle.server_token.as_bytes()),
        (private_key::PATH, &bundle.wireguard_key.bytes()[..]),
        (KEPT_PASSWORD, password.as_bytes()),
    ] {
        outcome = outcome.or(system.ensure_file(path, content, 0o600)?);
    }
    let order = match bundle.order.action {
        Action::Init => plan::order(plan::Order::Init),
    };
    let changed = if follows_order {
        system.ensure_file(&order.path, order.content.for_file(), order.mode)?
    } else {
        system.ensure_absent(&order.path)?
    };
    Ok(outcome.or(changed))
}

/// Control-plane nodes have no tickets: the epoch alone counts their generations.
fn generation(bundle: &Bundle) -> u64 {
    u64::from(bundle.cluster.epoch) * 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control_plane::bundle::tests::example;
    use crate::control_plane::order::DATASTORE;
    use crate::converge::Mode;
    use crate::plan::K3S_ORDER;

    #[test]
    fn certificates_are_laid_before_the_first_start_and_left_alone_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let system = System::new(folder.path(), Mode::Apply);
        assert_eq!(install(&example(), &system).unwrap(), Outcome::Changed);
        assert_eq!(system.read(K3S_ORDER).unwrap().unwrap(), b"cluster-init: true\n");
        let certificate = format!("{TLS}/etcd/server-ca.crt");
        assert_eq!(system.read(&certificate).unwrap().unwrap(), b"-----BEGIN etcd/server-ca.crt-----\n");
        assert_eq!(install(&example(), &system).unwrap(), Outcome::Unchanged, "an interrupted start goes on");
        system.ensure_file(&format!("{DATASTORE}/member"), b"", 0o600).unwrap();
        example().order.finish(&system).unwrap();
        // k3s rotates them by itself.
        system.ensure_file(&certificate, b"rotated", 0o644).unwrap();
        assert_eq!(install(&example(), &system).unwrap(), Outcome::Changed);
        assert_eq!(system.read(K3S_ORDER).unwrap(), None);
        assert_eq!(system.read(&certificate).unwrap().unwrap(), b"rotated");
    }

    #[test]
    fn secrets_are_readable_by_root_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let system = System::new(folder.path(), Mode::Apply);
        keep(b"bundle", &system).unwrap();
        install(&example(), &system).unwrap();
        let keys = [KEPT, K3S_TOKEN, private_key::PATH, KEPT_PASSWORD].map(str::to_owned);
        for path in keys.into_iter().chain([format!("{TLS}/server-ca.key"), format!("{TLS}/service.key")]) {
            let mode = std::fs::metadata(system.path(&path)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{path}");
        }
    }
}
