//! Whom and what the cluster talks to: mail addresses, host keys.

use std::str::FromStr;

use thiserror::Error;

use super::text::checked_text;
use super::{Endpoint, SshKey};

checked_text! {
    /// A mail address, `ops@example.org`.
    MailAddress
}

checked_text! {
    /// A line of an OpenSSH `known_hosts` file: host names, type, base64.
    KnownHost
}

/// Why a text is none of these.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum AccessError {
    /// No `name@host`.
    #[error("`{text}` is no mail address such as `ops@example.org`")]
    Mail {
        /// The text.
        text: String,
    },
    /// No host names before the key.
    #[error(
        "`{text}` is no line of a known_hosts file: host names, type and key, as `ssh-keyscan` prints them"
    )]
    Host {
        /// The text.
        text: String,
    },
    /// Host names, but no key behind them.
    #[error(transparent)]
    Key(#[from] super::SshKeyError),
}

impl FromStr for MailAddress {
    type Err = AccessError;

    /// The form that people have, not all that RFC 5321 allows.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_address = text.rsplit_once('@').is_some_and(|(name, host)| {
            (1..=64).contains(&name.len())
                && name.chars().all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c))
                && host.contains('.')
                && host.to_ascii_lowercase().parse::<Endpoint>().is_ok()
        });
        if is_address { Ok(Self(text.to_owned())) } else { Err(AccessError::Mail { text: text.to_owned() }) }
    }
}

impl FromStr for KnownHost {
    type Err = AccessError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || AccessError::Host { text: text.to_owned() };
        let line = text.trim();
        let (hosts, key) = line.split_once(' ').ok_or_else(wrong)?;
        let is_name = |host: &str| {
            !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || "[]:.-_|+/=*?!".contains(c))
        };
        // A key without host names before it is the usual slip.
        if !hosts.split(',').all(is_name) || hosts.parse::<SshKey>().is_ok() || !key.contains(' ') {
            return Err(wrong());
        }
        key.parse::<SshKey>()?;
        Ok(Self(line.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

    #[test]
    fn accepts_the_forms_of_a_mail_address() {
        for (text, is_fine) in [
            ("ops@example.org", true),
            ("a.b+c@mail.example.org", true),
            ("ops", false),
            ("@example.org", false),
            ("ops@localhost", false),
            ("ops@203.0.113.7.8", false),
            ("a b@example.org", false),
        ] {
            assert_eq!(text.parse::<MailAddress>().is_ok(), is_fine, "{text}");
        }
    }

    #[test]
    fn accepts_lines_of_a_known_hosts_file() {
        for hosts in ["git.example.org", "git.example.org,203.0.113.7", "[git.example.org]:2222"] {
            assert!(format!("{hosts} {KEY}").parse::<KnownHost>().is_ok(), "{hosts}");
        }
        for text in ["", "git.example.org", KEY] {
            assert_eq!(text.parse::<KnownHost>(), Err(AccessError::Host { text: text.to_owned() }), "{text}");
        }
        assert!(matches!("git.example.org ssh-dss AAAA".parse::<KnownHost>(), Err(AccessError::Key(_))));
    }
}
