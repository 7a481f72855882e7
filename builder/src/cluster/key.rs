//! OpenSSH public key lines.

use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

use super::text::checked_text;

/// Key types that OpenSSH 10 of Debian 13 accepts; DSA is gone.
const TYPES: [&str; 7] = [
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

checked_text! {
    /// An OpenSSH public key line: type, base64, perhaps a comment.
    SshKey
}

/// Why a text is no public key line.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum SshKeyError {
    /// A private key was pasted. The text is kept out of the message.
    #[error("this is a private key; the cluster file takes the line of the `.pub` file")]
    Private,
    /// More than one line.
    #[error("a public key is one line, this has {lines}")]
    Lines {
        /// How many.
        lines: usize,
    },
    /// Unknown or missing type.
    #[error("a public key line begins with its type, such as `ssh-ed25519`, not with `{found}`")]
    Type {
        /// The first word.
        found: String,
    },
    /// No key behind the type.
    #[error("the key behind `{kind}` is no base64")]
    Base64 {
        /// The first word.
        kind: String,
    },
    /// The key's fields do not add up to its length (RFC 4253, 6.6).
    #[error("the key behind `{kind}` is cut off or has bytes too many")]
    Length {
        /// The first word.
        kind: String,
    },
    /// The key says another type than the line.
    #[error("the line says `{kind}`, the key inside says `{inner}`")]
    Mismatch {
        /// The first word.
        kind: String,
        /// The key's own first field.
        inner: String,
    },
}

impl FromStr for SshKey {
    type Err = SshKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let line = text.trim();
        if line.contains("PRIVATE KEY") {
            return Err(SshKeyError::Private);
        }
        if line.lines().count() > 1 {
            return Err(SshKeyError::Lines { lines: line.lines().count() });
        }
        let mut words = line.split_ascii_whitespace();
        let kind = words.next().unwrap_or_default().to_owned();
        if !TYPES.contains(&kind.as_str()) {
            return Err(SshKeyError::Type { found: kind });
        }
        let blob = words.next().and_then(|word| STANDARD.decode(word).ok());
        let Some(blob) = blob.filter(|blob| !blob.is_empty()) else {
            return Err(SshKeyError::Base64 { kind });
        };
        let Some(fields) = fields(&blob).filter(|fields| fields.len() >= 2) else {
            return Err(SshKeyError::Length { kind });
        };
        let inner =
            fields.first().map(|field| String::from_utf8_lossy(field).into_owned()).unwrap_or_default();
        if inner != kind {
            return Err(SshKeyError::Mismatch { kind, inner });
        }
        Ok(Self(line.to_owned()))
    }
}

/// Splits a key into its fields, each a big-endian 32-bit length and as many bytes (RFC 4251, 5).
fn fields(mut blob: &[u8]) -> Option<Vec<&[u8]>> {
    let mut fields = Vec::new();
    while !blob.is_empty() {
        let (length, rest) = blob.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (field, rest) = rest.split_at_checked(length)?;
        fields.push(field);
        blob = rest;
    }
    Some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ada@example.org";

    #[test]
    fn accepts_a_key_with_and_without_comment() {
        assert_eq!(ED25519.parse::<SshKey>().map(|key| key.to_string()), Ok(ED25519.to_owned()));
        let bare = ED25519.trim_end_matches(" ada@example.org");
        assert_eq!(format!("{bare}\n").parse::<SshKey>().map(|key| key.to_string()), Ok(bare.to_owned()));
    }

    #[test]
    fn refuses_what_is_no_public_key_line() {
        let cut = ED25519.replace("HB0eHx", "").replace("Ghscf", "");
        let blob = ED25519.split(' ').nth(1).unwrap();
        for (line, error) in [
            ("", SshKeyError::Type { found: String::new() }),
            ("ssh-dss AAAA", SshKeyError::Type { found: "ssh-dss".into() }),
            ("ssh-ed25519", SshKeyError::Base64 { kind: "ssh-ed25519".into() }),
            ("ssh-ed25519 !!!!", SshKeyError::Base64 { kind: "ssh-ed25519".into() }),
            ("-----BEGIN OPENSSH PRIVATE KEY-----", SshKeyError::Private),
            (&format!("{cut}\n{cut}"), SshKeyError::Lines { lines: 2 }),
            ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5", SshKeyError::Length { kind: "ssh-ed25519".into() }),
            (
                &format!("ssh-rsa {blob}"),
                SshKeyError::Mismatch { kind: "ssh-rsa".into(), inner: "ssh-ed25519".into() },
            ),
        ] {
            assert_eq!(line.parse::<SshKey>(), Err(error), "{line}");
        }
    }
}
