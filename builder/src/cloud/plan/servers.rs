//! Servers with their addresses: made, re-imaged, switched on, removed.

use std::net::Ipv4Addr;

use super::place::Place;
use super::{Action, Intent, Kind, PlanError, PlannedImage, Step, own, removable};
use crate::cloud::observed::{DIGEST_LABEL, Found, Observed, Power, Server as FoundServer};
use crate::cloud::wanted::{AddressFamily, Server, Wanted};

/// Removals of servers come first: a new one may have the private address of an old one.
pub(super) fn steps(
    wanted: &Wanted,
    observed: &Observed,
    place: &Place,
    images: &[PlannedImage],
) -> Result<Vec<Step>, PlanError> {
    let mut steps = old_servers(wanted, observed)?;
    for server in &wanted.servers {
        for family in AddressFamily::ALL {
            steps.push(address(server, family, wanted, observed, place)?);
        }
    }
    for server in &wanted.servers {
        steps.push(self::server(server, wanted, observed, place, images)?);
    }
    steps.extend(old_addresses(wanted, observed)?);
    Ok(steps)
}

fn address(
    server: &Server,
    family: AddressFamily,
    wanted: &Wanted,
    observed: &Observed,
    place: &Place,
) -> Result<Step, PlanError> {
    let name = server.address_name(family);
    let found = own(&observed.addresses, &name, "Primary IP", &wanted.name)?;
    let price = observed.address_prices.get(&(family, place.location.clone())).copied();
    let (intent, detail, actions) = if let Some(found) = found {
        (Intent::Keep, found.is.ip.to_string(), Vec::new())
    } else {
        let create = Action::CreateAddress { family, location: place.location.clone() };
        (Intent::Create, format!("{} in {}", family.name(), place.location), vec![create])
    };
    let step = Step::new(intent, Kind::Address, &name, detail, actions);
    Ok(Step { price, has_unknown_price: price.is_none(), ..step })
}

fn server(
    server: &Server,
    wanted: &Wanted,
    observed: &Observed,
    place: &Place,
    images: &[PlannedImage],
) -> Result<Step, PlanError> {
    let (server_type, price) = place.types.get(&server.name).cloned().unwrap_or_default();
    let image = images.iter().find(|image| image.of == server.disk);
    let found = own(&observed.servers, &server.name, "server", &wanted.name)?;
    let (intent, detail, actions) = if let Some(found) = found {
        let (reasons, actions) = changes(server, found, wanted, observed, image);
        if found.is_protected && actions.iter().any(|action| matches!(action, Action::Rebuild { .. })) {
            let name = found.name.clone();
            return Err(PlanError::Protected { kind: "server", name, from: "re-imaged" });
        }
        let intent = if actions.is_empty() { Intent::Keep } else { Intent::Change };
        let what = format!("{} in {}", found.is.server_type, found.is.location);
        (intent, std::iter::once(what).chain(reasons).collect::<Vec<_>>().join(", "), actions)
    } else {
        let is_outside = wanted.network.is_some() && server.private_address.is_none();
        let outside = if is_outside { ", without `private-address` outside the network" } else { "" };
        let detail = format!("{server_type} in {}{outside}", place.location);
        (Intent::Create, detail, creation(server, &server_type, place))
    };
    let step = Step::new(intent, Kind::Server, &server.name, detail, actions);
    Ok(Step { price, has_unknown_price: price.is_none(), ..step })
}

/// Off until it is in its network.
fn creation(server: &Server, server_type: &str, place: &Place) -> Vec<Action> {
    let create =
        Action::CreateServer { server_type: server_type.to_owned(), location: place.location.clone() };
    let attach = server.private_address.map(|address| Action::AttachToNetwork { server: None, address });
    [create].into_iter().chain(attach).chain([Action::PowerOn { server: None }]).collect()
}

/// What is done to a server that is there, and why.
fn changes(
    server: &Server,
    found: &Found<FoundServer>,
    wanted: &Wanted,
    observed: &Observed,
    image: Option<&PlannedImage>,
) -> (Vec<String>, Vec<Action>) {
    let (mut reasons, mut actions) = (Vec::new(), Vec::new());
    let mut change = |reason: &str, done: Vec<Action>| {
        reasons.push(reason.to_owned());
        actions.extend(done);
    };
    if !server.types.contains(&found.is.server_type) {
        change(
            &format!("the cluster file says {}, which is not changed", server.types.join(" or ")),
            Vec::new(),
        );
    }
    if found.is.power == Power::Busy {
        change("busy: nothing is done to it now", Vec::new());
        return (reasons, actions);
    }
    if let Some(address) = server.private_address
        && let Some((reason, done)) = network_changes(found, address, wanted, observed)
    {
        change(reason, done);
    }
    let lacking = AddressFamily::ALL.into_iter().filter_map(|family| {
        let own = observed.addresses.iter().find(|own| own.name == server.address_name(family))?;
        (own.is.server != Some(found.id)).then_some(own.id)
    });
    let lacking: Vec<u64> = lacking.collect();
    let mut is_off = found.is.power == Power::Off;
    if !lacking.is_empty() {
        let shutdown = (!is_off).then_some(Action::Shutdown { server: found.id });
        let assign = lacking.into_iter().map(|address| Action::AssignAddress { address, server: found.id });
        change("without its address", shutdown.into_iter().chain(assign).collect());
        is_off = true;
    }
    match image.map(|image| image.origin.digest()) {
        // Nothing is re-imaged on a guess.
        Some(None) => change("re-imaged if its image is another", Vec::new()),
        Some(digest) if found.labels.get(DIGEST_LABEL).map(String::as_str) != digest => {
            change("of another image", vec![Action::Rebuild { server: found.id }]);
        }
        _ => {}
    }
    if is_off {
        change("switched off", vec![Action::PowerOn { server: Some(found.id) }]);
    }
    (reasons, actions)
}

/// What brings a server into the network at its address.
fn network_changes(
    found: &Found<FoundServer>,
    address: Ipv4Addr,
    wanted: &Wanted,
    observed: &Observed,
) -> Option<(&'static str, Vec<Action>)> {
    let network = observed.networks.iter().find(|network| network.name == wanted.name);
    let has = network.and_then(|network| Some((network.id, *found.is.private_addresses.get(&network.id)?)));
    let attach = Action::AttachToNetwork { server: Some(found.id), address };
    match has {
        Some((_, has)) if has == address => None,
        Some((network, _)) => {
            let detach = Action::DetachFromNetwork { server: found.id, network };
            Some(("at another address in its network", vec![detach, attach]))
        }
        None => Some(("outside its network", vec![attach])),
    }
}

/// Servers that the cluster file names no longer.
fn old_servers(wanted: &Wanted, observed: &Observed) -> Result<Vec<Step>, PlanError> {
    let is_wanted = |name: &str| wanted.servers.iter().any(|server| server.name == name);
    let old = observed.servers.iter().filter(|found| found.is_of(&wanted.name) && !is_wanted(&found.name));
    let step = |found: &Found<FoundServer>| {
        removable("server", found)?;
        let detail = format!("{} in {}, no node any more", found.is.server_type, found.is.location);
        let actions = vec![Action::DeleteServer { server: found.id }];
        Ok(Step::new(Intent::Delete, Kind::Server, &found.name, detail, actions))
    };
    old.map(step).collect()
}

fn old_addresses(wanted: &Wanted, observed: &Observed) -> Result<Vec<Step>, PlanError> {
    let names: Vec<String> = wanted
        .servers
        .iter()
        .flat_map(|server| AddressFamily::ALL.map(|family| server.address_name(family)))
        .collect();
    let old =
        observed.addresses.iter().filter(|found| found.is_of(&wanted.name) && !names.contains(&found.name));
    old.map(|found| {
        removable("Primary IP", found)?;
        let detail = format!("{}, of no node any more", found.is.ip);
        let actions = vec![Action::DeleteAddress { address: found.id }];
        Ok(Step::new(Intent::Delete, Kind::Address, &found.name, detail, actions))
    })
    .collect()
}
