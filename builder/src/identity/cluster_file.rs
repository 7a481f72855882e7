//! The cluster's secrets as the identity's JSON has them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;
use firstboot::cluster::ClusterId;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::authorities::Authorities;
use super::authority::{Authority, AuthorityError};
use super::cluster_secrets::{ClusterSecrets, ClusterSecretsError, Key};
use super::rsa_key::RsaKey;
use super::sealing::SealingKey;
use crate::secret::Secret;

/// Shortest server password that is taken.
const SHORTEST_PASSWORD: usize = 32;

/// PEM in texts, keys of 32 bytes in base64.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ClusterFile {
    id: ClusterId,
    epoch: u32,
    root: Pair,
    server_ca: Pair,
    client_ca: Pair,
    request_header_ca: Pair,
    etcd_root: Pair,
    etcd_peer_ca: Pair,
    etcd_server_ca: Pair,
    service_key: Secret,
    sealing: Pair,
    server_password: Secret,
    ticket_key: Secret,
    membership_key: Secret,
    operator_key: Secret,
    update_key: Secret,
    wireguard_key: Secret,
    password_key: Secret,
}

/// A private key and its certificate, both PEM.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Pair {
    pub(super) key: Secret,
    pub(super) certificate: String,
}

/// What is wrong, and with which part.
pub(super) type Fault = (&'static str, ClusterSecretsError);

impl ClusterFile {
    /// The secrets, checked: each key belongs to its certificate, and each certificate to its issuer.
    pub(super) fn parse(self) -> Result<ClusterSecrets, Fault> {
        let authorities = Authorities {
            root: authority(&self.root, "k3s root CA")?,
            server: authority(&self.server_ca, "k3s server CA")?,
            client: authority(&self.client_ca, "k3s client CA")?,
            request_header: authority(&self.request_header_ca, "k3s request header CA")?,
            etcd_root: authority(&self.etcd_root, "etcd root CA")?,
            etcd_peer: authority(&self.etcd_peer_ca, "etcd peer CA")?,
            etcd_server: authority(&self.etcd_server_ca, "etcd server CA")?,
        };
        authorities.check().map_err(|fault| ("authorities", fault.into()))?;
        let service_key = RsaKey::from_pem(self.service_key.expose());
        let sealing = SealingKey::from_pem(self.sealing.key.expose(), &self.sealing.certificate);
        let password = self.server_password.expose();
        if password.len() < SHORTEST_PASSWORD || !password.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(("server password", ClusterSecretsError::Password));
        }
        if self.epoch == 0 {
            return Err(("epoch", ClusterSecretsError::Epoch(0)));
        }
        Ok(ClusterSecrets {
            id: self.id,
            epoch: self.epoch,
            authorities,
            service_key: service_key.map_err(|fault| ("service account key", fault.into()))?,
            sealing: sealing.map_err(|fault| ("sealing key", fault.into()))?,
            ticket_key: signing_key(&self.ticket_key, "ticket key")?,
            membership_key: signing_key(&self.membership_key, "membership key")?,
            operator_key: signing_key(&self.operator_key, "operator key")?,
            update_key: signing_key(&self.update_key, "update key")?,
            wireguard_key: key(&self.wireguard_key, "WireGuard key")?,
            password_key: key(&self.password_key, "node password key")?,
            server_password: self.server_password,
        })
    }

    /// What is written.
    pub(super) fn render(secrets: &ClusterSecrets) -> Result<Self, ClusterSecretsError> {
        let authorities = &secrets.authorities;
        Ok(Self {
            id: secrets.id,
            epoch: secrets.epoch,
            root: pair(&authorities.root)?,
            server_ca: pair(&authorities.server)?,
            client_ca: pair(&authorities.client)?,
            request_header_ca: pair(&authorities.request_header)?,
            etcd_root: pair(&authorities.etcd_root)?,
            etcd_peer_ca: pair(&authorities.etcd_peer)?,
            etcd_server_ca: pair(&authorities.etcd_server)?,
            service_key: secrets.service_key.to_pem()?.into(),
            sealing: Pair {
                key: secrets.sealing.key().to_pem()?.into(),
                certificate: secrets.sealing.certificate_pem()?,
            },
            server_password: secrets.server_password.clone(),
            ticket_key: text(secrets.ticket_key.as_bytes()),
            membership_key: text(secrets.membership_key.as_bytes()),
            operator_key: text(secrets.operator_key.as_bytes()),
            update_key: text(secrets.update_key.as_bytes()),
            wireguard_key: text(&secrets.wireguard_key),
            password_key: text(&secrets.password_key),
        })
    }
}

fn authority(pair: &Pair, purpose: &'static str) -> Result<Authority, Fault> {
    let authority = Authority::from_pem(pair.key.expose(), &pair.certificate);
    authority.map_err(|fault| (purpose, fault.into()))
}

fn pair(authority: &Authority) -> Result<Pair, AuthorityError> {
    Ok(Pair { key: authority.key_pem()?.into(), certificate: authority.certificate_pem()? })
}

fn signing_key(text: &Secret, purpose: &'static str) -> Result<SigningKey, Fault> {
    key(text, purpose).map(|key| SigningKey::from_bytes(&key))
}

fn key(text: &Secret, purpose: &'static str) -> Result<Key, Fault> {
    let bytes = STANDARD.decode(text.expose()).map(Zeroizing::new).ok();
    let key = bytes.and_then(|bytes| <[u8; 32]>::try_from(&bytes[..]).ok());
    key.map(Zeroizing::new).ok_or((purpose, ClusterSecretsError::Key))
}

fn text(key: &[u8; 32]) -> Secret {
    Zeroizing::new(STANDARD.encode(key)).into()
}
