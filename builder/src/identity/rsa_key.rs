//! RSA keys, where others ask for them.

use std::fmt;

use rsa::pkcs1::{DecodeRsaPrivateKey as _, EncodeRsaPrivateKey as _};
use rsa::pkcs8::{DecodePrivateKey as _, LineEnding};
use rsa::rand_core::OsRng;
use rsa::traits::PublicKeyParts as _;
use rsa::{RsaPrivateKey, RsaPublicKey};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::format::signer::secret_numbers;

/// The fewest bits that are taken; those of k3s' own key.
const FEWEST: usize = 2048;

/// A private key, which never shows.
#[derive(Clone, Eq, PartialEq)]
pub struct RsaKey(RsaPrivateKey);

/// Why there is no key.
#[derive(Debug, Error)]
pub enum RsaKeyError {
    /// No PEM text of a private key. What is wrong with it could tell of the key, and is left out.
    #[error("this is no RSA private key in PEM")]
    Key,
    /// Too small.
    #[error("the RSA key has {bits} bits, at least {FEWEST} are taken")]
    Bits {
        /// Its size.
        bits: usize,
    },
    /// It could not be made.
    #[error("making an RSA key")]
    Make(#[source] rsa::Error),
}

impl RsaKey {
    /// A new one.
    pub fn generate(bits: usize) -> Result<Self, RsaKeyError> {
        RsaPrivateKey::new(&mut OsRng, bits).map(Self).map_err(RsaKeyError::Make)
    }

    /// Reads a key (PKCS #1 or PKCS #8).
    pub fn from_pem(text: &str) -> Result<Self, RsaKeyError> {
        let key = RsaPrivateKey::from_pkcs1_pem(text);
        let key = key.or_else(|_| RsaPrivateKey::from_pkcs8_pem(text).map_err(|_| RsaKeyError::Key))?;
        key.validate().map_err(|_| RsaKeyError::Key)?;
        let bits = key.n().bits();
        if bits < FEWEST { Err(RsaKeyError::Bits { bits }) } else { Ok(Self(key)) }
    }

    /// The key as k3s and sealed-secrets write it, `RSA PRIVATE KEY` (PKCS #1).
    pub fn to_pem(&self) -> Result<Zeroizing<String>, RsaKeyError> {
        self.0.to_pkcs1_pem(LineEnding::LF).map_err(|_| RsaKeyError::Key)
    }

    /// The public half.
    pub fn public(&self) -> RsaPublicKey {
        self.0.to_public_key()
    }

    pub(super) fn private(&self) -> &RsaPrivateKey {
        &self.0
    }

    /// The numbers that are secret, by which a copy of the key is found.
    pub(super) fn secrets(&self) -> impl Iterator<Item = Zeroizing<Vec<u8>>> {
        secret_numbers(&self.0)
    }
}

impl fmt::Debug for RsaKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "RsaKey({} bits, hidden)", self.0.n().bits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_is_written_and_a_small_one_is_refused() {
        let key = RsaKey::from_pem(include_str!("../format/signer/test-key.pem")).unwrap();
        let text = key.to_pem().unwrap();
        assert!(text.starts_with("-----BEGIN RSA PRIVATE KEY-----\n"));
        assert!(RsaKey::from_pem(&text).unwrap() == key);
        assert_eq!(format!("{key:?}"), "RsaKey(2048 bits, hidden)");
        let small = RsaKey::generate(1024).unwrap().to_pem().unwrap();
        let fault = RsaKey::from_pem(&small).unwrap_err().to_string();
        assert_eq!(fault, "the RSA key has 1024 bits, at least 2048 are taken");
        assert_eq!(RsaKey::from_pem("x").unwrap_err().to_string(), "this is no RSA private key in PEM");
    }
}
