//! The key by which ArgoCD reads the repository: derived, so that a control plane that is made anew reads on without
//! anybody changing anything at the repository's host.

use firstboot::cluster::ClusterId;
use firstboot::keyed_hash::keyed_hash;
use hmac::Mac as _;
use ssh_key::PrivateKey;
use ssh_key::private::Ed25519Keypair;

use super::cluster_secrets::{ClusterSecrets, Key};

/// The seed of the key in the Secret of this name: under another name there is another key.
pub(super) fn derive(key: &[u8; 32], cluster: &ClusterId, secret: &str) -> Key {
    let hash = keyed_hash(key, "imgbuild deploy key").chain_update(cluster.0).chain_update(secret);
    Key::new(hash.finalize().into_bytes().into())
}

impl ClusterSecrets {
    /// The repository's deploy key; its public half goes to the repository's host, for reading.
    pub fn deploy_key(&self, cluster: &str, secret: &str) -> PrivateKey {
        let seed = derive(self.operator_key.as_bytes(), &self.id, secret);
        let mut key = PrivateKey::from(Ed25519Keypair::from_seed(&seed));
        key.set_comment(format!("ArgoCD of {cluster}"));
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::oracle;
    use crate::identity::tests::cluster_secrets;

    #[test]
    fn it_is_of_one_cluster_and_openssh_knows_its_public_half() {
        let seed = |key: u8, cluster: u8, name: &str| derive(&[key; 32], &ClusterId([cluster; 16]), name);
        assert_eq!(seed(1, 1, "a"), seed(1, 1, "a"));
        for other in [seed(1, 2, "a"), seed(2, 1, "a"), seed(1, 1, "b")] {
            assert_ne!(seed(1, 1, "a"), other);
        }
        let key = cluster_secrets().deploy_key("lab", "deploy-key");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, key.to_openssh(ssh_key::LineEnding::LF).unwrap().as_bytes()).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let shown = oracle::must_accept("ssh-keygen", &["-y".as_ref(), "-f".as_ref(), path.as_os_str()]);
        assert_eq!(shown.trim(), key.public_key().to_openssh().unwrap());
    }
}
