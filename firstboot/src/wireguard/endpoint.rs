//! Where a tunnel is reached: a name or an address, and a UDP port.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

/// Bytes of a DNS name (RFC 1035, 2.3.4).
const LONGEST_NAME: usize = 253;

/// `host:port`; an IPv6 address stands in brackets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Endpoint {
    /// DNS name or address, without brackets.
    pub host: String,
    /// UDP port, not 0.
    pub port: u16,
}

/// A text that is no endpoint.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("`{}` is no endpoint, `host:port`", .0.escape_debug())]
pub struct NoEndpoint(pub String);

impl FromStr for Endpoint {
    type Err = NoEndpoint;

    fn from_str(text: &str) -> Result<Self, NoEndpoint> {
        let parts = || {
            let (host, port) = text.rsplit_once(':')?;
            let port = port.parse().ok().filter(|port| *port != 0)?;
            let host = match host.strip_prefix('[') {
                Some(rest) => rest.strip_suffix(']').filter(|inner| inner.parse::<Ipv6Addr>().is_ok())?,
                None => host,
            };
            Some((host, port))
        };
        let is_host = |host: &str| {
            if host.len() > LONGEST_NAME {
                return false;
            }
            let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
            host.parse::<IpAddr>().is_ok() || (!host.is_empty() && host.bytes().all(is_name_byte))
        };
        let (host, port) =
            parts().filter(|(host, _)| is_host(host)).ok_or_else(|| NoEndpoint(text.to_owned()))?;
        // `fe80::1:51820` is an address and no endpoint.
        if host.contains(':') && !text.starts_with('[') {
            return Err(NoEndpoint(text.to_owned()));
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(formatter, "[{}]:{}", self.host, self.port)
        } else {
            write!(formatter, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_read_as_they_are_written() {
        for (text, host, port) in [
            ("cp1.example.org:51820", "cp1.example.org", 51820),
            ("192.0.2.7:1", "192.0.2.7", 1),
            ("[2001:db8::7]:65535", "2001:db8::7", 65535),
        ] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!((endpoint.host.as_str(), endpoint.port), (host, port));
            assert_eq!(endpoint.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_endpoint_is_refused() {
        for text in [
            "",
            "cp1.example.org",
            ":51820",
            "cp1:0",
            "cp1:65536",
            "fe80::1:51820",
            "[cp1]:51820",
            "[::1:51820",
            "c p:1",
        ] {
            assert_eq!(text.parse::<Endpoint>(), Err(NoEndpoint(text.to_owned())));
        }
    }
}
