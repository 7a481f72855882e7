//! What an identity is encrypted to.

use std::fmt;
use std::io::Write as _;
use std::path::Path;
use std::str::FromStr;

use age::Encryptor;
use age::secrecy::SecretString;
use thiserror::Error;

use super::IdentityError;

/// The work that a passphrase takes, as a power of two: what age's own program asks for, about a second. The library
/// would measure this machine instead, and ask for less where it is busy.
const WORK_FACTOR: u8 = 18;

/// What an identity is encrypted to: either a passphrase or keys (age-encryption.org/v1).
#[derive(Clone, Debug)]
pub enum Protection {
    /// A passphrase.
    Passphrase(SecretString),
    /// Keys.
    Recipients(Vec<Recipient>),
}

/// A public key that an identity is encrypted to.
#[derive(Clone)]
pub enum Recipient {
    /// Of age, `age1…`.
    Age(age::x25519::Recipient),
    /// Of OpenSSH, a line as in a `.pub` file.
    Ssh(age::ssh::Recipient),
}

/// A text is no public key that age can encrypt to.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("`{text}` is neither an age public key (`age1…`) nor an SSH one of type ssh-ed25519 or ssh-rsa")]
pub struct RecipientError {
    text: String,
}

impl FromStr for Recipient {
    type Err = RecipientError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let age = text.parse().map(Self::Age).ok();
        let known = age.or_else(|| text.parse().map(Self::Ssh).ok());
        // A private key pasted by mistake must not be repeated.
        let is_secret = ["SECRET", "PRIVATE"].iter().any(|word| text.to_uppercase().contains(word));
        known.ok_or_else(|| RecipientError { text: if is_secret { "<secret>" } else { text }.to_owned() })
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Age(recipient) => recipient.fmt(formatter),
            Self::Ssh(recipient) => recipient.fmt(formatter),
        }
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Protection {
    /// The keys; none with a passphrase.
    pub fn recipients(&self) -> &[Recipient] {
        match self {
            Self::Passphrase(_) => &[],
            Self::Recipients(recipients) => recipients,
        }
    }

    pub(super) fn encrypt(&self, text: &[u8], path: &Path) -> Result<Vec<u8>, IdentityError> {
        let refused = |source| IdentityError::Encrypt { path: path.to_owned(), source: Box::new(source) };
        let encryptor = match self {
            Self::Passphrase(passphrase) => {
                let mut recipient = age::scrypt::Recipient::new(passphrase.clone());
                recipient.set_work_factor(WORK_FACTOR);
                let recipients: [&dyn age::Recipient; 1] = [&recipient];
                Encryptor::with_recipients(recipients.into_iter()).map_err(refused)?
            }
            Self::Recipients(recipients) => {
                let recipients = recipients.iter().map(|recipient| -> &dyn age::Recipient {
                    match recipient {
                        Recipient::Age(recipient) => recipient,
                        Recipient::Ssh(recipient) => recipient,
                    }
                });
                Encryptor::with_recipients(recipients).map_err(refused)?
            }
        };
        let mut encrypted = Vec::new();
        let written = encryptor.wrap_output(&mut encrypted).and_then(|mut output| {
            output.write_all(text)?;
            output.finish().map(drop)
        });
        written.map_err(|source| IdentityError::Write { path: path.to_owned(), source })?;
        Ok(encrypted)
    }
}
