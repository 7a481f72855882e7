//! One-time keys of control-plane nodes, which their bundles are pushed by: derived from a key of the identity, the node
//! and the number of who has made the machine, so that an operator who was interrupted goes on with it.

use firstboot::cluster::ClusterId;
use firstboot::keyed_hash::keyed_hash;
use firstboot::secret_key::SecretKey;
use hmac::Mac as _;

/// The private key of the machine that the run `run` has made of the node.
pub(super) fn derive(key: &[u8; 32], cluster: &ClusterId, node: &str, run: &str) -> SecretKey {
    // No name holds a NUL.
    let hash = keyed_hash(key, "imgbuild push key").chain_update(cluster.0);
    SecretKey::new(hash.chain_update(node).chain_update([0]).chain_update(run).finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_of_one_machine() {
        let key = |key: u8, cluster: u8, node: &str, run: &str| {
            derive(&[key; 32], &ClusterId([cluster; 16]), node, run)
        };
        let one = key(1, 1, "cp1", "2");
        assert_eq!(one, key(1, 1, "cp1", "2"));
        for other in
            [key(1, 1, "cp", "12"), key(1, 1, "cp1", "3"), key(1, 2, "cp1", "2"), key(2, 1, "cp1", "2")]
        {
            assert_ne!(one, other);
        }
    }
}
