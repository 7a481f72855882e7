//! Keys whose signatures on Release files count: Debian's, which ship with the program.
//!
//! A key counts with what its own, verified self-signatures say: may it sign, until when, is it revoked.
//! Signatures of others on it (the web of trust) say nothing here.

use std::path::Path;

use pgp::composed::{Deserializable as _, SignedPublicKey, SignedPublicSubKey};
use pgp::packet::{PublicKey, PublicSubkey, Signature, SignatureType};
use pgp::types::{KeyDetails as _, KeyId, Tag};
use thiserror::Error;

use crate::units::Timestamp;

/// Public keys from package debian-archive-keyring; `keys/INDEX` has their origin.
const DEBIAN: [(&str, &str); 6] = [
    ("debian-archive-trixie-automatic.asc", include_str!("keys/debian-archive-trixie-automatic.asc")),
    (
        "debian-archive-trixie-security-automatic.asc",
        include_str!("keys/debian-archive-trixie-security-automatic.asc"),
    ),
    ("debian-archive-trixie-stable.asc", include_str!("keys/debian-archive-trixie-stable.asc")),
    ("debian-archive-bookworm-automatic.asc", include_str!("keys/debian-archive-bookworm-automatic.asc")),
    (
        "debian-archive-bookworm-security-automatic.asc",
        include_str!("keys/debian-archive-bookworm-security-automatic.asc"),
    ),
    ("debian-archive-bookworm-stable.asc", include_str!("keys/debian-archive-bookworm-stable.asc")),
];

/// What makes a key file unusable.
#[derive(Debug, Error)]
pub enum KeyringError {
    /// The file cannot be read.
    #[error("reading key file `{path}`")]
    Read {
        /// Its path.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Neither armored nor binary OpenPGP keys.
    #[error("`{name}` holds no OpenPGP public key")]
    Malformed {
        /// File name.
        name: String,
        /// What the OpenPGP reader found.
        source: Box<pgp::errors::Error>,
    },
    /// No key in it may sign: no valid self-signature, not a signing key, or revoked.
    #[error("`{name}` holds no key that may sign")]
    NothingSigns {
        /// File name.
        name: String,
    },
}

/// Keys that may sign a Release file.
#[derive(Clone, Debug, Default)]
pub struct Keyring {
    keys: Vec<TrustedKey>,
}

/// One key or subkey that may sign.
#[derive(Clone, Debug)]
pub(super) struct TrustedKey {
    material: Material,
    /// From when on it counts no more.
    pub(super) expires: Option<Timestamp>,
}

#[derive(Clone, Debug)]
enum Material {
    Primary(Box<PublicKey>),
    Subkey(Box<PublicSubkey>),
}

impl Keyring {
    /// Debian's archive keys of the releases that trixie's archive is signed with.
    pub fn debian() -> Result<Self, KeyringError> {
        let mut keyring = Self::default();
        for (name, armored) in DEBIAN {
            keyring.add(name, armored.as_bytes())?;
        }
        Ok(keyring)
    }

    /// Trusts the keys of the file at `path` as well.
    pub fn add_file(&mut self, path: &Path) -> Result<(), KeyringError> {
        let name = path.display().to_string();
        match std::fs::read(path) {
            Ok(data) => self.add(&name, &data),
            Err(source) => Err(KeyringError::Read { path: name, source }),
        }
    }

    /// Trusts the keys in `data` (armored or binary) as well; `name` is for errors.
    pub fn add(&mut self, name: &str, data: &[u8]) -> Result<(), KeyringError> {
        let malformed = |source| KeyringError::Malformed { name: name.to_owned(), source: Box::new(source) };
        let certificates = if data.starts_with(b"-----BEGIN") {
            SignedPublicKey::from_armor_many_buf(data).map_err(malformed)?.0
        } else {
            SignedPublicKey::from_bytes_many(data).map_err(malformed)?
        };
        let before = self.keys.len();
        for certificate in certificates {
            self.keys.extend(signing_keys(&certificate.map_err(malformed)?));
        }
        if self.keys.len() == before {
            return Err(KeyringError::NothingSigns { name: name.to_owned() });
        }
        Ok(())
    }

    /// Fingerprints of all keys that may sign, in hexadecimal.
    pub fn fingerprints(&self) -> Vec<String> {
        self.keys.iter().map(TrustedKey::fingerprint).collect()
    }

    /// The key that `signature` says it was made with.
    pub(super) fn issuer(&self, signature: &Signature) -> Option<&TrustedKey> {
        let fingerprints: Vec<_> = signature.issuer_fingerprint();
        let ids = signature.issuer_key_id();
        self.keys.iter().find(|key| match &key.material {
            Material::Primary(key) => {
                fingerprints.contains(&&key.fingerprint()) || ids.contains(&&key.legacy_key_id())
            }
            Material::Subkey(key) => {
                fingerprints.contains(&&key.fingerprint()) || ids.contains(&&key.legacy_key_id())
            }
        })
    }
}

impl TrustedKey {
    pub(super) fn fingerprint(&self) -> String {
        match &self.material {
            Material::Primary(key) => key.fingerprint().to_string().to_uppercase(),
            Material::Subkey(key) => key.fingerprint().to_string().to_uppercase(),
        }
    }

    pub(super) fn verify(&self, signature: &Signature, data: &[u8]) -> pgp::errors::Result<()> {
        match &self.material {
            Material::Primary(key) => signature.verify(&**key, data),
            Material::Subkey(key) => signature.verify(&**key, data),
        }
    }
}

/// Hexadecimal form of a key id, as `gpg` lists it.
pub(super) fn show_id(id: KeyId) -> String {
    id.to_string().to_uppercase()
}

/// The primary key and subkeys of a certificate that may sign.
fn signing_keys(certificate: &SignedPublicKey) -> Vec<TrustedKey> {
    let primary = &certificate.primary_key;
    let is_revoked = certificate.details.revocation_signatures.iter().any(|signature| {
        is_type(signature, SignatureType::KeyRevocation) && signature.verify_key(primary).is_ok()
    });
    let Some(statement) = newest(self_signatures(certificate)).filter(|_| !is_revoked) else {
        return Vec::new();
    };
    let expires = expiry(primary.created_at(), statement);
    let mut keys = Vec::new();
    if statement.key_flags().sign() {
        keys.push(TrustedKey { material: Material::Primary(Box::new(primary.clone())), expires });
    }
    let subkeys = certificate.public_subkeys.iter();
    keys.extend(subkeys.filter_map(|subkey| signing_subkey(primary, expires, subkey)));
    keys
}

/// Verified statements of the key about itself.
fn self_signatures(certificate: &SignedPublicKey) -> impl Iterator<Item = &Signature> {
    let primary = &certificate.primary_key;
    let users = certificate.details.users.iter().flat_map(move |user| {
        user.signatures.iter().filter(move |signature| {
            !is_type(signature, SignatureType::CertRevocation)
                && signature.verify_certification(primary, Tag::UserId, &user.id).is_ok()
        })
    });
    let direct =
        certificate.details.direct_signatures.iter().filter(|signature| {
            is_type(signature, SignatureType::Key) && signature.verify_key(primary).is_ok()
        });
    users.chain(direct)
}

/// The subkey if it may sign; it expires with its primary key at the latest.
fn signing_subkey(
    primary: &PublicKey,
    primary_expires: Option<Timestamp>,
    subkey: &SignedPublicSubKey,
) -> Option<TrustedKey> {
    let key = &subkey.key;
    let verified =
        || subkey.signatures.iter().filter(|signature| signature.verify_subkey_binding(primary, key).is_ok());
    if verified().any(|signature| is_type(signature, SignatureType::SubkeyRevocation)) {
        return None;
    }
    let binding = newest(verified())?;
    // The subkey must say itself that it belongs here, else anybody's key could be adopted.
    let back = binding.embedded_signature()?;
    if !binding.key_flags().sign() || back.verify_primary_key_binding(key, primary).is_err() {
        return None;
    }
    let expires = [primary_expires, expiry(key.created_at(), binding)].into_iter().flatten().min();
    Some(TrustedKey { material: Material::Subkey(Box::new(key.clone())), expires })
}

fn newest<'a>(signatures: impl Iterator<Item = &'a Signature>) -> Option<&'a Signature> {
    signatures.max_by_key(|signature| signature.created())
}

fn expiry(created: pgp::types::Timestamp, statement: &Signature) -> Option<Timestamp> {
    let lifetime = u64::from(statement.key_expiration_time()?.as_secs());
    // RFC 9580, 5.2.3.13: zero means never.
    (lifetime != 0).then(|| Timestamp(u64::from(created.as_secs()) + lifetime))
}

fn is_type(signature: &Signature, wanted: SignatureType) -> bool {
    signature.typ() == Some(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ships_exactly_the_listed_keys() {
        let index = include_str!("keys/INDEX");
        for (name, armored) in DEBIAN {
            let line = format!("{}  {name} (", crate::units::Sha256::of(armored.as_bytes()));
            assert!(index.contains(&line), "INDEX has no `{line}`");
        }
        assert_eq!(index.matches(".asc (").count(), DEBIAN.len());
    }

    #[test]
    fn trusts_what_gpg_says_may_sign_until_then() {
        let index = include_str!("keys/INDEX");
        for (name, armored) in DEBIAN {
            let mut keyring = Keyring::default();
            keyring.add(name, armored.as_bytes()).unwrap();
            let last = keyring.keys.last().unwrap();
            let date = last.expires.unwrap().to_string();
            let day = date.split('T').next().unwrap();
            let listed = format!("{name} ({} {day})", last.fingerprint());
            assert!(index.contains(&listed), "INDEX has no `{listed}`");
        }
    }

    #[test]
    fn refuses_what_is_no_key() {
        let error = Keyring::default().add("x.asc", b"hello").unwrap_err();
        assert_eq!(error.to_string(), "`x.asc` holds no OpenPGP public key");
        let cut = DEBIAN[0].1.get(..4000).unwrap();
        let error = Keyring::default().add("x.asc", cut.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), "`x.asc` holds no OpenPGP public key");
    }
}
