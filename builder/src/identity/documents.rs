//! What nodes are told, signed where it must be: cluster record, bundles of control planes, tickets.

use std::time::{Duration, SystemTime};

use firstboot::cluster::{self, ClusterId, ClusterRecord};
use firstboot::control_plane::bundle::Bundle;
use firstboot::control_plane::order::Order;
use firstboot::document;
use firstboot::public_key::PublicKey;
use firstboot::random::random;
use firstboot::secret_key::SecretKey;
use firstboot::ticket::{self, MintError, Ticket};
use firstboot::wireguard;
use serde_json::Value;
use thiserror::Error;

use super::cluster_secrets::{ClusterSecrets, ClusterSecretsError};
use crate::cluster::{Cluster, Node, Role};

/// Why a document was not made.
#[derive(Debug, Error)]
pub enum DocumentError {
    /// Its parts cannot be written.
    #[error(transparent)]
    Secrets(#[from] ClusterSecretsError),
    /// Bundles are for control planes.
    #[error("node `{node}` is no control plane, and is given no secrets of the cluster")]
    NoControlPlane {
        /// The node.
        node: String,
    },
    /// Tickets are for all others.
    #[error("node `{node}` is a control plane, which joins by `imgbuild boot` and by no ticket")]
    ControlPlane {
        /// The node.
        node: String,
    },
    /// The ticket would be good for nobody.
    #[error(transparent)]
    Mint(#[from] MintError),
    /// It cannot be written.
    #[error("writing the document")]
    Render(#[from] serde_json::Error),
    /// The kernel gave no random bytes.
    #[error("asking for random bytes")]
    Random(#[from] std::io::Error),
}

impl ClusterSecrets {
    /// The cluster record, which every medium carries; nothing in it is secret.
    pub fn record(&self, cluster: &Cluster) -> ClusterRecord {
        ClusterRecord {
            version: cluster::VERSION,
            id: self.id,
            name: cluster.name.to_string(),
            created: self.authorities.created().0,
            epoch: self.epoch,
            ticket_key: PublicKey::of(&self.ticket_key),
            membership_key: PublicKey::of(&self.membership_key),
            operator_key: PublicKey::of(&self.operator_key),
            claim_addresses: claim_addresses(cluster),
            vpn: cluster.network.vpn,
        }
    }

    /// What the control plane `node` is given; the objects are made in Kubernetes once, by who begins the cluster.
    pub fn bundle(
        &self,
        cluster: &Cluster,
        node: &Node,
        order: Order,
        objects: Vec<Value>,
    ) -> Result<Bundle, DocumentError> {
        if node.role != Role::ControlPlane {
            return Err(DocumentError::NoControlPlane { node: node.name.to_string() });
        }
        let files = self.k3s_files()?.into_iter();
        Ok(Bundle {
            cluster: self.record(cluster),
            node: node.name.to_string(),
            order,
            k3s_files: files.map(|(name, content)| (name, content.to_string())).collect(),
            server_token: self.server_token()?.to_string(),
            membership_key: SecretKey::new(*self.membership_key.as_bytes()),
            password_key: SecretKey::new(*self.password_key),
            wireguard_key: self.wireguard_key(node.name.as_str()),
            revocations: cluster.record(node).revocations,
            objects,
        })
    }

    /// Signs a bundle as the cluster's operator: a document that is as secret as the bundle.
    pub fn sign_bundle(&self, bundle: &Bundle) -> Result<String, DocumentError> {
        Ok(document::sign(bundle, &self.operator_key)?)
    }

    /// Mints a ticket for `node`, good for so long and for the machine that the cluster file binds the node to. With
    /// `approve`, a person must agree to the claim as well.
    pub fn ticket(
        &self,
        node: &Node,
        valid: Duration,
        approve: bool,
        now: SystemTime,
    ) -> Result<String, DocumentError> {
        if node.role == Role::ControlPlane {
            return Err(DocumentError::ControlPlane { node: node.name.to_string() });
        }
        let seconds = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let hardware = node.hardware.as_ref();
        let ticket = Ticket {
            cluster: self.id,
            epoch: self.epoch,
            node: node.name.to_string(),
            role: node.role,
            address: node.vpn_address,
            labels: node.labels.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
            not_after: seconds.saturating_add(valid.as_secs()),
            nonce: ClusterId(random()?),
            // A later ticket replaces what came of an earlier one, and nobody keeps count: the clock does.
            generation: seconds,
            serial: hardware.and_then(|hardware| hardware.serial.as_ref()).map(ToString::to_string),
            mac: hardware.and_then(|hardware| hardware.mac.as_ref()).map(ToString::to_string),
            approve,
        };
        Ok(ticket::mint(&ticket, now, &self.ticket_key)?)
    }
}

fn claim_addresses(cluster: &Cluster) -> Vec<String> {
    let port = cluster.network.vpn_port;
    let at = |host: String| wireguard::Endpoint { host, port }.to_string();
    cluster.endpoints().into_iter().map(|endpoint| at(endpoint.to_string())).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::Path;

    use firstboot::control_plane::bundle::{self, K3S_FILES};
    use firstboot::node_password::NodePasswordKey;

    use super::*;
    use crate::cluster::Available;
    use crate::identity::tests::cluster_secrets;

    const FILE: &str = r#"version = 1
[cluster]
name = "lab"
endpoint = "lab.example.org"
[network]
vpn-port = 51830
[k3s]
version = "v1.36.4+k3s1"
[[node]]
name = "cp1"
role = "control-plane"
endpoint = "2001:db8::1"
[[node]]
name = "cp2"
role = "control-plane"
endpoint = "lab.example.org"
[[node]]
name = "cp3"
role = "control-plane"
endpoint = "203.0.113.3"
[[node]]
name = "edge1"
role = "edge"
labels = { site = "harbour" }
hardware = { serial = "SN1", mac = "52:54:00:AB:CD:EF" }
[[revocation]]
node = "edge1"
minimum-generation = 7
"#;

    pub(crate) fn cluster() -> Cluster {
        let available =
            Available { profiles: vec!["cloud".into(), "edge".into()], images: vec!["disk".into()] };
        Cluster::parse(FILE, Path::new("cluster.toml"), &available).unwrap()
    }

    /// Spring 2027.
    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_mins(30_100_000)
    }

    #[test]
    fn the_record_says_where_to_claim_and_no_secret() {
        let secrets = cluster_secrets();
        let record = secrets.record(&cluster());
        let addresses = ["lab.example.org:51830", "[2001:db8::1]:51830", "203.0.113.3:51830"];
        assert_eq!(record.claim_addresses, addresses);
        assert_eq!((record.name.as_str(), record.epoch, record.id), ("lab", 1, secrets.id));
        let text = serde_json::to_vec(&record).unwrap();
        assert_eq!(cluster::parse(&text).unwrap(), record);
    }

    #[test]
    fn a_control_plane_takes_its_bundle_and_nobody_else_gets_one() {
        let (secrets, cluster) = (cluster_secrets(), cluster());
        let order = Order::init(ClusterId([1; 16]));
        let of = |node: &str| {
            secrets.bundle(&cluster, cluster.node(node).unwrap(), order.clone(), vec![Value::Null])
        };
        let text = secrets.sign_bundle(&of("cp1").unwrap()).unwrap();
        let bundle = bundle::open(text.as_bytes(), &secrets.record(&cluster), "cp1").unwrap();
        assert_eq!(bundle.k3s_files.keys().map(String::as_str).collect::<Vec<_>>(), K3S_FILES);
        assert_eq!(bundle.server_token, *secrets.server_token().unwrap());
        assert!(bundle.server_token.starts_with(&format!("K10{}::server:", secrets.hash().unwrap())));
        assert_eq!(bundle.wireguard_key, secrets.wireguard_key("cp1"));
        let password = |key: NodePasswordKey| key.password(&secrets.id, "edge1", 1);
        assert_eq!(password(bundle.password_key()), password(NodePasswordKey::new(*secrets.password_key)));
        assert_eq!(bundle.revocations.len(), 1);
        // What stays with the operator is in no bundle.
        for authority in [&secrets.authorities.root, &secrets.authorities.etcd_root] {
            let key = authority.key_pem().unwrap();
            assert!(bundle.k3s_files.values().all(|file| !file.contains(key.lines().nth(1).unwrap())));
        }
        let fault = of("edge1").unwrap_err().to_string();
        assert_eq!(fault, "node `edge1` is no control plane, and is given no secrets of the cluster");
    }

    #[test]
    fn a_ticket_is_for_a_node_and_its_machine() {
        let (secrets, cluster) = (cluster_secrets(), cluster());
        let edge = cluster.node("edge1").unwrap();
        let text = secrets.ticket(edge, ticket::VALID, true, now()).unwrap();
        let ticket = ticket::open(text.as_bytes(), &secrets.record(&cluster), now()).unwrap();
        assert_eq!((ticket.node.as_str(), ticket.address, ticket.approve), ("edge1", edge.vpn_address, true));
        assert_eq!(ticket.labels["site"], "harbour");
        assert_eq!(
            (ticket.serial.as_deref(), ticket.mac.as_deref()),
            (Some("SN1"), Some("52:54:00:ab:cd:ef"))
        );
        assert_eq!(ticket.not_after, 1_806_000_000 + 7 * 24 * 60 * 60);
        // One that is minted later replaces it, and another has another nonce.
        let later = secrets.ticket(edge, ticket::VALID, false, now() + Duration::from_secs(1)).unwrap();
        let later = ticket::open(later.as_bytes(), &secrets.record(&cluster), now()).unwrap();
        assert!(later.generation > ticket.generation && later.nonce != ticket.nonce, "{later:?}");
        let mut raised = secrets.clone();
        raised.raise_epoch().unwrap();
        let fault = ticket::open(text.as_bytes(), &raised.record(&cluster), now()).unwrap_err().to_string();
        assert!(fault.starts_with("the ticket is of epoch 1, the cluster is in epoch 2"), "{fault}");
        let fault = |node: &str, valid| {
            secrets.ticket(cluster.node(node).unwrap(), valid, false, now()).unwrap_err().to_string()
        };
        assert_eq!(fault("edge1", Duration::ZERO), "the ticket would have expired at 2027-03-25T18:40:00Z");
        assert_eq!(
            fault("cp1", ticket::VALID),
            "node `cp1` is a control plane, which joins by `imgbuild boot` and by no ticket"
        );
    }
}
