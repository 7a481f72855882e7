//! The node key: an Ed25519 key pair made by the node itself; the private half never leaves it.

use std::fmt;

use ed25519_dalek::{SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};

use crate::converge::System;
use crate::secret_key::{self, KeyError};

/// Where the private half lies: 32 bytes (RFC 8032 seed), mode 0600, on the state partition.
pub const PATH: &str = "/var/lib/imgbuild/node.key";

/// First 128 bits of the SHA-256 of the public key, in groups of four hexadecimal digits.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// Of a public key.
    pub fn of(key: &VerifyingKey) -> Self {
        let digest = Sha256::digest(key.as_bytes());
        let groups: Vec<String> =
            digest[..16].chunks(2).map(|pair| format!("{:02x}{:02x}", pair[0], pair[1])).collect();
        Self(groups.join("-"))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Reads the node key; `None` where there is none yet.
pub fn load(system: &System) -> Result<Option<SigningKey>, KeyError> {
    Ok(secret_key::load(PATH, system)?.map(|seed| SigningKey::from_bytes(seed.bytes())))
}

/// Reads the node key, or makes it, on disk before anything else happens with it.
///
/// Without a key, a dry run returns `None`.
pub fn ensure(system: &System) -> Result<Option<Fingerprint>, KeyError> {
    let seed = secret_key::ensure(PATH, system)?;
    Ok(seed.map(|seed| Fingerprint::of(&SigningKey::from_bytes(seed.bytes()).verifying_key())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::converge::Mode;

    #[test]
    fn keeps_the_key_it_made() {
        let directory = tempfile::tempdir().unwrap();
        let system = System::new(directory.path(), Mode::Apply);
        let first = ensure(&system).unwrap().unwrap();
        assert_eq!(ensure(&system).unwrap().unwrap(), first);
        assert_eq!(first.to_string().len(), 39, "{first}");
    }

    #[test]
    fn derives_the_fingerprint_from_the_public_half() {
        let directory = tempfile::tempdir().unwrap();
        let system = System::new(directory.path(), Mode::Apply);
        system.ensure_file(PATH, &[7; 32], 0o600).unwrap();
        // Public key of RFC 8032 seed 0707…07, made by openssl, hashed by sha256sum.
        assert_eq!(ensure(&system).unwrap().unwrap().to_string(), "fe81-2c12-f3ab-4ce6-ac5d-b69a-c352-f906");
    }

    #[test]
    fn refuses_a_key_of_another_length() {
        let directory = tempfile::tempdir().unwrap();
        let system = System::new(directory.path(), Mode::Apply);
        system.ensure_file(PATH, b"short", 0o600).unwrap();
        assert_eq!(ensure(&system).unwrap_err().to_string(), format!("key `{PATH}` has 5 bytes, not 32"));
    }

    #[test]
    fn makes_no_key_in_a_dry_run() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(ensure(&System::new(directory.path(), Mode::DryRun)).unwrap(), None);
    }
}
