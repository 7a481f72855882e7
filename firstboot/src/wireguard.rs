//! The VPN of the cluster: WireGuard in the kernel, without other programs.
//!
//! - [`topology`]: from the peers that a node is told of to the tunnels it should have, pure
//! - [`private_key`]: the node's own key
//! - [`handshakes`], [`relay`]: which tunnels work, and so which control plane relays between edges, pure
//! - [`endpoints`]: from names to addresses, again and again
//! - [`difference`]: what has to change in the kernel, pure
//! - [`kernel`]: the interface, its keys and its peers, by netlink
//! - [`upkeep`]: all of it together, look by look
//! - [`report`]: what a person may want to know of it

pub mod difference;
mod endpoint;
pub mod endpoints;
pub mod handshakes;
pub mod kernel;
mod key;
pub mod private_key;
pub mod relay;
pub mod report;
pub mod topology;
pub mod upkeep;

pub use endpoint::{Endpoint, NoEndpoint};
pub use endpoints::Endpoints;
pub use handshakes::Handshakes;
pub use kernel::{Device, Kernel, KernelError, Link};
pub use key::{NoWireguardKey, WireguardKey};
pub use topology::{Place, Topology, Tunnel};
pub use upkeep::Upkeep;

/// The MTU of every VPN interface, whatever is below it: the IPv6 minimum, which passes every uplink.
pub const MTU: u32 = 1280;
