//! The identity's JSON, before it is encrypted.

use std::path::Path;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::cluster_file::{ClusterFile, Pair};
use super::{ClusterSecretsError, Identity, IdentityError, KeyError, Protection, Recipient};
use crate::bundle::signature::SigningKey;
use crate::format::signer::Signer;
use crate::secret::Secret;
use crate::secure_boot::Keys;
use crate::units::Timestamp;

/// The version that this program writes.
pub(super) const VERSION: u32 = 2;
/// The oldest that is read: without the cluster's secrets.
const OLDEST: u32 = 1;

/// The part that every version has.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    version: u32,
    /// Whom the file is encrypted to; age does not tell. Empty with a passphrase.
    recipients: Vec<String>,
    manifest_signing: Secret,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secure_boot: Option<SecureBoot>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cluster: Option<ClusterFile>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct SecureBoot {
    owner: Uuid,
    since: Timestamp,
    platform_key: Pair,
    key_exchange_key: Pair,
    database: Pair,
}

pub(super) fn parse(text: &[u8], path: &Path) -> Result<(Identity, Vec<Recipient>), IdentityError> {
    let malformed = |source| IdentityError::Malformed { path: path.to_owned(), source };
    let Versioned { version: found } = serde_json::from_slice(text).map_err(malformed)?;
    if !(OLDEST..=VERSION).contains(&found) {
        return Err(IdentityError::Version { path: path.to_owned(), found });
    }
    let file: File = serde_json::from_slice(text).map_err(malformed)?;
    if found == OLDEST && file.cluster.is_some() {
        let fault = serde::de::Error::custom("version 1 has no key `cluster`");
        return Err(malformed(fault));
    }
    let fault = |purpose| key_fault(path, purpose);
    let signing_key = SigningKey::from_openssh(file.manifest_signing.expose());
    let signing_key = signing_key.map_err(KeyError::from).map_err(fault("manifest signing"))?;
    let signer = |pair: &Pair, purpose| {
        let signer = Signer::from_pem(pair.key.expose(), &pair.certificate);
        signer.map_err(KeyError::from).map_err(fault(purpose))
    };
    let secure_boot = match file.secure_boot {
        None => None,
        Some(raw) => Some(Keys {
            owner: raw.owner,
            since: raw.since,
            platform_key: signer(&raw.platform_key, "Secure Boot PK")?,
            key_exchange_key: signer(&raw.key_exchange_key, "Secure Boot KEK")?,
            database: signer(&raw.database, "Secure Boot db")?,
        }),
    };
    let cluster = file.cluster.map(ClusterFile::parse).transpose();
    let cluster = cluster.map_err(|(what, source)| cluster_fault(path, what, source))?;
    let recipients = file.recipients.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
    Ok((Identity { signing_key, secure_boot, cluster }, recipients))
}

fn key_fault(path: &Path, purpose: &'static str) -> impl FnOnce(KeyError) -> IdentityError {
    move |source| IdentityError::Key { path: path.to_owned(), purpose, source: Box::new(source) }
}

fn cluster_fault(path: &Path, what: &'static str, source: ClusterSecretsError) -> IdentityError {
    IdentityError::Cluster { path: path.to_owned(), what, source: Box::new(source) }
}

pub(super) fn render(
    identity: &Identity,
    protection: &Protection,
    path: &Path,
) -> Result<Zeroizing<Vec<u8>>, IdentityError> {
    let fault = |purpose| key_fault(path, purpose);
    let signing_key = identity.signing_key.to_openssh();
    let pair = |signer: &Signer, purpose| {
        let pair = || Ok(Pair { key: signer.key_pem()?.into(), certificate: signer.certificate_pem()? });
        pair().map_err(fault(purpose))
    };
    let secure_boot = match &identity.secure_boot {
        None => None,
        Some(keys) => Some(SecureBoot {
            owner: keys.owner,
            since: keys.since,
            platform_key: pair(&keys.platform_key, "Secure Boot PK")?,
            key_exchange_key: pair(&keys.key_exchange_key, "Secure Boot KEK")?,
            database: pair(&keys.database, "Secure Boot db")?,
        }),
    };
    let cluster = identity.cluster.as_ref().map(ClusterFile::render).transpose();
    let cluster = cluster.map_err(|source| cluster_fault(path, "cluster's secrets", source))?;
    let file = File {
        version: VERSION,
        recipients: protection.recipients().iter().map(ToString::to_string).collect(),
        manifest_signing: signing_key.map_err(KeyError::from).map_err(fault("manifest signing"))?.into(),
        secure_boot,
        cluster,
    };
    let malformed = |source| IdentityError::Malformed { path: path.to_owned(), source };
    // Roomy, so that growing leaves no copies behind in memory.
    let mut text = Zeroizing::new(Vec::with_capacity(64 << 10));
    serde_json::to_writer_pretty(&mut *text, &file).map_err(malformed)?;
    text.push(b'\n');
    Ok(text)
}
