//! Where the servers stand, and of which type each is: all in one place, or nowhere.

use std::collections::{BTreeMap, BTreeSet};

use super::{Built, PlanError};
use crate::cloud::observed::{Observed, ServerType};
use crate::cloud::price::PriceByTime;
use crate::cloud::wanted::{AddressFamily, Server, Wanted};
use crate::units::Bytes;

/// A place.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The location.
    pub(super) location: String,
    /// The zone that one network reaches from there.
    pub(super) zone: String,
    /// Type of each server by its name, and its price where one is told.
    pub(super) types: BTreeMap<String, (String, Option<PriceByTime>)>,
}

/// Where everything is already, or else the first location that has room for all.
pub(super) fn choose(wanted: &Wanted, observed: &Observed, built: &[Built]) -> Result<Place, PlanError> {
    for name in &wanted.locations {
        if !observed.locations.contains_key(name) {
            let known = observed.locations.keys().cloned().collect();
            return Err(PlanError::Location { name: name.clone(), known });
        }
    }
    for server in &wanted.servers {
        check_types(server, observed)?;
        check_fit(server, observed, built)?;
    }
    let settled = settled(wanted, observed);
    let candidates = match settled.iter().next() {
        None => wanted.locations.clone(),
        Some(only) if settled.len() == 1 && wanted.locations.contains(only) => vec![only.clone()],
        Some(_) => return Err(PlanError::Elsewhere { found: settled.into_iter().collect() }),
    };
    let mut reasons = Vec::new();
    for location in candidates {
        let types = wanted
            .servers
            .iter()
            .map(|server| Ok((server.name.clone(), type_of(server, &location, observed, built)?)));
        match types.collect::<Result<_, String>>() {
            Ok(types) => {
                let zone = observed.locations.get(&location).cloned().unwrap_or_default();
                return Ok(Place { location, zone, types });
            }
            Err(reason) => reasons.push(reason),
        }
    }
    Err(PlanError::Full { reasons })
}

/// Where wanted servers and addresses of the cluster are: they stay there.
fn settled(wanted: &Wanted, observed: &Observed) -> BTreeSet<String> {
    let is_server = |name: &str| wanted.servers.iter().any(|server| server.name == name);
    let is_address = |name: &str| {
        let mut names = wanted
            .servers
            .iter()
            .flat_map(|server| AddressFamily::ALL.map(|family| server.address_name(family)));
        names.any(|own| own == name)
    };
    let servers = observed.servers.iter().filter(|found| found.is_of(&wanted.name) && is_server(&found.name));
    let addresses =
        observed.addresses.iter().filter(|found| found.is_of(&wanted.name) && is_address(&found.name));
    servers
        .map(|found| found.is.location.clone())
        .chain(addresses.map(|found| found.is.location.clone()))
        .collect()
}

/// A name that nobody knows is a slip; a type of another architecture is for other nodes.
fn check_types(server: &Server, observed: &Observed) -> Result<(), PlanError> {
    let fits = |known: &&ServerType| known.arch == Some(server.disk.arch);
    let known = || observed.types.iter().filter(fits).map(|known| known.name.clone()).collect();
    for name in &server.types {
        if observed.types.iter().all(|known| known.name != *name) {
            return Err(PlanError::Type { name: name.clone(), known: known() });
        }
    }
    if observed.types.iter().filter(fits).any(|fitting| server.types.contains(&fitting.name)) {
        return Ok(());
    }
    Err(PlanError::Architecture { server: server.name.clone(), arch: server.disk.arch, known: known() })
}

/// A server that is there has to be one that the node's image runs on.
fn check_fit(server: &Server, observed: &Observed, built: &[Built]) -> Result<(), PlanError> {
    let Some(there) = observed.servers.iter().find(|found| found.name == server.name) else { return Ok(()) };
    let Some(known) = observed.types.iter().find(|known| known.name == there.is.server_type) else {
        // One that is offered no longer runs on.
        return Ok(());
    };
    let least = least_disk(server, observed, built);
    let reason = if known.arch != Some(server.disk.arch) {
        format!("no {}", server.disk.arch)
    } else if known.disk < least {
        format!("a disk of {}, the image {least}", known.disk)
    } else {
        return Ok(());
    };
    Err(PlanError::Unfit { server: server.name.clone(), server_type: known.name.clone(), reason })
}

/// The type that the server has, or else the first that can be had; or why none can.
fn type_of(
    server: &Server,
    location: &str,
    observed: &Observed,
    built: &[Built],
) -> Result<(String, Option<PriceByTime>), String> {
    let known = |name: &str| observed.types.iter().find(|known| known.name == name);
    if let Some(there) = observed.servers.iter().find(|found| found.name == server.name) {
        // What it costs is what was agreed then; today's price is the nearest that is known.
        let price = known(&there.is.server_type).and_then(|known| known.offers.get(&there.is.location));
        return Ok((there.is.server_type.clone(), price.map(|offer| offer.price)));
    }
    let least = least_disk(server, observed, built);
    let mut reasons = Vec::new();
    let candidates = server.types.iter().filter_map(|name| known(name));
    for known in candidates.filter(|known| known.arch == Some(server.disk.arch)) {
        match known.offers.get(location) {
            _ if known.disk < least => {
                reasons.push(format!("`{}` has a disk of {}, the image {least}", known.name, known.disk));
            }
            None => reasons.push(format!("`{}` is not offered", known.name)),
            Some(offer) if offer.is_available == Some(false) => {
                reasons.push(format!("`{}` is out of stock", known.name));
            }
            Some(offer) => return Ok((known.name.clone(), Some(offer.price))),
        }
    }
    Err(format!("in `{location}`, for `{}`, {}", server.name, reasons.join(", ")))
}

/// Of the image, and of the disk that its snapshot was made of.
fn least_disk(server: &Server, observed: &Observed, built: &[Built]) -> Bytes {
    let Some(built) = built.iter().find(|built| built.of == server.disk) else { return Bytes(0) };
    let snapshot =
        observed.snapshot(&built.digest, built.of.arch).map_or(Bytes(0), |snapshot| snapshot.is.disk);
    Bytes(built.size.0.max(snapshot.0))
}
