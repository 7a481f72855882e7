//! Addresses that are given out: public ones from the ranges of documentation, private ones from subnets.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// Gateway of every server's public interface; nobody else may have it.
pub(crate) const PUBLIC_GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 31, 1, 1);

/// Public IPv4 addresses. One that is freed comes last again, so that a client that remembers it is seen.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    addresses: Vec<Ipv4Addr>,
    next: usize,
    next_v6: u16,
}

impl Pool {
    pub(crate) fn new(ranges: &[Ipv4Net]) -> Self {
        Self { addresses: ranges.iter().flat_map(Ipv4Net::hosts).collect(), next: 0, next_v6: 1 }
    }

    /// One that is not in `used`.
    pub(crate) fn take_v4(&mut self, used: &BTreeSet<Ipv4Addr>) -> Option<Ipv4Addr> {
        let count = self.addresses.len();
        let place = (0..count).map(|step| (self.next + step) % count);
        let place = place.into_iter().find(|place| !used.contains(&self.addresses[*place]))?;
        self.next = place + 1;
        Some(self.addresses[place])
    }

    /// A /64; there are more than any test takes.
    pub(crate) fn take_v6(&mut self) -> Ipv6Net {
        let net = Ipv6Addr::new(0x2001, 0xdb8, 0, self.next_v6, 0, 0, 0, 0);
        self.next_v6 = self.next_v6.wrapping_add(1);
        Ipv6Net::new_assert(net, 64)
    }
}

/// RFC 1918.
pub(crate) fn is_private(range: Ipv4Net) -> bool {
    ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]
        .iter()
        .filter_map(|text| text.parse::<Ipv4Net>().ok())
        .any(|private| private.contains(&range))
}

/// The gateway of a range.
pub(crate) fn first(range: Ipv4Net) -> Ipv4Addr {
    range.hosts().next().unwrap_or_else(|| range.network())
}

pub(crate) fn overlap(one: Ipv4Net, other: Ipv4Net) -> bool {
    one.contains(&other) || other.contains(&one)
}

/// Whether a server in `subnet` of `network` can have `address`, were it free.
pub(crate) fn is_usable(network: Ipv4Net, subnet: Ipv4Net, address: Ipv4Addr) -> bool {
    subnet.contains(&address)
        && ![first(network), first(subnet), subnet.network(), subnet.broadcast(), PUBLIC_GATEWAY]
            .contains(&address)
}

/// The lowest address that is free in `subnet`.
pub(crate) fn lowest(network: Ipv4Net, subnet: Ipv4Net, taken: &BTreeSet<Ipv4Addr>) -> Option<Ipv4Addr> {
    subnet.hosts().find(|address| is_usable(network, subnet, *address) && !taken.contains(address))
}

/// The first range of the size of a /24 in `network` that overlaps none of `taken`.
pub(crate) fn free_range(network: Ipv4Net, taken: &[Ipv4Net]) -> Option<Ipv4Net> {
    network
        .subnets(24.max(network.prefix_len()))
        .ok()?
        .find(|range| !taken.iter().any(|other| overlap(*range, *other)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> Ipv4Net {
        text.parse().unwrap()
    }

    #[test]
    fn freed_addresses_come_last() {
        let mut pool = Pool::new(&[range("192.0.2.0/30"), range("203.0.113.0/30")]);
        let mut used = BTreeSet::new();
        let mut take = |used: &BTreeSet<Ipv4Addr>| pool.take_v4(used).map(|address| address.to_string());
        for expected in ["192.0.2.1", "192.0.2.2", "203.0.113.1"] {
            assert_eq!(take(&used).unwrap(), expected);
            used.insert(expected.parse().unwrap());
        }
        used.remove(&Ipv4Addr::new(192, 0, 2, 1));
        assert_eq!(take(&used).unwrap(), "203.0.113.2");
        used.insert(Ipv4Addr::new(203, 0, 113, 2));
        assert_eq!(take(&used).unwrap(), "192.0.2.1");
        used.insert(Ipv4Addr::new(192, 0, 2, 1));
        assert_eq!(take(&used), None);
        let mut pool = Pool::new(&[]);
        assert_eq!(pool.take_v4(&used), None);
        assert_eq!(pool.take_v6().to_string(), "2001:db8:0:1::/64");
        assert_eq!(pool.take_v6().to_string(), "2001:db8:0:2::/64");
    }

    #[test]
    fn private_addresses_leave_out_what_is_reserved() {
        let (network, subnet) = (range("10.0.0.0/16"), range("10.0.1.0/29"));
        let mut taken = BTreeSet::new();
        for expected in ["10.0.1.2", "10.0.1.3", "10.0.1.4", "10.0.1.5", "10.0.1.6"] {
            let address = lowest(network, subnet, &taken).unwrap();
            assert_eq!(address.to_string(), expected);
            taken.insert(address);
        }
        assert_eq!(lowest(network, subnet, &taken), None);
        let (network, subnet) = (range("172.16.0.0/12"), range("172.31.1.0/24"));
        assert!(!is_usable(network, subnet, PUBLIC_GATEWAY));
        assert!(!is_usable(network, subnet, Ipv4Addr::new(172, 31, 1, 255)));
        assert!(is_usable(network, subnet, Ipv4Addr::new(172, 31, 1, 7)));
    }

    #[test]
    fn the_first_free_range_is_found() {
        let network = range("10.0.0.0/22");
        assert_eq!(free_range(network, &[]), Some(range("10.0.0.0/24")));
        let taken = [range("10.0.0.0/25"), range("10.0.1.0/24")];
        assert_eq!(free_range(network, &taken), Some(range("10.0.2.0/24")));
        assert_eq!(free_range(network, &[network]), None);
        assert!(is_private(network) && !is_private(range("10.0.0.0/7")) && !is_private(range("8.8.8.0/24")));
    }
}
