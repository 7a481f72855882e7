//! From what a cluster asks for and what is there, to what is to be done. Pure; in the order in which it is done.
//!
//! Nothing of another owner is touched: what has a name that the cluster needs, and not its label, is a fault.

mod names;
mod place;
mod servers;
mod shared;

use std::net::Ipv4Addr;

use serde::Serialize;
use thiserror::Error;

use super::observed::{Found, Observed};
use super::price::PriceByTime;
use super::wanted::{AddressFamily, NamedAddress, Rule, Server, Wanted};
use crate::cluster::Range;
use crate::units::{Arch, Bytes};

/// What is to be done.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// Name of the cluster.
    pub cluster: String,
    /// Where its servers stand.
    pub location: String,
    /// Currency of all prices.
    pub currency: String,
    /// The images that servers are made of.
    pub images: Vec<PlannedImage>,
    /// Everything that there will be, was, or stays.
    pub steps: Vec<Step>,
    /// Names that somebody has to write elsewhere, with what is known of their addresses.
    pub shown: Vec<PlannedName>,
    /// What everything costs that is there afterwards, without snapshots.
    pub total: PriceByTime,
}

/// An image, and where it comes from.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedImage {
    /// Profile.
    pub profile: String,
    /// What it is laid on.
    pub image: String,
    /// Architecture.
    pub arch: Arch,
    /// Value of the snapshot's label; unknown before it is built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The snapshot that has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<u64>,
    /// What has to be done.
    pub origin: Origin,
}

/// Where an image comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// It has to be built, and uploaded.
    Build,
    /// It is built, and has to be uploaded.
    Upload,
    /// There is a snapshot of it.
    Reuse,
}

/// What was built of a profile.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Built {
    /// Profile.
    pub profile: String,
    /// What it is laid on.
    pub image: String,
    /// Architecture.
    pub arch: Arch,
    /// Size of the disk image.
    pub size: Bytes,
    /// Value of [`DIGEST_LABEL`](super::observed::DIGEST_LABEL).
    pub digest: String,
}

impl Built {
    /// Whether it is the image of a server.
    pub fn is_of(&self, server: &Server) -> bool {
        (&self.profile, &self.image, self.arch) == (&server.profile, &server.image, server.arch)
    }
}

/// What becomes of one resource.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// What is intended.
    pub intent: Intent,
    /// What kind it is of.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// What it is, or why it is changed.
    pub detail: String,
    /// What is done, one call each.
    #[serde(skip)]
    pub actions: Vec<Action>,
    /// The same as the provider's reference has it, `POST /servers`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<String>,
    /// What it costs for as long as it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<PriceByTime>,
    /// Whether it costs something that is not told.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub has_unknown_price: bool,
}

/// What is intended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Intent {
    /// It is made.
    Create,
    /// It is there, and is changed.
    Change,
    /// It is there as it should be.
    Keep,
    /// It goes.
    Delete,
}

/// Kind of a resource.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A private network.
    Network,
    /// A firewall.
    Firewall,
    /// A placement group.
    PlacementGroup,
    /// A Primary IP.
    Address,
    /// A server.
    Server,
    /// A name in the zone.
    Name,
}

/// One call of the provider.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Action {
    /// Makes the network with its subnet.
    CreateNetwork {
        /// Both.
        range: Range,
        /// Locations that it reaches.
        zone: String,
    },
    /// Adds its subnet to the network.
    AddSubnet {
        /// Which network.
        network: u64,
        /// All of it.
        range: Range,
        /// Locations that it reaches.
        zone: String,
    },
    /// Makes the firewall, applied to all servers of the cluster.
    CreateFirewall {
        /// What it lets in.
        rules: Vec<Rule>,
    },
    /// Gives the firewall these rules and no others.
    SetRules {
        /// Which firewall.
        firewall: u64,
        /// What it lets in.
        rules: Vec<Rule>,
    },
    /// Applies the firewall to all servers of the cluster.
    ApplyFirewall {
        /// Which firewall.
        firewall: u64,
    },
    /// Makes the placement group.
    CreatePlacementGroup,
    /// Makes a Primary IP.
    CreateAddress {
        /// Of which kind.
        family: AddressFamily,
        /// Where.
        location: String,
    },
    /// Makes a server, which stays off.
    CreateServer {
        /// What it is made of.
        server_type: String,
        /// Where.
        location: String,
    },
    /// Gives a server its address in the network.
    AttachToNetwork {
        /// Which server; the one that is made without it.
        server: Option<u64>,
        /// The address.
        address: Ipv4Addr,
    },
    /// Takes a server out of the network.
    DetachFromNetwork {
        /// Which server.
        server: u64,
        /// Which network.
        network: u64,
    },
    /// Gives a server its Primary IP; it is off.
    AssignAddress {
        /// Which address.
        address: u64,
        /// Which server.
        server: u64,
    },
    /// Switches a server off, as its power button does.
    Shutdown {
        /// Which server.
        server: u64,
    },
    /// Gives a server another image.
    Rebuild {
        /// Which server.
        server: u64,
    },
    /// Switches a server on.
    PowerOn {
        /// Which server; the one that is made without it.
        server: Option<u64>,
    },
    /// Removes a server.
    DeleteServer {
        /// Which.
        server: u64,
    },
    /// Removes a Primary IP.
    DeleteAddress {
        /// Which.
        address: u64,
    },
    /// Makes the records of a name.
    CreateRecords {
        /// The zone.
        zone: u64,
        /// `A` or `AAAA`.
        record: &'static str,
    },
    /// Gives a name these records and no others.
    SetRecords {
        /// The zone.
        zone: u64,
        /// Relative to the zone.
        name: String,
        /// `A` or `AAAA`.
        record: &'static str,
    },
    /// Changes how long others keep the records of a name.
    ChangeTtl {
        /// The zone.
        zone: u64,
        /// Relative to the zone.
        name: String,
        /// `A` or `AAAA`.
        record: &'static str,
    },
    /// Removes the records of a name.
    DeleteRecords {
        /// The zone.
        zone: u64,
        /// Relative to the zone.
        name: String,
        /// Their type.
        record: String,
    },
}

/// A name with its addresses.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedName {
    /// The name, whole.
    pub name: String,
    /// `A` or `AAAA`.
    pub record: &'static str,
    /// The addresses that are known; `None` for one that is still to be made.
    pub values: Vec<Option<String>>,
}

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
    /// What is to go is protected.
    #[error("the server `{name}` is no node any more, and is protected from being deleted")]
    Protected {
        /// Its name.
        name: String,
    },
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
}

impl Plan {
    /// What makes of `observed` what is `wanted`, with images that are `built`; `request` is how the provider's reference
    /// has a call.
    pub fn new(
        wanted: &Wanted,
        observed: &Observed,
        built: &[Built],
        request: impl Fn(&Action) -> String,
    ) -> Result<Self, PlanError> {
        let images = images(wanted, observed, built);
        let place = place::choose(wanted, observed, built)?;
        let mut steps = shared::steps(wanted, observed, &place)?;
        steps.extend(servers::steps(wanted, observed, &place, &images)?);
        let (named, shown) = names::steps(wanted, observed)?;
        steps.extend(named);
        for step in &mut steps {
            step.requests = step.actions.iter().map(&request).collect();
        }
        let stays = steps.iter().filter(|step| step.intent != Intent::Delete);
        let total = stays.filter_map(|step| step.price).sum();
        Ok(Self {
            cluster: wanted.name.clone(),
            location: place.location,
            currency: observed.currency.clone(),
            images,
            steps,
            shown,
            total,
        })
    }

    /// Whether everything is as it should be.
    pub fn is_done(&self) -> bool {
        self.images.iter().all(|image| image.origin == Origin::Reuse)
            && self.steps.iter().all(|step| step.intent == Intent::Keep)
    }
}

impl Step {
    fn new(intent: Intent, kind: Kind, name: &str, detail: String, actions: Vec<Action>) -> Self {
        Self {
            intent,
            kind,
            name: name.to_owned(),
            detail,
            actions,
            requests: Vec::new(),
            price: None,
            has_unknown_price: false,
        }
    }
}

/// An image for each profile and architecture that a server has.
fn images(wanted: &Wanted, observed: &Observed, built: &[Built]) -> Vec<PlannedImage> {
    let mut all: Vec<&Server> = Vec::new();
    for server in &wanted.servers {
        if all.iter().all(|other| !other.has_image_of(server)) {
            all.push(server);
        }
    }
    let image = |server: &Server| {
        let (built, arch) = (built.iter().find(|built| built.is_of(server)), server.arch);
        let snapshot = built.and_then(|built| observed.snapshot(&built.digest, arch));
        let origin = match (built, snapshot) {
            (_, Some(_)) => Origin::Reuse,
            (Some(_), None) => Origin::Upload,
            (None, None) => Origin::Build,
        };
        PlannedImage {
            profile: server.profile.clone(),
            image: server.image.clone(),
            arch,
            digest: built.map(|built| built.digest.clone()),
            snapshot: snapshot.map(|snapshot| snapshot.id),
            origin,
        }
    };
    all.into_iter().map(image).collect()
}

/// The one with this name, which has to be the cluster's own.
fn own<'found, T>(
    all: &'found [Found<T>],
    name: &str,
    kind: &'static str,
    cluster: &str,
) -> Result<Option<&'found Found<T>>, PlanError> {
    match all.iter().find(|found| found.name == name) {
        Some(found) if !found.is_of(cluster) => {
            Err(PlanError::Foreign { kind, name: name.to_owned(), cluster: cluster.to_owned() })
        }
        found => Ok(found),
    }
}

/// A name with the addresses of its servers, as far as they are there.
fn addresses(
    name: &NamedAddress,
    family: AddressFamily,
    wanted: &Wanted,
    observed: &Observed,
) -> Vec<Option<String>> {
    let servers = wanted.servers.iter().filter(|server| name.servers.contains(&server.name));
    let address = |name: String| {
        let found = observed.addresses.iter().find(|found| found.name == name)?;
        Some(found.is.ip.to_string())
    };
    servers.map(|server| address(server.address_name(family))).collect()
}

#[cfg(test)]
mod tests;
