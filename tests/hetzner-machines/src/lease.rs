//! Which interface has which address: what DHCP answers from, and how the metadata service knows who asks.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::dhcp::Lease;

/// Leases of the interfaces of all machines that are on.
#[derive(Debug, Default)]
pub(crate) struct Leases(Mutex<BTreeMap<String, (u64, Lease)>>);

impl Leases {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, (u64, Lease)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An interface of a server, by its Ethernet address, is given a lease.
    pub(crate) fn add(&self, mac: &str, server: u64, lease: Lease) {
        self.all().insert(mac.to_ascii_lowercase(), (server, lease));
    }

    /// A server has no interfaces any more.
    pub(crate) fn remove(&self, server: u64) {
        self.all().retain(|_, (owner, _)| *owner != server);
    }

    /// What the interface with an Ethernet address, in lower case, is given.
    pub(crate) fn of_interface(&self, mac: &str) -> Option<Lease> {
        self.all().get(mac).map(|(_, lease)| lease.clone())
    }

    /// The server with an address. Networks may have the same; then it is the first.
    pub(crate) fn server_at(&self, address: IpAddr) -> Option<u64> {
        let is_there = |lease: &Lease| IpAddr::V4(lease.address) == address;
        self.all().values().find(|(_, lease)| is_there(lease)).map(|(server, _)| *server)
    }
}

/// The address on the public side of a server that has none: the metadata service is reached by it. The provider's
/// documentation does not tell theirs.
pub(crate) fn address_without_public(server: u64) -> Ipv4Addr {
    let [.., high, low] = server.to_be_bytes();
    Ipv4Addr::new(100, 64, high, low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_known_by_its_addresses_while_it_is_on() {
        let leases = Leases::default();
        let (public, private) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(10, 0, 0, 2));
        for (mac, address) in [("96:00:00:00:03:ED", public), ("86:00:03:ed:03:ea", private)] {
            let (gateway, routes, dns) = (Ipv4Addr::new(172, 31, 1, 1), Vec::new(), Vec::new());
            leases.add(mac, 1005, Lease { address, gateway, routes, dns, mtu: 1500 });
        }
        assert_eq!(leases.of_interface("96:00:00:00:03:ed").map(|lease| lease.address), Some(public));
        for address in [public, private] {
            assert_eq!(leases.server_at(address.into()), Some(1005));
        }
        leases.remove(1005);
        assert_eq!((leases.server_at(public.into()), leases.of_interface("86:00:03:ed:03:ea")), (None, None));
    }
}
