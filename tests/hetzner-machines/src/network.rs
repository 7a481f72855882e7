//! The network in which the machines are: the simulated Internet, and private networks that nobody reaches from there.
//!
//! ```text
//!   the command, machines that it boots        198.18.0.1
//!        |
//!   this namespace, a router: metadata 169.254.169.254, name servers, DHCP, gateways
//!        |  TAP, 172.31.1.1 and fe80::1              |  TAP, first address of the range
//!   public interface: one /32, one IPv6 /64     private interface: one /32, MTU 1450
//! ```
//!
//! Every interface has a TAP of its own, as the provider's network has no wire that two servers share: what one sends
//! to another is routed. Firewalls are not simulated. A wire that breaks or lies would be a proxy in front of a server's
//! port, by a route of the server's address to that proxy's own network.
//!
//! Two private networks with one range cannot have servers that are on at the same time.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use imgbuild::process::{ProcessError, Program, find};
use ipnet::{Ipv4Net, Ipv6Net};
use thiserror::Error;

/// On every public interface's wire.
pub(crate) const PUBLIC_GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 31, 1, 1);
/// The metadata service.
pub(crate) const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
/// The provider's name servers.
pub(crate) const DNS: [Ipv4Addr; 2] = [Ipv4Addr::new(185, 12, 64, 1), Ipv4Addr::new(185, 12, 64, 2)];
/// The same by IPv6.
pub(crate) const DNS_V6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0x2a01, 0x4ff, 0xff00, 0, 0, 0, 0x0add, 1),
    Ipv6Addr::new(0x2a01, 0x4ff, 0xff00, 0, 0, 0, 0x0add, 2),
];
/// The default route.
pub(crate) const EVERYWHERE: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0);
/// This computer on the simulated Internet (RFC 2544, RFC 3849).
pub(crate) const HERE: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
const HERE_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1);
/// Bytes of a packet.
pub(crate) const PUBLIC_MTU: u16 = 1500;
pub(crate) const PRIVATE_MTU: u16 = 1450;
/// For one change.
const DEADLINE: Duration = Duration::from_secs(30);
/// Rules of routing: what gateways themselves send, what comes from a network's own servers, and that nothing else gets
/// into it.
const FROM_GATEWAYS: u32 = 80;
const FROM_INSIDE: u32 = 90;
const FROM_OUTSIDE: u32 = 100;

/// A router between its interfaces that believes all of them.
const SYSCTLS: [(&str, &str); 7] = [
    ("ipv4/ip_forward", "1"),
    ("ipv4/conf/all/rp_filter", "0"),
    ("ipv4/conf/default/rp_filter", "0"),
    // Servers would learn ways to each other that are not there.
    ("ipv4/conf/all/send_redirects", "0"),
    ("ipv4/conf/default/send_redirects", "0"),
    ("ipv6/conf/all/forwarding", "1"),
    // Low ports, for programs of the command that are nobody in particular.
    ("ipv4/ip_unprivileged_port_start", "0"),
];

/// Why the network is not as it should be.
#[derive(Debug, Error)]
pub(crate) enum NetworkError {
    /// A program is missing.
    #[error("`ip` is not installed")]
    NoProgram,
    /// The kernel cannot be told how to route.
    #[error("writing `{}`", path.display())]
    Sysctl {
        /// The setting.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What is to be changed cannot be written down.
    #[error("writing down a change of the network")]
    Script(#[source] io::Error),
    /// It cannot be changed.
    #[error(transparent)]
    Change(#[from] ProcessError),
}

/// A machine's interface.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Interface {
    /// Of its TAP.
    pub(crate) name: String,
    pub(crate) mac: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) side: Side,
}

/// Where an interface leads to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Side {
    /// The Internet.
    Public { v6: Option<Ipv6Net> },
    /// A private network.
    Private { range: Ipv4Net, gateway: Ipv4Addr, aliases: Vec<Ipv4Addr> },
}

impl Interface {
    /// Bytes of a packet.
    pub(crate) fn mtu(&self) -> u16 {
        match self.side {
            Side::Public { .. } => PUBLIC_MTU,
            Side::Private { .. } => PRIVATE_MTU,
        }
    }

    /// Commands of `ip` that attach it.
    fn plug(&self) -> String {
        let Self { name, mac, address, side } = self;
        let (gateway, source) = match side {
            Side::Public { .. } => (PUBLIC_GATEWAY, HERE),
            Side::Private { gateway, .. } => (*gateway, *gateway),
        };
        let mut script = format!(
            "tuntap add dev {name} mode tap\nlink set {name} mtu {} up\naddress add {gateway}/32 dev {name}\n",
            self.mtu()
        );
        let aliases = match side {
            Side::Public { .. } => &[][..],
            Side::Private { aliases, .. } => aliases,
        };
        for address in std::iter::once(address).chain(aliases) {
            // Writing to a String cannot go wrong.
            let _ = writeln!(
                script,
                "route add {address}/32 dev {name} src {source}\n\
                 neighbour add {address} lladdr {mac} dev {name} nud permanent"
            );
        }
        let _ = match side {
            Side::Public { v6: Some(v6) } => writeln!(
                script,
                "address add fe80::1/64 dev {name} nodad\nroute add {v6} dev {name} src {HERE_V6}"
            ),
            Side::Public { v6: None } => Ok(()),
            Side::Private { range, .. } => {
                writeln!(script, "rule add priority {FROM_INSIDE} iif {name} to {range} lookup main")
            }
        };
        script
    }

    /// And that detach it.
    fn unplug(&self) -> String {
        let Self { name, side, .. } = self;
        let rules = match side {
            Side::Public { .. } => String::new(),
            Side::Private { range, .. } => {
                format!("rule delete priority {FROM_INSIDE} iif {name} to {range} lookup main\n")
            }
        };
        format!("{rules}link delete {name}\n")
    }
}

/// The network of this namespace.
#[derive(Debug)]
pub(crate) struct Network {
    program: PathBuf,
    /// Ranges that nobody reaches from outside.
    closed: Mutex<BTreeSet<Ipv4Net>>,
}

impl Network {
    /// Begins it, with all that is there without servers.
    pub(crate) fn begin() -> Result<Self, NetworkError> {
        let folders = ["/usr/sbin/ip", "/sbin/ip"].map(PathBuf::from);
        let program = find("ip").or_else(|| folders.into_iter().find(|path| path.exists()));
        let network = Self { program: program.ok_or(NetworkError::NoProgram)?, closed: Mutex::default() };
        for (name, value) in SYSCTLS {
            let path = PathBuf::from("/proc/sys/net").join(name);
            fs::write(&path, value).map_err(|source| NetworkError::Sysctl { path, source })?;
        }
        let mut script = "link set lo up\n".to_owned();
        for address in [HERE, PUBLIC_GATEWAY, METADATA].iter().chain(&DNS) {
            let _ = writeln!(script, "address add {address}/32 dev lo");
        }
        for address in std::iter::once(&HERE_V6).chain(&DNS_V6) {
            let _ = writeln!(script, "address add {address}/128 dev lo nodad");
        }
        for address in std::iter::once(&METADATA).chain(&DNS) {
            let _ = writeln!(script, "rule add priority {FROM_GATEWAYS} from {address} iif lo lookup main");
        }
        network.change("beginning the network", &script)?;
        Ok(network)
    }

    /// Attaches an interface, whose machine may be started then.
    pub(crate) fn plug(&self, interface: &Interface) -> Result<(), NetworkError> {
        if let Side::Private { range, gateway, .. } = &interface.side {
            let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
            if !closed.contains(range) {
                let rules = format!(
                    "rule add priority {FROM_GATEWAYS} from {gateway} iif lo lookup main\n\
                     rule add priority {FROM_OUTSIDE} to {range} unreachable\n"
                );
                self.change("closing a private network", &rules)?;
                closed.insert(*range);
            }
        }
        self.change("attaching a server", &interface.plug())
    }

    /// Detaches an interface, whose machine has ended.
    pub(crate) fn unplug(&self, interface: &Interface) -> Result<(), NetworkError> {
        self.change("detaching a server", &interface.unplug())
    }

    fn change(&self, purpose: &'static str, script: &str) -> Result<(), NetworkError> {
        let file = tempfile::NamedTempFile::new().map_err(NetworkError::Script)?;
        fs::write(file.path(), script).map_err(NetworkError::Script)?;
        let program = Program::new(purpose, &self.program).argument("-batch").argument(file.path());
        program.output(DEADLINE)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_interface_has_the_way_to_this_computer() {
        let v6 = "2001:db8:0:1::/64".parse().ok();
        let interface = Interface {
            name: "pub1005".to_owned(),
            mac: "96:00:00:00:03:ed".to_owned(),
            address: Ipv4Addr::new(192, 0, 2, 1),
            side: Side::Public { v6 },
        };
        assert_eq!(
            interface.plug(),
            "tuntap add dev pub1005 mode tap\n\
             link set pub1005 mtu 1500 up\n\
             address add 172.31.1.1/32 dev pub1005\n\
             route add 192.0.2.1/32 dev pub1005 src 198.18.0.1\n\
             neighbour add 192.0.2.1 lladdr 96:00:00:00:03:ed dev pub1005 nud permanent\n\
             address add fe80::1/64 dev pub1005 nodad\n\
             route add 2001:db8:0:1::/64 dev pub1005 src 2001:db8:ffff::1\n"
        );
        assert_eq!(interface.unplug(), "link delete pub1005\n");
    }

    #[test]
    fn a_private_interface_is_reached_from_its_network_only() {
        let interface = Interface {
            name: "net1005n0".to_owned(),
            mac: "86:00:03:ed:03:ea".to_owned(),
            address: Ipv4Addr::new(10, 0, 1, 2),
            side: Side::Private {
                range: "10.0.0.0/16".parse().unwrap(),
                gateway: Ipv4Addr::new(10, 0, 0, 1),
                aliases: Vec::new(),
            },
        };
        assert_eq!(
            interface.plug(),
            "tuntap add dev net1005n0 mode tap\n\
             link set net1005n0 mtu 1450 up\n\
             address add 10.0.0.1/32 dev net1005n0\n\
             route add 10.0.1.2/32 dev net1005n0 src 10.0.0.1\n\
             neighbour add 10.0.1.2 lladdr 86:00:03:ed:03:ea dev net1005n0 nud permanent\n\
             rule add priority 90 iif net1005n0 to 10.0.0.0/16 lookup main\n"
        );
        assert_eq!(
            interface.unplug(),
            "rule delete priority 90 iif net1005n0 to 10.0.0.0/16 lookup main\nlink delete net1005n0\n"
        );
    }
}
