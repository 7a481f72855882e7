//! The bundle of a control-plane node: all that the identity gives to it.

use std::collections::BTreeMap;
use std::fmt;

use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use super::order::Order;
use crate::cluster::ClusterRecord;
use crate::document::{self, Document, DocumentError};
use crate::node_password::NodePasswordKey;
use crate::record::Revocation;
use crate::secret_key::SecretKey;

/// Files of k3s' certificates, relative to `server/tls` of its data directory, with the key and the certificate of
/// each authority (k3s, `pkg/daemons/control/deps/deps.go`).
pub const K3S_FILES: [&str; 11] = [
    "client-ca.crt",
    "client-ca.key",
    "etcd/peer-ca.crt",
    "etcd/peer-ca.key",
    "etcd/server-ca.crt",
    "etcd/server-ca.key",
    "request-header-ca.crt",
    "request-header-ca.key",
    "server-ca.crt",
    "server-ca.key",
    "service.key",
];

/// What a control-plane node is given. Holds secrets.
#[derive(Clone, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bundle {
    /// The cluster, with its present epoch.
    pub cluster: ClusterRecord,
    /// The node that it is for.
    pub node: String,
    /// What to do, once.
    pub order: Order,
    /// [`K3S_FILES`] with their contents, PEM.
    pub k3s_files: BTreeMap<String, String>,
    /// k3s' server token, `K10<hash>::server:<password>`.
    pub server_token: String,
    /// Private half of the membership key.
    pub membership_key: SecretKey,
    /// Key of node passwords.
    pub password_key: SecretKey,
    /// The node's private WireGuard key.
    pub wireguard_key: SecretKey,
    /// Tickets and memberships that are no longer good.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revocations: Vec<Revocation>,
    /// Objects of Kubernetes that the node which begins the cluster makes once, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<Value>,
}

impl Document for Bundle {
    const KIND: &'static str = "bundle";
    const VERSION: u32 = 1;
}

impl fmt::Debug for Bundle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Bundle")
            .field("node", &self.node)
            .field("order", &self.order)
            .finish_non_exhaustive()
    }
}

/// Why a bundle is not taken.
#[derive(Debug, Error)]
pub enum BundleError {
    /// Not signed by the cluster's operator.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// For another node.
    #[error("the bundle is for node `{found}`, this is `{own}`")]
    Node {
        /// The bundle's.
        found: String,
        /// Ours.
        own: String,
    },
    /// Of another cluster than the record on this medium, though the same operator has signed it.
    #[error("the bundle is of cluster {found}, this medium is of cluster {own}")]
    Cluster {
        /// The bundle's.
        found: String,
        /// Ours.
        own: String,
    },
    /// A file of k3s is missing, or one too many.
    #[error("the bundle {what} file `{name}` of k3s")]
    File {
        /// `lacks` or `has no business with`.
        what: &'static str,
        /// The file.
        name: String,
    },
    /// The keys do not go together.
    #[error("the bundle's membership key is not the one that the cluster record names")]
    MembershipKey,
}

/// Opens the bundle of `node`, which the operator of `cluster` must have signed.
pub fn open(text: &[u8], cluster: &ClusterRecord, node: &str) -> Result<Bundle, BundleError> {
    let bundle: Bundle = document::open(text, &cluster.operator_key)?;
    if bundle.node != node {
        return Err(BundleError::Node { found: bundle.node, own: node.to_owned() });
    }
    if bundle.cluster.id != cluster.id {
        let (found, own) = (bundle.cluster.id.to_string(), cluster.id.to_string());
        return Err(BundleError::Cluster { found, own });
    }
    // Both halves of each pair: k3s makes one of its own over half a pair.
    if let Some(name) = K3S_FILES.iter().find(|name| !bundle.k3s_files.contains_key(**name)) {
        return Err(BundleError::File { what: "lacks", name: (*name).to_owned() });
    }
    if let Some(name) = bundle.k3s_files.keys().find(|name| !K3S_FILES.contains(&name.as_str())) {
        return Err(BundleError::File {
            what: "has no business with",
            name: name.escape_debug().to_string(),
        });
    }
    let key = SigningKey::from_bytes(bundle.membership_key.bytes());
    if key.verifying_key() != bundle.cluster.membership_key.0 {
        return Err(BundleError::MembershipKey);
    }
    Ok(bundle)
}

impl Bundle {
    /// Signs memberships.
    pub fn membership_key(&self) -> SigningKey {
        SigningKey::from_bytes(self.membership_key.bytes())
    }

    /// Makes node passwords.
    pub fn password_key(&self) -> NodePasswordKey {
        NodePasswordKey::new(*self.password_key.bytes())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::cluster::ClusterId;
    use crate::cluster::tests::{example as cluster, membership_key, operator_key, ticket_key};

    pub(crate) fn example() -> Bundle {
        Bundle {
            cluster: cluster(),
            node: "cp1".to_owned(),
            order: Order::init(ClusterId([0xaa; 16])),
            k3s_files: K3S_FILES
                .iter()
                .map(|name| ((*name).to_owned(), format!("-----BEGIN {name}-----\n")))
                .collect(),
            server_token: format!("K10{}::server:s3cret", "ab".repeat(32)),
            membership_key: SecretKey::new(*membership_key().as_bytes()),
            password_key: SecretKey::new([5; 32]),
            wireguard_key: SecretKey::new([6; 32]),
            revocations: Vec::new(),
            objects: Vec::new(),
        }
    }

    fn refusal(bundle: &Bundle) -> String {
        let text = document::sign(bundle, &operator_key()).unwrap();
        open(text.as_bytes(), &cluster(), "cp1").unwrap_err().to_string()
    }

    #[test]
    fn a_bundle_is_for_one_node_of_one_cluster_and_whole() {
        let text = document::sign(&example(), &operator_key()).unwrap();
        assert_eq!(open(text.as_bytes(), &cluster(), "cp1").unwrap(), example());
        let forged = document::sign(&example(), &ticket_key()).unwrap();
        let fault = open(forged.as_bytes(), &cluster(), "cp1").unwrap_err().to_string();
        assert!(fault.starts_with("bundle is not signed by key "), "{fault}");
        let other = Bundle { node: "cp2".to_owned(), ..example() };
        assert_eq!(refusal(&other), "the bundle is for node `cp2`, this is `cp1`");
        let mut lacking = example();
        lacking.k3s_files.remove("etcd/peer-ca.key");
        assert_eq!(refusal(&lacking), "the bundle lacks file `etcd/peer-ca.key` of k3s");
        let mut more = example();
        more.k3s_files.insert("../../../../etc/passwd".to_owned(), String::new());
        let expected = "the bundle has no business with file `../../../../etc/passwd` of k3s";
        assert_eq!(refusal(&more), expected);
        let mut foreign = example();
        foreign.cluster.id = ClusterId([0; 16]);
        assert!(refusal(&foreign).starts_with("the bundle is of cluster 0000"));
        let unfit = Bundle { membership_key: SecretKey::new([1; 32]), ..example() };
        assert_eq!(
            refusal(&unfit),
            "the bundle's membership key is not the one that the cluster record names"
        );
    }

    #[test]
    fn a_bundle_shows_no_secret() {
        let shown = format!("{:?} {:?}", example(), example().wireguard_key);
        assert!(!shown.contains("s3cret") && !shown.contains("BEGIN") && !shown.contains("Bg"), "{shown}");
    }
}
