//! The cloud as it stands in the file.

use schemars::JsonSchema;

use crate::cluster::{DnsLabel, Domain};
use crate::diagnostic::{Located, Table};

/// Where cloud nodes are servers of Hetzner Cloud.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "hetzner", rename_all = "kebab-case", deny_unknown_fields)]
pub(in crate::cluster) struct RawHetzner {
    /// Where the servers stand, such as `fsn1`.
    #[schemars(required)]
    pub(in crate::cluster) location: Option<Located<DnsLabel>>,
    /// Where all of them stand instead when one is out of stock, in this order.
    #[schemars(with = "Option<Vec<DnsLabel>>", extend("default" = []))]
    pub(in crate::cluster) other_locations: Vec<Located<DnsLabel>>,
    /// Type of the servers, such as `cx33`.
    #[schemars(required)]
    pub(in crate::cluster) server_type: Option<Located<DnsLabel>>,
    /// Types of the same architecture to take instead when it is out of stock, in this order.
    #[schemars(with = "Option<Vec<DnsLabel>>", extend("default" = []))]
    pub(in crate::cluster) other_server_types: Vec<Located<DnsLabel>>,
    /// Zone in the same project that the names of the cluster are written to; without it, they are shown to be written
    /// elsewhere.
    pub(in crate::cluster) dns_zone: Option<Located<Domain>>,
}

impl RawHetzner {
    pub(in crate::cluster) fn read(table: &mut Table<'_>) -> Self {
        Self {
            location: table.required("location").parsed(),
            other_locations: table.optional("other-locations").list(),
            server_type: table.required("server-type").parsed(),
            other_server_types: table.optional("other-server-types").list(),
            dns_zone: table.optional("dns-zone").parsed(),
        }
    }
}
