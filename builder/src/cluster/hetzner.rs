//! Servers of Hetzner Cloud, checked.

use serde::Serialize;

use super::{DnsLabel, Domain};

/// Where cloud nodes are servers of Hetzner Cloud.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Hetzner {
    /// Where the servers stand.
    pub location: DnsLabel,
    /// Where all of them stand instead when one is out of stock, in this order.
    pub other_locations: Vec<DnsLabel>,
    /// Type of servers whose node names none.
    pub server_type: DnsLabel,
    /// Types to take instead when one is out of stock, in this order.
    pub other_server_types: Vec<DnsLabel>,
    /// Zone that the names of the cluster are written to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns_zone: Option<Domain>,
}
