//! Addresses: IPv4 ranges of the cluster, addresses with prefix length, Ethernet addresses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use ipnet::Ipv4Net;
use thiserror::Error;

use super::text::checked_text;

/// An IPv4 network in CIDR notation, `10.44.0.0/16`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Range {
    first: Ipv4Addr,
    prefix: u8,
}

checked_text! {
    /// An address of an interface with its prefix length, `192.168.1.20/24`.
    InterfaceAddress
}

checked_text! {
    /// An Ethernet address, `52:54:00:12:34:56`, lower case.
    Mac
}

/// Why a text is no address of its kind.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum NetworkError {
    /// No `address/length`.
    #[error("`{text}` is no IPv4 range such as `10.44.0.0/16`")]
    Range {
        /// The text.
        text: String,
    },
    /// Bits behind the prefix are set.
    #[error("`{text}` has bits behind its prefix; the range is `{range}`")]
    HostBits {
        /// The text.
        text: String,
        /// The range it lies in.
        range: Range,
    },
    /// A range that no host can use.
    #[error("`{range}` holds {what} addresses, which no cluster can use")]
    Unusable {
        /// The range.
        range: Range,
        /// Loopback, link-local, multicast, reserved.
        what: &'static str,
    },
    /// No `address/length`.
    #[error("`{text}` is no address with prefix length such as `192.168.1.20/24`")]
    Address {
        /// The text.
        text: String,
    },
    /// Not six pairs of hexadecimal digits.
    #[error("`{text}` is no Ethernet address such as `52:54:00:12:34:56`")]
    Mac {
        /// The text.
        text: String,
    },
    /// A group address, which no interface has.
    #[error("`{text}` is a multicast address, which no interface has")]
    MulticastMac {
        /// The text.
        text: String,
    },
}

impl Range {
    /// Length of the prefix in bits.
    pub const fn prefix(self) -> u8 {
        self.prefix
    }

    /// How many addresses the range has.
    pub fn size(self) -> u64 {
        1 << (32 - u32::from(self.prefix))
    }

    /// The address `offset` places behind the first; `None` behind the end.
    pub fn nth(self, offset: u32) -> Option<Ipv4Addr> {
        let address = Ipv4Addr::from_bits(self.first.to_bits().checked_add(offset)?);
        self.contains(address).then_some(address)
    }

    /// Whether `address` lies inside.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        mask(address, self.prefix) == self.first
    }

    /// Whether all of it is for private networks (RFC 1918).
    pub fn is_private(self) -> bool {
        let whole = [(10, 0, 0, 0, 8), (172, 16, 0, 0, 12), (192, 168, 0, 0, 16)];
        whole.into_iter().any(|(a, b, c, d, prefix)| {
            let range = Self { first: Ipv4Addr::new(a, b, c, d), prefix };
            self.prefix >= prefix && range.contains(self.first)
        })
    }

    /// Whether any address lies in both.
    pub fn overlaps(self, other: Self) -> bool {
        self.contains(other.first) || other.contains(self.first)
    }

    /// Whether a host can have `address`: inside, neither network nor broadcast address.
    pub fn has_host(self, address: Ipv4Addr) -> bool {
        let last = u64::from(self.first.to_bits()) + self.size() - 1;
        self.contains(address) && address != self.first && u64::from(address.to_bits()) != last
    }
}

/// Clears the bits behind `prefix`.
fn mask(address: Ipv4Addr, prefix: u8) -> Ipv4Addr {
    let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
    Ipv4Addr::from_bits(address.to_bits() & mask)
}

impl From<Range> for Ipv4Net {
    fn from(range: Range) -> Self {
        Self::new_assert(range.first, range.prefix)
    }
}

impl fmt::Display for Range {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.first, self.prefix)
    }
}

impl serde::Serialize for Range {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for Range {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || NetworkError::Range { text: text.to_owned() };
        let (address, prefix) = text.split_once('/').ok_or_else(wrong)?;
        let address: Ipv4Addr = address.parse().map_err(|_| wrong())?;
        let prefix = decimal(prefix).filter(|prefix| *prefix <= 32).ok_or_else(wrong)?;
        let range = Self { first: mask(address, prefix), prefix };
        if range.first != address {
            return Err(NetworkError::HostBits { text: text.to_owned(), range });
        }
        match unusable(range) {
            Some(what) => Err(NetworkError::Unusable { range, what }),
            None => Ok(range),
        }
    }
}

/// Special-purpose blocks (RFC 6890) that a cluster's packets can't use.
fn unusable(range: Range) -> Option<&'static str> {
    const BLOCKS: [([u8; 4], u8, &str); 4] = [
        ([0, 0, 0, 0], 8, "\"this network\""),
        ([127, 0, 0, 0], 8, "loopback"),
        ([169, 254, 0, 0], 16, "link-local"),
        ([224, 0, 0, 0], 3, "multicast or reserved"),
    ];
    BLOCKS
        .iter()
        .find(|(first, prefix, _)| range.overlaps(Range { first: (*first).into(), prefix: *prefix }))
        .map(|(_, _, what)| *what)
}

/// Digits only: `parse` alone would take `+8`.
fn decimal(text: &str) -> Option<u8> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

impl InterfaceAddress {
    /// The address without its prefix length.
    pub fn address(&self) -> IpAddr {
        self.split().0
    }

    /// Whether `other` is a neighbour: the same version and prefix.
    pub fn reaches(&self, other: IpAddr) -> bool {
        match self.split() {
            (IpAddr::V4(own), prefix) => {
                matches!(other, IpAddr::V4(other) if mask(own, prefix) == mask(other, prefix))
            }
            (IpAddr::V6(own), prefix) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
                matches!(other, IpAddr::V6(other) if own.to_bits() & mask == other.to_bits() & mask)
            }
        }
    }

    fn split(&self) -> (IpAddr, u8) {
        split_address(&self.0).expect("an interface address was parsed when it was made")
    }
}

fn split_address(text: &str) -> Option<(IpAddr, u8)> {
    let (address, prefix) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let prefix = decimal(prefix).filter(|prefix| (1..=most).contains(prefix))?;
    Some((address, prefix))
}

impl FromStr for InterfaceAddress {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || NetworkError::Address { text: text.to_owned() };
        let (address, _) = split_address(text).ok_or_else(wrong)?;
        if address.is_unspecified() || address.is_multicast() || address.is_loopback() {
            return Err(wrong());
        }
        Ok(Self(text.to_owned()))
    }
}

impl FromStr for Mac {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_pair = |pair: &str| pair.len() == 2 && pair.bytes().all(|byte| byte.is_ascii_hexdigit());
        if text.split(':').count() != 6 || !text.split(':').all(is_pair) {
            return Err(NetworkError::Mac { text: text.to_owned() });
        }
        // The lowest bit of the first octet marks a group (IEEE 802, 8.2.2).
        let first = u8::from_str_radix(&text[..2], 16).unwrap_or(0);
        if first & 1 == 1 {
            return Err(NetworkError::MulticastMac { text: text.to_owned() });
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> Range {
        text.parse().unwrap()
    }

    #[test]
    fn counts_hosts_of_a_range() {
        let vpn = range("10.44.0.0/24");
        assert_eq!(vpn.nth(1), Some(Ipv4Addr::new(10, 44, 0, 1)));
        assert_eq!(vpn.nth(256), None);
        assert!(!vpn.has_host(Ipv4Addr::new(10, 44, 0, 0)));
        assert!(vpn.has_host(Ipv4Addr::new(10, 44, 0, 254)));
        assert!(!vpn.has_host(Ipv4Addr::new(10, 44, 0, 255)));
    }

    #[test]
    fn finds_overlaps_both_ways() {
        assert!(range("10.0.0.0/8").overlaps(range("10.44.0.0/16")));
        assert!(range("10.44.0.0/16").overlaps(range("10.0.0.0/8")));
        assert!(!range("10.43.0.0/16").overlaps(range("10.44.0.0/16")));
    }

    #[test]
    fn names_the_range_that_was_meant() {
        let error = "10.44.1.2/16".parse::<Range>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "`10.44.1.2/16` has bits behind its prefix; the range is `10.44.0.0/16`"
        );
        for text in ["0.0.0.0/0", "127.0.0.0/24", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/8"] {
            let error = text.parse::<Range>().unwrap_err();
            assert!(matches!(error, NetworkError::Unusable { .. }), "{text}: {error}");
        }
        for text in ["", "10.44.0.0", "10.44.0.0/33", "10.44.0.0/+8", "10.44.0/16", "fd00::/64"] {
            assert_eq!(text.parse::<Range>(), Err(NetworkError::Range { text: text.to_owned() }), "{text}");
        }
    }

    #[test]
    fn knows_neighbours() {
        let address: InterfaceAddress = "192.168.1.20/24".parse().unwrap();
        assert!(address.reaches("192.168.1.1".parse().unwrap()));
        assert!(!address.reaches("192.168.2.1".parse().unwrap()));
        let address: InterfaceAddress = "2001:db8::5/64".parse().unwrap();
        assert!(address.reaches("2001:db8::1".parse().unwrap()));
        assert!(!address.reaches("192.168.1.1".parse().unwrap()));
    }

    #[test]
    fn writes_ethernet_addresses_in_lower_case() {
        assert_eq!(
            "52:54:00:AB:cd:EF".parse::<Mac>().map(|mac| mac.to_string()),
            Ok("52:54:00:ab:cd:ef".into())
        );
        for text in ["52:54:00:12:34", "52-54-00-12-34-56", "52:54:00:12:34:5g", "5é:54:00:12:34:56"] {
            assert_eq!(text.parse::<Mac>(), Err(NetworkError::Mac { text: text.to_owned() }), "{text}");
        }
    }
}
