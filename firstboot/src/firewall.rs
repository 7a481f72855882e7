//! The host firewall: one nftables table of this node, decided by its role.
//!
//! - [`Rules`] to text, pure: [`Rules::table`]; [`closed`] where there is no record
//! - [`load`]: into the kernel, where it differs from what is there; [`replace`]: whatever is there
//!
//! k3s' parts (kube-proxy, flannel, the network policies, `portmap`) keep rules of their own in tables of their own. In
//! nftables a packet passes every table, an `accept` ends one chain only, a `drop` is final. So nothing of theirs is
//! touched here or can open what is closed here, and each of their paths has to be admitted here too; the comments in
//! the text name them.

mod closed;
mod loading;
mod table;
mod text;

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::record::{Posture, Role};

pub use closed::closed;
pub use loading::{Loaded, load, replace};
pub use table::Table;

/// Family of the table: it sees IPv4 and IPv6.
const FAMILY: &str = "inet";
/// Family and name of the table.
pub const TABLE: &str = "inet imgbuild";

/// What the firewall of a node depends on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rules {
    /// What the node does.
    pub role: Role,
    /// How far the cluster has come.
    pub posture: Posture,
    /// UDP port of WireGuard and TCP port of the claim service.
    pub vpn_port: u16,
    /// Addresses of nodes inside the VPN.
    pub vpn_range: Ipv4Net,
    /// Addresses of pods.
    pub pod_range: Ipv4Net,
    /// Addresses of services.
    pub service_range: Ipv4Net,
    /// VPN addresses of all control-plane nodes.
    pub control_planes: Vec<Ipv4Addr>,
    /// UDP port of the administrators' VPN, on nodes that have it.
    pub admin_port: Option<u16>,
    /// Range of the provider's private network, which cloud nodes reach each other by.
    pub private_range: Option<Ipv4Net>,
    /// Whether the image has a login by SSH; only a debug image has.
    pub admits_ssh: bool,
}
