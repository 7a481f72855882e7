//! Keys of both ends.

use std::fmt;
use std::sync::Arc;

use firstboot::random::random;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey};
use zeroize::Zeroizing;

use super::SshError;

/// A key for one run; it lives in memory only.
#[derive(Clone)]
pub struct Key(Arc<PrivateKey>);

impl Key {
    /// A new Ed25519 key.
    pub fn generate() -> Result<Self, SshError> {
        let seed = Zeroizing::new(random::<32>().map_err(SshError::Random)?);
        Ok(Self(Arc::new(PrivateKey::from(Ed25519Keypair::from_seed(&seed)))))
    }

    /// One that is kept elsewhere, as OpenSSH writes it, not encrypted.
    pub fn from_openssh(text: &str) -> Result<Self, SshError> {
        PrivateKey::from_openssh(text).map(|key| Self(Arc::new(key))).map_err(SshError::Key)
    }

    /// Its public half as a line of `authorized_keys`: `ssh-ed25519 AAAA…`.
    pub fn public_line(&self) -> Result<String, SshError> {
        self.0.public_key().to_openssh().map_err(SshError::Key)
    }

    pub(super) fn for_authentication(&self) -> PrivateKeyWithHashAlg {
        PrivateKeyWithHashAlg::new(Arc::clone(&self.0), None)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Key({})", self.0.fingerprint(HashAlg::Sha256))
    }
}

/// The public key of a host, by which it is known again. It shows as OpenSSH's fingerprint, `SHA256:…`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HostKey(Box<PublicKey>);

impl HostKey {
    /// A key as `known_hosts` has it behind the names: `ssh-ed25519 AAAA…`.
    pub fn from_openssh(text: &str) -> Result<Self, SshError> {
        PublicKey::from_openssh(text).map(|key| Self::from(&key)).map_err(SshError::Key)
    }
}

impl From<&PublicKey> for HostKey {
    fn from(key: &PublicKey) -> Self {
        // Comments are no part of a key.
        Self(Box::new(PublicKey::from(key.key_data().clone())))
    }
}

impl fmt::Display for HostKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fingerprint(HashAlg::Sha256).fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::oracle;

    #[test]
    fn openssh_knows_the_public_half() {
        let (key, other) = (Key::generate().unwrap(), Key::generate().unwrap());
        let line = key.public_line().unwrap();
        assert!(line.starts_with("ssh-ed25519 AAAA") && !line.contains('\n'), "{line}");
        assert_ne!(line, other.public_line().unwrap());
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &line).unwrap();
        let shown =
            oracle::must_accept("ssh-keygen", &["-l".as_ref(), "-f".as_ref(), file.path().as_os_str()]);
        assert!(shown.contains("(ED25519)") && format!("{key:?}").contains(shown.split(' ').nth(1).unwrap()));
    }
}
