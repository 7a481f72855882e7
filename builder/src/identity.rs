//! The identity: the cluster's secrets, one age-encrypted file in the operator's hands (design §7).
//!
//! It holds the key that signs manifests, the keys of Secure Boot, and what makes the cluster one and no other:
//! `cluster_secrets`, with k3s' `authorities` and the keys that sign what nodes are told (`documents`). It is JSON inside
//! age (age-encryption.org/v1): versioned, unknown keys refused. Encrypted, it may lie in Git. `search` tells whether
//! any of it lies where it should not.

mod access;
mod authorities;
mod authority;
mod client;
mod cluster_file;
mod cluster_secrets;
mod deploy_key;
pub(crate) mod documents;
mod export;
mod file;
pub mod key_file;
mod protection;
mod push_key;
mod rsa_key;
mod sealing;
pub mod search;
mod secrets;
mod wireguard;

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

pub use self::access::Access;
pub use self::authorities::Authorities;
pub use self::authority::{Authority, AuthorityError, ClientCertificate};
pub use self::cluster_secrets::{ClusterSecrets, ClusterSecretsError};
pub use self::documents::DocumentError;
pub use self::protection::{Protection, Recipient, RecipientError};
pub use self::rsa_key::{RsaKey, RsaKeyError};
pub use self::sealing::{SealingKey, SealingKeyError};
pub use self::secrets::Named;
use crate::bundle::signature::SigningKey;
use crate::format::signer::SignerError;
use crate::secure_boot::Keys;
use crate::units::Timestamp;

/// Its file name, beside the cluster file.
pub const FILE: &str = "identity.age";

/// The cluster's secrets.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Signs manifests.
    pub signing_key: SigningKey,
    /// Secure Boot, once it has been set up.
    pub secure_boot: Option<Keys>,
    /// What makes the cluster one and no other; none in a file that an older program has made.
    pub cluster: Option<ClusterSecrets>,
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
    #[error("identity `{}` has version {found}, this program knows 1 to {}", path.display(), file::VERSION)]
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
    /// A part of the cluster's secrets is none, or belongs to another.
    #[error("identity `{}`: the {what}", path.display())]
    Cluster {
        /// The file.
        path: PathBuf,
        /// Which part.
        what: &'static str,
        /// Why.
        source: Box<ClusterSecretsError>,
    },
    /// An older program has made it.
    #[error("identity `{}` has no secrets of a cluster yet", path.display())]
    NoCluster {
        /// The file.
        path: PathBuf,
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
    /// A new identity for the cluster of this name. Takes some seconds.
    pub fn generate(cluster: &str, now: Timestamp) -> Result<Self, ClusterSecretsError> {
        let cluster = ClusterSecrets::generate(cluster, now)?;
        Ok(Self { signing_key: new_signing_key()?, secure_boot: None, cluster: Some(cluster) })
    }

    /// The cluster's secrets; `path` is for the error.
    pub fn cluster(&self, path: &Path) -> Result<&ClusterSecrets, IdentityError> {
        self.cluster.as_ref().ok_or_else(|| IdentityError::NoCluster { path: path.to_owned() })
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

fn new_signing_key() -> io::Result<SigningKey> {
    let seed = zeroize::Zeroizing::new(firstboot::random::random::<32>()?);
    Ok(SigningKey::from_seed(&seed))
}

#[cfg(test)]
pub(crate) mod tests;
