//! Who vouches for a build: an Ed25519 signature over the manifest, which names every file by digest.
//!
//! Keys and signatures are OpenSSH's: the identity holds a key as text, and
//! `ssh-keygen -Y verify -n imgbuild-manifest` is a second opinion that every host has. Ed25519 draws no random
//! number, so the same key signs the same manifest by the same bytes.
//! Format: <https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.sshsig>.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ssh_key::private::Ed25519Keypair;
use ssh_key::{Algorithm, HashAlg, LineEnding, PrivateKey, SshSig};
use thiserror::Error;
use zeroize::Zeroizing;

use super::manifest;
use crate::regular_file;
use crate::units::Bytes;

/// The longest signature that is read; one has some 300 bytes.
const LONGEST: Bytes = Bytes(64 << 10);
/// File name of the signature in a build folder.
pub const FILE: &str = "manifest.json.sig";
/// What the signature is for: one for something else counts nothing here.
pub const NAMESPACE: &str = "imgbuild-manifest";

/// Why there is no signature, or none that counts.
#[derive(Debug, Error)]
pub enum SignatureError {
    /// A key or signature cannot be read.
    #[error("reading `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds no OpenSSH key.
    #[error("`{}` is no OpenSSH key", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ssh_key::Error,
    },
    /// A key of another kind.
    #[error("`{}` is a key for {found}, not for ssh-ed25519", path.display())]
    Kind {
        /// The file.
        path: PathBuf,
        /// Its algorithm.
        found: Algorithm,
    },
    /// The file holds no OpenSSH signature.
    #[error("`{}` is no OpenSSH signature", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ssh_key::Error,
    },
    /// The signature was made over other bytes, or for another purpose.
    #[error("the signature of {signer} is not over this `{}`", manifest::FILE)]
    Invalid {
        /// The key that the signature claims.
        signer: String,
    },
    /// The signature is good, but of another key.
    #[error("`{}` is signed by {signer}, not by {expected}", manifest::FILE)]
    Signer {
        /// The key that signed.
        signer: String,
        /// The key that should have.
        expected: String,
    },
    /// A key was given, and there is nothing to check.
    #[error("there is no signature `{}`", path.display())]
    Absent {
        /// Where it should be.
        path: PathBuf,
    },
    /// The key does not sign.
    #[error("signing the manifest")]
    Sign {
        /// Why not.
        source: ssh_key::Error,
    },
}

/// A key that manifests are signed with.
#[derive(Clone)]
pub struct SigningKey(PrivateKey);

/// Its secret half is never shown.
impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("SigningKey").field(&self.public().to_string()).finish()
    }
}

impl SigningKey {
    /// The key of a secret number.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(Ed25519Keypair::from_seed(seed).into())
    }

    /// Reads a private key as `ssh-keygen -t ed25519` makes it, without passphrase.
    pub fn from_openssh(text: &str) -> Result<Self, ssh_key::Error> {
        let key = PrivateKey::from_openssh(text)?;
        if key.is_encrypted() {
            return Err(ssh_key::Error::Encrypted);
        }
        match key.algorithm() {
            Algorithm::Ed25519 => Ok(Self(key)),
            algorithm => Err(ssh_key::Error::AlgorithmUnsupported { algorithm }),
        }
    }

    /// The private key as text.
    pub fn to_openssh(&self) -> Result<Zeroizing<String>, ssh_key::Error> {
        self.0.to_openssh(LineEnding::LF)
    }

    /// The secret number, by which a copy of the key is found.
    pub(crate) fn seed(&self) -> Zeroizing<Vec<u8>> {
        let pair = self.0.key_data().ed25519().expect("keys of other kinds are refused");
        Zeroizing::new(pair.private.to_bytes().to_vec())
    }

    /// The half that everybody may know.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.public_key().clone())
    }

    /// Signs a manifest; the signature as a text file.
    pub fn sign(&self, manifest: &[u8]) -> Result<String, SignatureError> {
        let signed = self.0.sign(NAMESPACE, HashAlg::Sha512, manifest);
        let signed = signed.and_then(|signature| signature.to_pem(LineEnding::LF));
        signed.map_err(|source| SignatureError::Sign { source })
    }
}

/// A key that signatures are checked by.
#[derive(Clone, Debug)]
pub struct PublicKey(ssh_key::PublicKey);

/// As OpenSSH shows it, without comment: `SHA256:…`.
impl fmt::Display for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fingerprint(HashAlg::Sha256).fmt(formatter)
    }
}

impl PublicKey {
    /// Reads a `.pub` file.
    pub fn load(path: &Path) -> Result<Self, SignatureError> {
        let text = fs::read_to_string(path)
            .map_err(|source| SignatureError::Read { path: path.to_owned(), source })?;
        let wrong = |source| SignatureError::Key { path: path.to_owned(), source };
        let key = ssh_key::PublicKey::from_openssh(text.trim()).map_err(wrong)?;
        check_kind(path, key.algorithm())?;
        Ok(Self(key))
    }

    /// The line of a `.pub` file.
    pub fn to_openssh(&self) -> Result<String, ssh_key::Error> {
        self.0.to_openssh()
    }
}

/// Checks the signature of the manifest in `folder`, if there is one; returns who signed. With `expected`, there must
/// be one, by that key.
pub fn check(folder: &Path, expected: Option<&PublicKey>) -> Result<Option<PublicKey>, SignatureError> {
    let path = folder.join(FILE);
    // A folder may come from anybody: a pipe in it is not waited for.
    let found = regular_file::read_to_string(&path, LONGEST);
    let text = match found.map_err(|source| SignatureError::Read { path: path.clone(), source }) {
        Err(SignatureError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return match expected {
                Some(_) => Err(SignatureError::Absent { path }),
                None => Ok(None),
            };
        }
        other => other?,
    };
    let wrong = |source| SignatureError::Malformed { path: path.clone(), source };
    let signature = SshSig::from_pem(&text).map_err(wrong)?;
    let signer = ssh_key::PublicKey::from(signature.public_key().clone());
    check_kind(&path, signer.algorithm())?;
    let manifest = folder.join(manifest::FILE);
    let content = fs::read(&manifest).map_err(|source| SignatureError::Read { path: manifest, source })?;
    let shown = PublicKey(signer.clone());
    if signer.verify(NAMESPACE, &content, &signature).is_err() {
        return Err(SignatureError::Invalid { signer: shown.to_string() });
    }
    match expected {
        Some(expected) if expected.0.key_data() != signer.key_data() => {
            Err(SignatureError::Signer { signer: shown.to_string(), expected: expected.to_string() })
        }
        _ => Ok(Some(shown)),
    }
}

fn check_kind(path: &Path, found: Algorithm) -> Result<(), SignatureError> {
    if found == Algorithm::Ed25519 {
        return Ok(());
    }
    Err(SignatureError::Kind { path: path.to_owned(), found })
}

#[cfg(test)]
mod tests;
