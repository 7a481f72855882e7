//! Who opens an identity: a passphrase, age keys or SSH keys.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use age::secrecy::SecretString;
use age::{Callbacks as _, Decryptor};
use zeroize::Zeroizing;

use super::IdentityError;
use super::key_file::{LONGEST, read};
use crate::regular_file;
use crate::terminal::Terminal;

/// The most work that a file may ask for, as a power of two: what age's own program accepts. The library would measure
/// this machine instead, and one that is slow or busy could not open what another one made.
const LARGEST_WORK_FACTOR: u8 = 22;

/// What may open an identity.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Files with age or SSH private keys.
    pub key_files: Vec<PathBuf>,
    /// The passphrase, if it was given.
    pub passphrase: Option<SecretString>,
}

impl Access {
    /// The decrypted text, and the passphrase if it was by one.
    pub(super) fn decrypt(
        &self,
        path: &Path,
    ) -> Result<(Zeroizing<Vec<u8>>, Option<SecretString>), IdentityError> {
        let encrypted = match regular_file::read(path, LONGEST) {
            // A link that leads nowhere is there.
            Err(error) if error.kind() == io::ErrorKind::NotFound && path.symlink_metadata().is_err() => {
                return Err(IdentityError::Missing { path: path.to_owned() });
            }
            other => other.map_err(|source| IdentityError::Read { path: path.to_owned(), source })?,
        };
        let locked = |source| IdentityError::Locked {
            path: path.to_owned(),
            tried: self.in_words(),
            source: Box::new(source),
        };
        let no_age = |source| IdentityError::NoAge { path: path.to_owned(), source: Box::new(source) };
        let decryptor = Decryptor::new_buffered(&encrypted[..]).map_err(no_age)?;
        let (mut reader, used) = if decryptor.is_scrypt() {
            let asked = || Terminal.request_passphrase(&format!("Passphrase of `{}`", path.display()));
            let passphrase = self.passphrase.clone().or_else(asked);
            let passphrase =
                passphrase.ok_or_else(|| IdentityError::NoPassphrase { path: path.to_owned() })?;
            let mut key = age::scrypt::Identity::new(passphrase.clone());
            key.set_max_work_factor(LARGEST_WORK_FACTOR);
            let reader =
                decryptor.decrypt([key].iter().map(|key| -> &dyn age::Identity { key })).map_err(locked)?;
            (reader, Some(passphrase))
        } else {
            let keys = self.keys()?;
            (decryptor.decrypt(keys.iter().map(AsRef::as_ref)).map_err(locked)?, None)
        };
        let mut text = Zeroizing::new(Vec::with_capacity(encrypted.len()));
        let decrypted = reader.read_to_end(&mut text);
        decrypted.map_err(|source| IdentityError::Damaged { path: path.to_owned(), source })?;
        Ok((text, used))
    }

    fn keys(&self) -> Result<Vec<Box<dyn age::Identity>>, IdentityError> {
        let mut keys = Vec::new();
        for path in &self.key_files {
            let failed = |source| IdentityError::Read { path: path.clone(), source };
            let text = read(path).map_err(failed)?;
            if text.starts_with(b"-----BEGIN") {
                let name = Some(path.display().to_string());
                let key = age::ssh::Identity::from_buffer(&text[..], name).map_err(failed)?;
                let key: Box<dyn age::Identity> = Box::new(key.with_callbacks(Terminal));
                keys.push(key);
            } else {
                let file = age::IdentityFile::from_buffer(&text[..]).map_err(failed)?;
                let file = file.with_callbacks(Terminal).into_identities();
                keys.extend(file.map_err(|error| failed(io::Error::other(error)))?);
            }
        }
        Ok(keys)
    }

    fn in_words(&self) -> String {
        if self.passphrase.is_some() && self.key_files.is_empty() {
            return "the passphrase".to_owned();
        }
        let files: Vec<_> = self.key_files.iter().map(|path| format!("`{}`", path.display())).collect();
        if files.is_empty() { "a key: none was given or found".to_owned() } else { files.join(" or ") }
    }
}
