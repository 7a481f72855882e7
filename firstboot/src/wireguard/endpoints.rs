//! Where tunnels are reached, from names that are resolved again and again. Pure but for what it is given.
//!
//! The last good address is kept: a name server that is away takes no tunnel with it. The kernel is given an address when
//! it is another one than before, or when the tunnel is silent; while it works, WireGuard follows its other end by itself.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::difference::Wanted;
use super::endpoint::Endpoint;
use super::key::WireguardKey;
use super::topology::Tunnel;

/// What is known of the endpoints of all tunnels.
#[derive(Clone, Debug, Default)]
pub struct Endpoints {
    known: BTreeMap<WireguardKey, Known>,
}

#[derive(Clone, Debug)]
struct Known {
    endpoint: Endpoint,
    /// The last good address.
    address: SocketAddr,
    /// Whether the kernel was given it.
    is_given: bool,
}

/// A name without an address.
#[derive(Debug)]
pub struct Unresolved<Error> {
    /// Name of the node.
    pub node: String,
    /// What was asked for.
    pub endpoint: Endpoint,
    /// Why there is no answer.
    pub error: Error,
}

impl Endpoints {
    /// Resolves the endpoints of all `tunnels`; `is_lively` says of a tunnel whether it works. What could not be
    /// resolved keeps the address it had, if it had one.
    ///
    /// Of several addresses the one in use stays as long as it is among them, but for a silent tunnel with a keepalive,
    /// which nothing but a dead end makes silent: that tries the next one each time.
    pub fn resolve<Error>(
        &mut self,
        tunnels: &[Tunnel],
        mut resolve: impl FnMut(&str) -> Result<Vec<IpAddr>, Error>,
        is_lively: impl Fn(&WireguardKey) -> bool,
    ) -> Vec<Unresolved<Error>> {
        let mut before = std::mem::take(&mut self.known);
        let mut unresolved = Vec::new();
        for tunnel in tunnels {
            let Some(endpoint) = &tunnel.endpoint else { continue };
            // An address of another name is none of this one.
            let kept = before.remove(&tunnel.key).filter(|kept| kept.endpoint == *endpoint);
            let is_dead = tunnel.keepalive.is_some() && !is_lively(&tunnel.key);
            let found = match resolve(&endpoint.host) {
                Ok(addresses) => choose(&addresses, kept.as_ref(), is_dead),
                Err(error) => {
                    let (node, endpoint) = (tunnel.node.clone(), endpoint.clone());
                    unresolved.push(Unresolved { node, endpoint, error });
                    None
                }
            };
            let known = match (found.map(|ip| SocketAddr::new(ip, endpoint.port)), kept) {
                (Some(address), Some(kept)) if kept.address == address => kept,
                (Some(address), _) => Known { endpoint: endpoint.clone(), address, is_given: false },
                (None, Some(kept)) => kept,
                (None, None) => continue,
            };
            self.known.insert(tunnel.key, known);
        }
        unresolved
    }

    /// The tunnel as the kernel should have it: with its address where that is news or the tunnel is silent.
    pub fn wanted(&self, tunnel: &Tunnel, is_lively: bool) -> Wanted {
        let known = self.known.get(&tunnel.key).filter(|known| !known.is_given || !is_lively);
        Wanted {
            key: tunnel.key,
            endpoint: known.map(|known| known.address),
            allowed: tunnel.allowed.clone(),
            keepalive: tunnel.keepalive.unwrap_or(0),
        }
    }

    /// Takes note that the kernel has all of [`Self::wanted`].
    pub fn given(&mut self) {
        self.known.values_mut().for_each(|known| known.is_given = true);
    }
}

/// IPv4 comes first: every uplink has it.
fn choose(addresses: &[IpAddr], kept: Option<&Known>, is_dead: bool) -> Option<IpAddr> {
    let mut addresses = addresses.to_vec();
    addresses.sort();
    addresses.dedup();
    let kept = kept.map(|kept| kept.address.ip());
    let position = kept.and_then(|kept| addresses.iter().position(|address| *address == kept));
    let index = match position {
        Some(position) if is_dead => (position + 1) % addresses.len(),
        Some(position) => position,
        None => 0,
    };
    addresses.get(index).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Role;
    use crate::wireguard::topology::Topology;
    use crate::wireguard::topology::tests::{example, place};

    /// The tunnels of an edge, which has one with `cp1`, `cp2` and `w1`.
    fn tunnels() -> Vec<Tunnel> {
        let peers = example();
        let edge = peers.iter().find(|peer| peer.role == Role::Edge).unwrap();
        Topology::new(&place(edge), &peers, None).tunnels
    }

    /// A name server that knows one name.
    fn knows(
        name: &'static str,
        addresses: &[&str],
    ) -> impl FnMut(&str) -> Result<Vec<IpAddr>, &'static str> {
        let addresses: Vec<IpAddr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
        move |asked| if asked == name { Ok(addresses.clone()) } else { Err("unknown") }
    }

    const NAME: &str = "cp1.example.org";

    fn shown(endpoints: &Endpoints, is_lively: bool) -> Option<String> {
        endpoints.wanted(&tunnels()[0], is_lively).endpoint.map(|address| address.to_string())
    }

    #[test]
    fn the_last_good_address_is_kept() {
        let mut endpoints = Endpoints::default();
        let unresolved = endpoints.resolve(&tunnels(), knows(NAME, &["192.0.2.1"]), |_| true);
        let names: Vec<&str> = unresolved.iter().map(|fault| fault.node.as_str()).collect();
        assert_eq!(names, ["cp2", "w1"], "what has no address is told");
        assert_eq!(shown(&endpoints, true).as_deref(), Some("192.0.2.1:51820"));
        assert_eq!(endpoints.wanted(&tunnels()[1], true).endpoint, None);
        for _ in 0..2 {
            assert_eq!(endpoints.resolve(&tunnels(), knows("other", &[]), |_| true).len(), 3);
            assert_eq!(shown(&endpoints, true).as_deref(), Some("192.0.2.1:51820"));
        }
        // An answer without an address is none.
        endpoints.resolve(&tunnels(), knows(NAME, &[]), |_| true);
        assert_eq!(shown(&endpoints, true).as_deref(), Some("192.0.2.1:51820"));
    }

    #[test]
    fn a_tunnel_that_works_is_left_where_it_is_until_the_name_moves() {
        let mut endpoints = Endpoints::default();
        let answer = |address: &str, endpoints: &mut Endpoints| {
            endpoints.resolve(&tunnels(), knows(NAME, &[address]), |_| true);
        };
        answer("192.0.2.1", &mut endpoints);
        endpoints.given();
        answer("192.0.2.1", &mut endpoints);
        assert_eq!(shown(&endpoints, true), None);
        assert_eq!(
            shown(&endpoints, false).as_deref(),
            Some("192.0.2.1:51820"),
            "a silent one is told again"
        );
        answer("192.0.2.2", &mut endpoints);
        assert_eq!(shown(&endpoints, true).as_deref(), Some("192.0.2.2:51820"));
        endpoints.given();
        assert_eq!(shown(&endpoints, true), None);
    }

    #[test]
    fn of_several_addresses_one_is_kept_and_a_dead_tunnel_tries_them_all() {
        let all = ["2001:db8::1", "192.0.2.2", "192.0.2.1"];
        let mut endpoints = Endpoints::default();
        let mut next = |is_lively: bool, addresses: &[&str]| {
            endpoints.resolve(&tunnels(), knows(NAME, addresses), |_| is_lively);
            endpoints.wanted(&tunnels()[0], is_lively).endpoint.unwrap().ip().to_string()
        };
        assert_eq!(next(true, &all), "192.0.2.1");
        // Name servers turn their answers.
        assert_eq!(next(true, &["192.0.2.2", "192.0.2.1"]), "192.0.2.1");
        assert_eq!(next(false, &all), "192.0.2.2");
        assert_eq!(next(false, &all), "2001:db8::1");
        assert_eq!(next(true, &all), "2001:db8::1");
        assert_eq!(next(false, &all), "192.0.2.1");
        assert_eq!(next(true, &["192.0.2.9"]), "192.0.2.9");
    }

    #[test]
    fn a_silent_tunnel_without_a_keepalive_may_have_nothing_to_say() {
        let mut tunnels = tunnels();
        tunnels[0].keepalive = None;
        let mut endpoints = Endpoints::default();
        for _ in 0..2 {
            endpoints.resolve(&tunnels, knows(NAME, &["192.0.2.1", "192.0.2.2"]), |_| false);
            assert_eq!(shown(&endpoints, false).as_deref(), Some("192.0.2.1:51820"));
        }
    }

    #[test]
    fn another_name_has_another_address_and_a_node_that_went_is_forgotten() {
        let mut endpoints = Endpoints::default();
        endpoints.resolve(&tunnels(), knows(NAME, &["192.0.2.1"]), |_| true);
        let mut renamed = tunnels();
        renamed[0].endpoint = Some("new.example.org:1".parse().unwrap());
        endpoints.resolve(&renamed, knows("other", &[]), |_| true);
        assert_eq!(shown(&endpoints, true), None);
        endpoints.resolve(&tunnels(), knows(NAME, &["192.0.2.1"]), |_| true);
        endpoints.resolve(&[], knows(NAME, &[]), |_| true);
        assert_eq!(shown(&endpoints, false), None);
    }
}
