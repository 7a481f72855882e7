//! Ed25519 public keys as documents hold them: the 32 bytes in base64 (RFC 4648, 4).

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::by_text::by_text;
use crate::key::Fingerprint;

/// A public key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey(pub VerifyingKey);

/// A text that is no public key.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("`{}` is no Ed25519 public key in base64", .0.escape_debug())]
pub struct NoPublicKey(pub String);

impl PublicKey {
    /// The public half of `key`.
    pub fn of(key: &SigningKey) -> Self {
        Self(key.verifying_key())
    }

    /// What people compare.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.0)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&STANDARD.encode(self.0.as_bytes()))
    }
}

impl FromStr for PublicKey {
    type Err = NoPublicKey;

    fn from_str(text: &str) -> Result<Self, NoPublicKey> {
        let bytes = || STANDARD.decode(text).ok()?.try_into().ok();
        let key = bytes().and_then(|bytes: [u8; 32]| VerifyingKey::from_bytes(&bytes).ok());
        // Under a weak key everybody's signature is good.
        key.filter(|key| !key.is_weak()).map(Self).ok_or_else(|| NoPublicKey(text.to_owned()))
    }
}

by_text!(PublicKey, NoPublicKey);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written() {
        let key = PublicKey::of(&SigningKey::from_bytes(&[7; 32]));
        // As openssl makes it of this seed.
        assert_eq!(key.to_string(), "6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iw=");
        assert_eq!(key.to_string().parse(), Ok(key));
        let json = serde_json::to_string(&key).unwrap();
        assert_eq!(serde_json::from_str::<PublicKey>(&json).unwrap(), key);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        // Too short, not base64, and the neutral element of the curve.
        let neutral = STANDARD.encode([&[1_u8][..], &[0; 31]].concat());
        for text in ["", "AAAA", "\u{1b}[2J", &neutral] {
            assert_eq!(text.parse::<PublicKey>(), Err(NoPublicKey(text.to_owned())));
        }
    }
}
