//! The identity: the cluster's secrets, one age-encrypted file in the operator's hands (design §7).
//!
//! So far it holds the key that signs manifests and the keys of Secure Boot. It is JSON inside age
//! (age-encryption.org/v1): versioned, unknown keys refused. Encrypted, it may lie in Git.

mod access;
mod file;
pub mod key_file;
mod protection;

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

pub use self::access::Access;
pub use self::protection::{Protection, Recipient, RecipientError};
use crate::bundle::signature::SigningKey;
use crate::format::signer::SignerError;
use crate::secure_boot::Keys;

/// Its file name, beside the cluster file.
pub const FILE: &str = "identity.age";

/// The cluster's secrets.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Signs manifests.
    pub signing_key: SigningKey,
    /// Secure Boot, once it has been set up.
    pub secure_boot: Option<Keys>,
}

/// Why an identity cannot be read or written.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// The file, or one that opens it, cannot be read.
    #[error("reading `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("writing `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is none.
    #[error("there is no identity `{}`", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// No given key or passphrase opens it.
    #[error("identity `{}` is not opened by {tried}", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
        /// What was tried, in words.
        tried: String,
        /// What age says.
        source: Box<age::DecryptError>,
    },
    /// It is no age file.
    #[error("identity `{}` is no age file", path.display())]
    NoAge {
        /// The file.
        path: PathBuf,
        /// What age says.
        source: Box<age::DecryptError>,
    },
    /// It was opened, and its content is not what was encrypted.
    #[error("identity `{}` is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What age says.
        source: io::Error,
    },
    /// A passphrase is wanted and nobody can be asked.
    #[error("identity `{}` is locked by a passphrase, and there is no terminal to ask for it", path.display())]
    NoPassphrase {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be encrypted.
    #[error("encrypting identity `{}`", path.display())]
    Encrypt {
        /// The file.
        path: PathBuf,
        /// What age says.
        source: Box<age::EncryptError>,
    },
    /// What is in it is of another version.
    #[error("identity `{}` has version {found}, this program knows {}", path.display(), file::VERSION)]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// What is in it is malformed.
    #[error("identity `{}` is malformed", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and why; serde names keys and places, never values.
        source: serde_json::Error,
    },
    /// A key in it is none.
    #[error("identity `{}`: the {purpose} key", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What it is for.
        purpose: &'static str,
        /// Why.
        source: Box<KeyError>,
    },
    /// Somebody it should be encrypted to is none that age knows.
    #[error(transparent)]
    Recipient(#[from] RecipientError),
}

/// Why a text in an identity is no key.
#[derive(Debug, Error)]
pub enum KeyError {
    /// No Secure Boot key.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// No OpenSSH key.
    #[error(transparent)]
    Ssh(#[from] ssh_key::Error),
}

impl Identity {
    /// A new identity; its manifest signing key is made here.
    pub fn generate() -> io::Result<Self> {
        let seed = zeroize::Zeroizing::new(firstboot::random::random::<32>()?);
        Ok(Self { signing_key: SigningKey::from_seed(&seed), secure_boot: None })
    }

    /// Opens the identity `path`; with it comes how it was locked, for writing it back.
    pub fn open(path: &Path, access: &Access) -> Result<(Self, Protection), IdentityError> {
        let (text, passphrase) = access.decrypt(path)?;
        let (identity, recipients) = file::parse(&text, path)?;
        let protection = match passphrase {
            Some(passphrase) => Protection::Passphrase(passphrase),
            None => Protection::Recipients(recipients),
        };
        Ok((identity, protection))
    }

    /// The file's content: encrypted, different each time.
    pub fn encrypt(&self, path: &Path, protection: &Protection) -> Result<Vec<u8>, IdentityError> {
        protection.encrypt(&file::render(self, protection, path)?, path)
    }
}

#[cfg(test)]
mod tests;
