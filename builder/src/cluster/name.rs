//! Names: of nodes and clusters, of the endpoint, of time zones.

use std::net::IpAddr;
use std::str::FromStr;

use thiserror::Error;

use super::text::checked_text;

/// Longest DNS label (RFC 1035, 2.3.4).
const LABEL: usize = 63;
/// Longest DNS name in text (RFC 1035, 2.3.4).
const NAME: usize = 253;

checked_text! {
    /// A DNS label (RFC 1123, 2.1): up to 63 lower-case letters, digits and inner hyphens.
    DnsLabel
}

checked_text! {
    /// Where the control plane is reached from the Internet: a DNS name or an IP address, without
    /// scheme and port.
    Endpoint
}

checked_text! {
    /// A DNS name of at least two labels, `lab.example.org`.
    Domain
}

checked_text! {
    /// A name of the tz database, `Europe/Berlin`.
    TimeZone
}

/// Why a text is no name of its kind.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum NameError {
    /// Nothing there.
    #[error("a name has at least one character")]
    Empty,
    /// Too many characters.
    #[error("a DNS {kind} has at most {most} characters, `{name}` has {length}")]
    Long {
        /// Label or name.
        kind: &'static str,
        /// The text.
        name: String,
        /// The limit.
        most: usize,
        /// What it has.
        length: usize,
    },
    /// A character that has no place in a label.
    #[error(
        "`{character}` has no place in `{name}`: a DNS label holds lower-case letters, digits and hyphens"
    )]
    Character {
        /// The text.
        name: String,
        /// The first offending character.
        character: char,
    },
    /// A hyphen at an end.
    #[error("`{name}` begins or ends with a hyphen, which no DNS label does")]
    Hyphen {
        /// The text.
        name: String,
    },
    /// Scheme, port or path around the host.
    #[error("`{endpoint}` is more than a host: the endpoint is a DNS name or an IP address alone")]
    NotHost {
        /// The text.
        endpoint: String,
    },
    /// All-numeric last label, so meant as an address.
    #[error("`{endpoint}` is neither a DNS name nor an IP address")]
    NotAddress {
        /// The text.
        endpoint: String,
    },
    /// One label, or an address.
    #[error("`{domain}` is no domain such as `lab.example.org`")]
    Domain {
        /// The text.
        domain: String,
    },
    /// Not formed like a name of the tz database.
    #[error("`{zone}` is no time zone name such as `Europe/Berlin` or `Etc/UTC`")]
    Zone {
        /// The text.
        zone: String,
    },
}

fn check_label(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if let Some(character) = name.chars().find(|character| !is_allowed(*character)) {
        return Err(NameError::Character { name: name.to_owned(), character });
    }
    if name.len() > LABEL {
        let length = name.len();
        return Err(NameError::Long { kind: "label", name: name.to_owned(), most: LABEL, length });
    }
    if name.starts_with('-') || name.ends_with('-') {
        return Err(NameError::Hyphen { name: name.to_owned() });
    }
    Ok(())
}

impl FromStr for DnsLabel {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        check_label(text).map(|()| Self(text.to_owned()))
    }
}

impl FromStr for Endpoint {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.parse::<IpAddr>().is_ok() {
            return Ok(Self(text.to_owned()));
        }
        if text.contains([':', '/', '@', '[']) {
            return Err(NameError::NotHost { endpoint: text.to_owned() });
        }
        if text.len() > NAME {
            let length = text.len();
            return Err(NameError::Long { kind: "name", name: text.to_owned(), most: NAME, length });
        }
        text.split('.').try_for_each(check_label)?;
        let is_numeric =
            text.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
        if is_numeric {
            Err(NameError::NotAddress { endpoint: text.to_owned() })
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

impl FromStr for Domain {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Endpoint(name) = text.parse()?;
        // An address with dots has no labels that names could end in.
        if name.contains('.') && name.parse::<IpAddr>().is_err() {
            Ok(Self(name))
        } else {
            Err(NameError::Domain { domain: name })
        }
    }
}

impl FromStr for TimeZone {
    type Err = NameError;

    /// Checks the form only: the zones themselves lie in the image's tzdata, not in this program.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_part = |part: &str| {
            part.starts_with(|first: char| first.is_ascii_alphabetic())
                && part.chars().all(|c| c.is_ascii_alphanumeric() || "+-_".contains(c))
        };
        if text.split('/').all(is_part) && text.split('/').count() <= 3 {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::Zone { zone: text.to_owned() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_hosts_alone_as_endpoint() {
        for host in ["203.0.113.10", "2001:db8::1", "cluster.example.org", "k"] {
            assert_eq!(host.parse::<Endpoint>().map(|endpoint| endpoint.to_string()), Ok(host.to_owned()));
        }
        for host in ["https://a.example", "a.example:6443", "[2001:db8::1]"] {
            assert_eq!(host.parse::<Endpoint>(), Err(NameError::NotHost { endpoint: host.to_owned() }));
        }
        assert_eq!(
            "203.0.113.300".parse::<Endpoint>(),
            Err(NameError::NotAddress { endpoint: "203.0.113.300".to_owned() })
        );
        assert_eq!("a..b".parse::<Endpoint>(), Err(NameError::Empty));
    }

    #[test]
    fn accepts_zone_names_of_the_tz_database() {
        for zone in
            ["UTC", "Etc/GMT+5", "America/Argentina/Buenos_Aires", "America/Port-au-Prince", "EST5EDT"]
        {
            assert_eq!(zone.parse::<TimeZone>().map(|zone| zone.to_string()), Ok(zone.to_owned()));
        }
        for zone in ["", "/Europe", "Europe/", "../etc/passwd", "a/b/c/d", "Europe Berlin"] {
            assert_eq!(zone.parse::<TimeZone>(), Err(NameError::Zone { zone: zone.to_owned() }), "{zone}");
        }
    }

    #[test]
    fn accepts_labels_of_up_to_63_characters() {
        let longest = "a".repeat(63);
        assert_eq!(longest.parse::<DnsLabel>().map(|label| label.to_string()), Ok(longest.clone()));
        let error = format!("{longest}a").parse::<DnsLabel>().unwrap_err();
        assert!(matches!(error, NameError::Long { most: 63, length: 64, .. }), "{error}");
    }
}
