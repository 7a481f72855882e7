//! Memberships: what a joined node holds from then on, on its state partition. It does not expire, is good for
//! re-attaching after everything else is lost, and can be revoked.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::cluster::{ClusterId, ClusterRecord};
use crate::document::{self, Document, DocumentError};
use crate::lifetime::AwayDays;
use crate::public_key::PublicKey;
use crate::record::{Revocation, Role};

/// A node of the cluster.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Membership {
    /// The cluster.
    pub cluster: ClusterId,
    /// Node name.
    pub node: String,
    /// Its role.
    pub role: Role,
    /// Its address inside the VPN.
    pub address: Ipv4Addr,
    /// The node key, by which it proves that the membership is its own.
    pub key: PublicKey,
    /// Its WireGuard key, 32 bytes in base64 as `wg` shows it.
    pub wireguard: String,
    /// Of two memberships of one name, the higher counts.
    pub generation: u64,
    /// Days that the node may be away; absent where it may be for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transient: Option<AwayDays>,
}

impl Document for Membership {
    const KIND: &'static str = "membership";
    const VERSION: u32 = 1;
}

/// Why a membership is not taken.
#[derive(Debug, Error)]
pub enum MembershipError {
    /// Not a membership of the cluster's membership key.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// Of another cluster.
    #[error("the membership is of cluster {found}, this is cluster {own}")]
    Foreign {
        /// The membership's.
        found: ClusterId,
        /// Ours.
        own: ClusterId,
    },
    /// Shown by somebody else.
    #[error("the membership of `{node}` belongs to key {owner}, it was shown by {presenter}")]
    Stolen {
        /// The node it names.
        node: String,
        /// Fingerprint of its key.
        owner: String,
        /// Fingerprint of who has shown it.
        presenter: String,
    },
    /// On the list of revocations.
    #[error(
        "the membership of `{node}`, generation {generation}, is revoked: generations from {minimum} on are good"
    )]
    Revoked {
        /// The node it names.
        node: String,
        /// Its generation.
        generation: u64,
        /// The lowest that is good.
        minimum: u64,
    },
}

/// Opens a membership that is shown by the holder of `presenter`. Whether a newer one replaced it is judged elsewhere.
pub fn open(
    text: &[u8],
    cluster: &ClusterRecord,
    presenter: &PublicKey,
    revocations: &[Revocation],
) -> Result<Membership, MembershipError> {
    let membership: Membership = document::open(text, &cluster.membership_key)?;
    if membership.cluster != cluster.id {
        return Err(MembershipError::Foreign { found: membership.cluster, own: cluster.id });
    }
    if membership.key != *presenter {
        let (owner, presenter) =
            (membership.key.fingerprint().to_string(), presenter.fingerprint().to_string());
        return Err(MembershipError::Stolen { node: membership.node, owner, presenter });
    }
    check_revocations(&membership.node, membership.generation, revocations)?;
    Ok(membership)
}

/// Fails for a generation of a node that is on the list.
pub fn check_revocations(
    node: &str,
    generation: u64,
    revocations: &[Revocation],
) -> Result<(), MembershipError> {
    let minimum = revocations
        .iter()
        .filter(|entry| entry.node == node)
        .map(|entry| u64::from(entry.minimum_generation));
    match minimum.max() {
        Some(minimum) if generation < minimum => {
            Err(MembershipError::Revoked { node: node.to_owned(), generation, minimum })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;
    use crate::cluster::tests::{example as cluster, membership_key, ticket_key};

    pub(crate) fn node_key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn example() -> Membership {
        Membership {
            cluster: cluster().id,
            node: "edge1".to_owned(),
            role: Role::Edge,
            address: Ipv4Addr::new(10, 44, 1, 1),
            key: PublicKey::of(&node_key(1)),
            wireguard: "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=".to_owned(),
            generation: 3_000_001,
            transient: None,
        }
    }

    fn opened(
        membership: &Membership,
        by: &SigningKey,
        presenter: u8,
        minimum: u32,
    ) -> Result<Membership, String> {
        let text = document::sign(membership, by).unwrap();
        let revocations = [("edge1", minimum), ("edge1", 1), ("edge2", u32::MAX)]
            .map(|(node, minimum_generation)| Revocation { node: node.to_owned(), minimum_generation });
        open(text.as_bytes(), &cluster(), &PublicKey::of(&node_key(presenter)), &revocations)
            .map_err(|fault| fault.to_string())
    }

    #[test]
    fn a_membership_is_good_for_its_own_key_until_it_is_revoked() {
        let good = example();
        assert_eq!(opened(&good, &membership_key(), 1, 3_000_001).as_ref(), Ok(&good));
        let revoked = opened(&good, &membership_key(), 1, 3_000_002).unwrap_err();
        assert_eq!(
            revoked,
            "the membership of `edge1`, generation 3000001, is revoked: generations from 3000002 on are good"
        );
        let stolen = opened(&good, &membership_key(), 2, 0).unwrap_err();
        assert!(stolen.starts_with("the membership of `edge1` belongs to key "), "{stolen}");
        let forged = opened(&good, &ticket_key(), 1, 0).unwrap_err();
        assert!(forged.starts_with("membership is not signed by key "), "{forged}");
        let foreign = Membership { cluster: ClusterId([0; 16]), ..good };
        let foreign = opened(&foreign, &membership_key(), 1, 0).unwrap_err();
        assert!(foreign.starts_with("the membership is of cluster 0000"), "{foreign}");
    }
}
