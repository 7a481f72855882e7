//! Node passwords, by which k3s knows a node that comes again: made of the cluster's key, so that a node which is
//! imaged anew under its name is known too, and one of an older generation is not.

use std::fmt;

use hmac::Mac as _;

use crate::cluster::ClusterId;
use crate::keyed_hash::keyed_hash;

/// The cluster's key for node passwords; on control-plane nodes only.
#[derive(Clone)]
pub struct NodePasswordKey([u8; 32]);

impl NodePasswordKey {
    /// The key of these bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The password of a node, 64 hexadecimal digits; a secret.
    pub fn password(&self, cluster: &ClusterId, node: &str, generation: u64) -> String {
        let length = u64::try_from(node.len()).unwrap_or(u64::MAX);
        let mac = keyed_hash(&self.0, "imgbuild node password")
            .chain_update(cluster.0)
            .chain_update(length.to_be_bytes())
            .chain_update(node)
            .chain_update(generation.to_be_bytes());
        format!("{:x}", mac.finalize().into_bytes())
    }
}

impl fmt::Debug for NodePasswordKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("NodePasswordKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_of_one_cluster_node_and_generation() {
        let (key, other) = (NodePasswordKey::new([1; 32]), NodePasswordKey::new([2; 32]));
        let (cluster, foreign) = (ClusterId([1; 16]), ClusterId([2; 16]));
        let all = [
            key.password(&cluster, "edge1", 1),
            key.password(&cluster, "edge1", 2),
            key.password(&cluster, "edge2", 1),
            key.password(&foreign, "edge1", 1),
            other.password(&cluster, "edge1", 1),
        ];
        assert!(all.iter().all(|password| password.len() == 64), "{all:?}");
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), all.len());
        assert_eq!(key.password(&cluster, "edge1", 1), all[0]);
        assert_eq!(format!("{key:?}"), "NodePasswordKey(..)");
    }
}
