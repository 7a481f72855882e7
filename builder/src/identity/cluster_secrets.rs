//! What makes a cluster one and no other: the part of the identity that its nodes are told of.

use std::collections::BTreeMap;
use std::fmt;

use ed25519_dalek::SigningKey;
use firstboot::cluster::ClusterId;
use firstboot::random::random;
use firstboot::secret_key::SecretKey;
use thiserror::Error;
use zeroize::Zeroizing;

use super::authorities::Authorities;
use super::authority::AuthorityError;
use super::rsa_key::{RsaKey, RsaKeyError};
use super::sealing::{SealingKey, SealingKeyError};
use super::search::hexadecimal;
use super::{push_key, wireguard};
use crate::secret::Secret;
use crate::units::{Sha256, Timestamp};

/// Bits of the key that signs tokens of service accounts: as many as k3s makes.
const SERVICE_BITS: usize = 2048;
/// Bits of the sealing key: as many as sealed-secrets makes. Takes 2.6 seconds on average, and 4 at times, on two busy
/// cores; what is sealed lies in Git for ever, and is worth them.
const SEALING_BITS: usize = 4096;

/// 32 secret bytes, overwritten when they are dropped.
pub(super) type Key = Zeroizing<[u8; 32]>;

/// The secrets of a cluster.
#[derive(Clone)]
pub struct ClusterSecrets {
    /// What tells this cluster from every other.
    pub id: ClusterId,
    /// Counts re-creations and restores of the control plane; tickets of an older one are refused.
    pub epoch: u32,
    /// Of k3s' certificates.
    pub authorities: Authorities,
    /// Signs tokens of service accounts. RSA, as k3s makes it: RS256 is what all who check such tokens know.
    pub service_key: RsaKey,
    /// Of sealed-secrets.
    pub sealing: SealingKey,
    /// Signs tickets. Never on a node.
    pub ticket_key: SigningKey,
    /// Signs memberships. On control planes.
    pub membership_key: SigningKey,
    /// Signs node records and bundles. Never on a node.
    pub operator_key: SigningKey,
    /// Signs updates of running nodes. Never on a node.
    pub update_key: SigningKey,
    /// k3s' server password.
    pub(super) server_password: Secret,
    /// WireGuard keys of control planes are derived from it. Never on a node.
    pub(super) wireguard_key: Key,
    /// Node passwords are derived from it. On control planes.
    pub(super) password_key: Key,
}

/// Why a cluster's secrets cannot be made, read or written.
#[derive(Debug, Error)]
pub enum ClusterSecretsError {
    /// An authority.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// An RSA key.
    #[error(transparent)]
    Rsa(#[from] RsaKeyError),
    /// The sealing key.
    #[error(transparent)]
    Sealing(#[from] SealingKeyError),
    /// A key cannot be written as text.
    #[error("writing a key as PEM")]
    Pem(#[from] der::pem::Error),
    /// The kernel gave no random bytes.
    #[error("asking for random bytes")]
    Random(#[from] std::io::Error),
    /// A key of 32 bytes is none. Its text is not shown.
    #[error("this is no key of 32 bytes in base64")]
    Key,
    /// k3s would not take the server password, or take it for another kind of token. It is not shown.
    #[error("a server password has at least 32 letters and digits")]
    Password,
    /// There were no tickets of epoch 0, and no epoch follows the last.
    #[error("there is no epoch {0}")]
    Epoch(u64),
}

impl ClusterSecrets {
    /// New ones for the cluster of this name.
    pub fn generate(cluster: &str, now: Timestamp) -> Result<Self, ClusterSecretsError> {
        // Nearly all of the time goes into these two.
        let (service, sealing) =
            rayon::join(|| RsaKey::generate(SERVICE_BITS), || RsaKey::generate(SEALING_BITS));
        Self::with_rsa_keys(cluster, now, service?, sealing?)
    }

    /// New ones but for these two, which take long to make.
    pub(super) fn with_rsa_keys(
        cluster: &str,
        now: Timestamp,
        service_key: RsaKey,
        sealing: RsaKey,
    ) -> Result<Self, ClusterSecretsError> {
        Ok(Self {
            id: ClusterId(random()?),
            epoch: 1,
            authorities: Authorities::generate(cluster, now)?,
            service_key,
            sealing: SealingKey::new(sealing, cluster, now)?,
            ticket_key: signing_key()?,
            membership_key: signing_key()?,
            operator_key: signing_key()?,
            update_key: signing_key()?,
            server_password: new_password()?,
            wireguard_key: Zeroizing::new(random()?),
            password_key: Zeroizing::new(random()?),
        })
    }

    /// The keys that sign documents, by what they sign.
    pub fn signing_keys(&self) -> [(&'static str, &SigningKey); 4] {
        [
            ("ticket", &self.ticket_key),
            ("membership", &self.membership_key),
            ("operator", &self.operator_key),
            ("update", &self.update_key),
        ]
    }

    /// The hash in k3s' tokens: of the root's certificate.
    pub fn hash(&self) -> Result<Sha256, ClusterSecretsError> {
        Ok(self.authorities.hash()?)
    }

    /// k3s' server token in the full form, by which a node knows the cluster before it has seen it. It gives all power
    /// over the cluster.
    pub fn server_token(&self) -> Result<Zeroizing<String>, ClusterSecretsError> {
        let hash = self.hash()?;
        Ok(Zeroizing::new(format!("K10{hash}::server:{}", self.server_password.expose())))
    }

    /// k3s' files below `server/tls`, as control planes are given them: authorities and the key of service accounts.
    pub fn k3s_files(&self) -> Result<BTreeMap<String, Zeroizing<String>>, ClusterSecretsError> {
        let mut files = self.authorities.k3s_files()?;
        files.insert("service.key".to_owned(), self.service_key.to_pem()?);
        Ok(files)
    }

    /// Private WireGuard key of the control plane `node`.
    pub fn wireguard_key(&self, node: &str) -> SecretKey {
        wireguard::derive(&self.wireguard_key, &self.id, node)
    }

    /// One-time key of the machine that the run `run` has made of the control-plane node `node`.
    pub fn push_key(&self, node: &str, run: &str) -> SecretKey {
        push_key::derive(self.operator_key.as_bytes(), &self.id, node, run)
    }

    /// Another server password. k3s encrypts what it keeps in its datastore by it, so that a running cluster has to be
    /// told (`k3s token rotate`).
    pub fn rotate_server_token(&mut self) -> Result<(), ClusterSecretsError> {
        self.server_password = new_password()?;
        Ok(())
    }

    /// The next epoch: tickets of the present one are refused from then on.
    pub fn raise_epoch(&mut self) -> Result<(), ClusterSecretsError> {
        let next = self.epoch.checked_add(1);
        self.epoch =
            next.ok_or_else(|| ClusterSecretsError::Epoch(u64::from(self.epoch).saturating_add(1)))?;
        Ok(())
    }
}

/// Names the cluster, and no key.
impl fmt::Debug for ClusterSecrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ClusterSecrets")
            .field("id", &self.id)
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

fn signing_key() -> std::io::Result<SigningKey> {
    Ok(SigningKey::from_bytes(&Zeroizing::new(random()?)))
}

/// Hexadecimal digits: with a dot, k3s would take it for a bootstrap token and stop.
fn new_password() -> std::io::Result<Secret> {
    let bytes = Zeroizing::new(random::<32>()?);
    Ok(hexadecimal(&bytes[..]).into())
}
