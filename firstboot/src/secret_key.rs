//! Keys of 32 secret bytes: in documents, and in files of their own on the state partition, mode 0600.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::converge::{ConvergeError, Mode, System};
use crate::random::random;

/// 32 secret bytes; base64 in documents, and never shown.
#[derive(Clone, Eq, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SecretKey([u8; 32]);

/// A text that is no secret key; it is not shown.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("a secret key has 32 bytes in base64")]
pub struct NoSecretKey;

impl SecretKey {
    /// The key of these bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// For what the key is used with.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SecretKey(..)")
    }
}

impl TryFrom<String> for SecretKey {
    type Error = NoSecretKey;

    fn try_from(text: String) -> Result<Self, NoSecretKey> {
        let bytes = STANDARD.decode(text.trim()).map_err(|_| NoSecretKey)?;
        bytes.try_into().map(Self).map_err(|_| NoSecretKey)
    }
}

impl From<SecretKey> for String {
    fn from(key: SecretKey) -> Self {
        STANDARD.encode(key.0)
    }
}

/// Why there is no key.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The file system refused.
    #[error(transparent)]
    Converge(#[from] ConvergeError),
    /// The key file has another length than 32 bytes.
    #[error("key `{path}` has {found} bytes, not 32")]
    Length {
        /// The file.
        path: &'static str,
        /// Bytes found.
        found: usize,
    },
    /// The kernel gave no random bytes.
    #[error("reading random bytes from the kernel")]
    Random(#[source] std::io::Error),
}

/// Reads the key file `path`; `None` where there is none yet.
pub(crate) fn load(path: &'static str, system: &System) -> Result<Option<SecretKey>, KeyError> {
    let Some(bytes) = system.read(path)? else { return Ok(None) };
    let bytes = <[u8; 32]>::try_from(bytes).map_err(|bytes| KeyError::Length { path, found: bytes.len() })?;
    Ok(Some(SecretKey::new(bytes)))
}

/// Reads the key file `path`, or makes it, on disk before anything else happens with the key. Without one, a dry run
/// returns `None`.
pub(crate) fn ensure(path: &'static str, system: &System) -> Result<Option<SecretKey>, KeyError> {
    let kept = load(path, system)?;
    if kept.is_some() || system.mode() == Mode::DryRun {
        return Ok(kept);
    }
    let key = SecretKey::new(random().map_err(KeyError::Random)?);
    system.ensure_file(path, key.bytes(), 0o600)?;
    Ok(Some(key))
}
