//! WireGuard in the kernel, by netlink.

mod device;
mod link;
mod socket;

use netlink_packet_wireguard::WireguardAttribute;
use rustix::net::netlink;
use thiserror::Error;

use super::difference::Change;
use crate::control_plane::bundle::SecretKey;
use crate::converge::Outcome;
use socket::Socket;

pub use device::Device;
pub use link::Link;
pub use socket::NetlinkError;

/// What the kernel calls WireGuard: the kind of its interfaces, and its messages.
pub const KIND: &str = "wireguard";

/// Why something in the kernel is not as it should be.
#[derive(Debug, Error)]
pub enum KernelError {
    /// Neither built in nor as a module.
    #[error("this kernel has no WireGuard")]
    NoWireguard,
    /// It was not made yet, or went away.
    #[error("there is no interface `{0}`")]
    NoInterface(String),
    /// The kernel did not do it.
    #[error("{action}")]
    Asking {
        /// Gerund: what was being done.
        action: String,
        /// Why not.
        #[source]
        source: NetlinkError,
    },
    /// Somebody else's interface has the name.
    #[error("interface `{name}` is of kind {found}, not {wanted}")]
    Foreign {
        /// Its name.
        name: String,
        /// Its kind.
        found: String,
        /// The kind it should be of.
        wanted: String,
    },
}

fn doing(action: impl FnOnce() -> String) -> impl FnOnce(NetlinkError) -> KernelError {
    |source| KernelError::Asking { action: action(), source }
}

/// The kernel of the network namespace it was opened in.
#[derive(Debug)]
pub struct Kernel {
    route: Socket,
    generic: Socket,
}

impl Kernel {
    /// Opens the ways to it. Changing anything needs root.
    pub fn open() -> Result<Self, KernelError> {
        let opening = || "opening the ways to the kernel's network".to_owned();
        // rtnetlink's number is 0, which a socket without a protocol has.
        let route = Socket::open(None).map_err(doing(opening))?;
        let generic = Socket::open(Some(netlink::GENERIC)).map_err(doing(opening))?;
        Ok(Self { route, generic })
    }

    /// Makes an interface what it should be, and makes it where there is none.
    pub fn ensure_link(&mut self, link: &Link) -> Result<Outcome, KernelError> {
        link::ensure(&mut self.route, link)
    }

    /// Gives WireGuard's interface `name` its private key and its port.
    pub fn ensure_identity(
        &mut self,
        name: &str,
        private_key: &SecretKey,
        port: u16,
    ) -> Result<Outcome, KernelError> {
        let device = self.device(name)?;
        let mut attributes = Vec::new();
        if device.private_key.is_none_or(|key| *key.bytes() != clamped(*private_key.bytes())) {
            attributes.push(WireguardAttribute::PrivateKey(*private_key.bytes()));
        }
        if device.port != port {
            attributes.push(WireguardAttribute::ListenPort(port));
        }
        if attributes.is_empty() {
            return Ok(Outcome::Unchanged);
        }
        let family = device::family(&mut self.generic)?;
        device::set(&mut self.generic, family, name, attributes)?;
        Ok(Outcome::Changed)
    }

    /// WireGuard's interface `name` as it is.
    pub fn device(&mut self, name: &str) -> Result<Device, KernelError> {
        let family = device::family(&mut self.generic)?;
        device::read(&mut self.generic, family, name)
    }

    /// Carries out [`super::difference::difference`].
    pub fn apply(&mut self, name: &str, changes: &[Change]) -> Result<Outcome, KernelError> {
        if changes.is_empty() {
            return Ok(Outcome::Unchanged);
        }
        let family = device::family(&mut self.generic)?;
        device::change(&mut self.generic, family, name, changes)?;
        Ok(Outcome::Changed)
    }
}

/// A private key as the kernel keeps it: the bits that are the same in all of them are set (RFC 7748, 5).
fn clamped(mut key: [u8; 32]) -> [u8; 32] {
    key[0] &= 0xf8;
    key[31] = (key[31] & 0x7f) | 0x40;
    key
}
