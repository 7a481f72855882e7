//! WireGuard in the kernel, by netlink.

mod device;
mod link;
mod socket;

use netlink_packet_wireguard::WireguardAttribute;
use rustix::net::netlink;
use thiserror::Error;

use super::difference::Change;
use super::private_key;
use crate::converge::Outcome;
use crate::secret_key::SecretKey;
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
    /// WireGuard's number, once it was asked for.
    family: Option<u16>,
}

impl Kernel {
    /// Opens the ways to it. Changing anything needs root.
    pub fn open() -> Result<Self, KernelError> {
        let opening = || "opening the ways to the kernel's network".to_owned();
        // rtnetlink's number is 0, which a socket without a protocol has.
        let route = Socket::open(None).map_err(doing(opening))?;
        let generic = Socket::open(Some(netlink::GENERIC)).map_err(doing(opening))?;
        Ok(Self { route, generic, family: None })
    }

    /// Makes an interface what it should be, and makes it where there is none.
    pub fn ensure_link(&mut self, link: &Link) -> Result<Outcome, KernelError> {
        link::ensure(&mut self.route, link)
    }

    /// Gives WireGuard's interface `name`, which is `device`, its private key and its port.
    pub fn ensure_identity(
        &mut self,
        name: &str,
        device: &Device,
        private_key: &SecretKey,
        port: u16,
    ) -> Result<Outcome, KernelError> {
        let mut attributes = Vec::new();
        if device
            .private_key
            .as_ref()
            .is_none_or(|key| *key.bytes() != private_key::clamped(*private_key.bytes()))
        {
            attributes.push(WireguardAttribute::PrivateKey(*private_key.bytes()));
        }
        if device.port != port {
            attributes.push(WireguardAttribute::ListenPort(port));
        }
        if attributes.is_empty() {
            return Ok(Outcome::Unchanged);
        }
        let family = self.family()?;
        device::set(&mut self.generic, family, name, attributes)?;
        Ok(Outcome::Changed)
    }

    /// WireGuard's interface `name` as it is.
    pub fn device(&mut self, name: &str) -> Result<Device, KernelError> {
        let family = self.family()?;
        device::read(&mut self.generic, family, name)
    }

    fn family(&mut self) -> Result<u16, KernelError> {
        if let Some(family) = self.family {
            return Ok(family);
        }
        let family = device::family(&mut self.generic)?;
        self.family = Some(family);
        Ok(family)
    }

    /// Carries out [`super::difference::difference`].
    pub fn apply(&mut self, name: &str, changes: &[Change]) -> Result<Outcome, KernelError> {
        if changes.is_empty() {
            return Ok(Outcome::Unchanged);
        }
        let family = self.family()?;
        device::change(&mut self.generic, family, name, changes)?;
        Ok(Outcome::Changed)
    }
}
