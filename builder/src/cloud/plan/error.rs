//! Why there is no plan.

use thiserror::Error;

use super::NoTemporary;
use crate::cluster::Range;
use crate::units::Arch;

/// Why there is no plan.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum PlanError {
    /// A name is taken.
    #[error("the {kind} `{name}` is there already, and does not belong to the cluster `{cluster}`")]
    Foreign {
        /// What.
        kind: &'static str,
        /// Its name.
        name: String,
        /// The cluster.
        cluster: String,
    },
    /// A network's range cannot be changed.
    #[error("the network `{name}` is {found}, `private-range` is {wanted}")]
    Range {
        /// Its name.
        name: String,
        /// What it has.
        found: String,
        /// What the cluster file says.
        wanted: Range,
    },
    /// The provider does not know a location.
    #[error("there is no location `{name}`")]
    Location {
        /// The name.
        name: String,
        /// All that there are.
        known: Vec<String>,
    },
    /// The provider does not know a server type.
    #[error("there is no server type `{name}`")]
    Type {
        /// The name.
        name: String,
        /// Those that would do.
        known: Vec<String>,
    },
    /// No location has all servers.
    #[error("no location has room for all servers: {}", .reasons.join("; "))]
    Full {
        /// Why each does not do.
        reasons: Vec<String>,
    },
    /// None of the types is of a node's architecture.
    #[error("none of the server types of `{server}` is {arch}")]
    Architecture {
        /// Name of the server.
        server: String,
        /// What its image is for.
        arch: Arch,
        /// Those that would do.
        known: Vec<String>,
    },
    /// A server that is there cannot have the node's image.
    #[error("the server `{server}` is `{server_type}`, which has {reason}")]
    Unfit {
        /// Its name.
        server: String,
        /// What it is made of.
        server_type: String,
        /// Why not.
        reason: String,
    },
    /// Servers or addresses stand elsewhere, or apart.
    #[error("servers and addresses of the cluster are in {}, and stand in one of its locations or nowhere", .found.join(" and "))]
    Elsewhere {
        /// Where.
        found: Vec<String>,
    },
    /// The network's subnets leave no room for its own.
    #[error(
        "the network `{name}` has the subnet {range} in {zone}, which is in the way of its own in {wanted}"
    )]
    Subnet {
        /// Its name.
        name: String,
        /// The other subnet.
        range: Range,
        /// Where that is.
        zone: String,
        /// Where its own has to be.
        wanted: String,
    },
    /// What is to go, or to be changed, is protected.
    #[error("the {kind} `{name}` is protected from being {from}")]
    Protected {
        /// What.
        kind: &'static str,
        /// Its name.
        name: String,
        /// `deleted`.
        from: &'static str,
    },
    /// Nothing could upload an image.
    #[error(transparent)]
    NoTemporary(#[from] NoTemporary),
    /// The project has no such zone.
    #[error("the project has no zone `{name}`")]
    Zone {
        /// Its name.
        name: String,
    },
    /// The zone is a copy.
    #[error("the zone `{name}` is a secondary one: its records are written elsewhere")]
    Secondary {
        /// Its name.
        name: String,
    },
    /// Another account has a bucket of this name.
    #[error("the bucket name `{name}` is taken by another account")]
    Taken {
        /// The name.
        name: String,
    },
    /// A bucket is elsewhere.
    #[error("the bucket `{name}` is in {}, not in `{wanted}`", .found.as_ref().map_or_else(|| "another region".to_owned(), |found| format!("`{found}`")))]
    Region {
        /// Its name.
        name: String,
        /// Where it is, if that is said.
        found: Option<String>,
        /// Where it should be.
        wanted: String,
    },
    /// Something of the cluster is in use by what is not.
    #[error("the {kind} `{name}` is used by servers outside the cluster{}", .by.as_ref().map(|by| format!(": {by}")).unwrap_or_default())]
    InUse {
        /// What.
        kind: &'static str,
        /// Its name.
        name: String,
        /// By which, where that is known.
        by: Option<String>,
    },
}
