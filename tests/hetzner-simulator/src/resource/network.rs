//! Private networks: ranges, subnets, routes.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde_json::{Value, json};

use super::{Answer, act, kept_in, show};
use crate::address::{self, PUBLIC_GATEWAY};
use crate::call::Call;
use crate::catalog::{Location, ZONES};
use crate::error::ApiError;
use crate::input::Input;
use crate::page::Shape;
use crate::state::{Head, Kind, Resource, State};

#[derive(Clone, Debug)]
pub(crate) struct Network {
    head: Head,
    pub(crate) range: Ipv4Net,
    subnets: Vec<Subnet>,
    routes: Vec<Route>,
    exposes_routes: bool,
}

#[derive(Clone, Debug)]
struct Subnet {
    kind: String,
    range: Ipv4Net,
    zone: String,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Route {
    destination: Ipv4Net,
    gateway: Ipv4Addr,
}

impl Resource for Network {
    const KIND: Kind = Kind::Network;
    const SHAPE: Shape = Shape {
        name: "networks",
        sort: &["id", "name", "created"],
        filters: &[("name", &[])],
        has_labels: true,
    };
    kept_in!(networks);

    fn json(&self, state: &State) -> Value {
        let attached = state.servers.iter().filter(|server| server.attachment(self.head.id).is_some());
        json!({
            "id": self.head.id, "name": self.head.name, "created": self.head.created.to_string(),
            "ip_range": self.range.to_string(), "labels": self.head.labels,
            "protection": {"delete": self.head.is_protected}, "load_balancers": [],
            "servers": attached.map(|server| server.head().id).collect::<Vec<_>>(),
            "expose_routes_to_vswitch": self.exposes_routes,
            "subnets": self.subnets.iter().map(|subnet| json!({
                "type": subnet.kind, "ip_range": subnet.range.to_string(), "network_zone": subnet.zone,
                "gateway": address::first(self.range).to_string(), "vswitch_id": null,
            })).collect::<Vec<_>>(),
            "routes": self.routes.iter().map(|route| json!({
                "destination": route.destination.to_string(), "gateway": route.gateway.to_string(),
            })).collect::<Vec<_>>(),
        })
    }

    /// Servers are detached.
    fn deleted(self, state: &mut State) {
        state.servers.iter_mut().for_each(|server| server.detach(self.head.id));
    }
}

impl Network {
    fn add_subnet(&mut self, input: &Input<'_>) -> Result<(), ApiError> {
        let kind = input.word("type", &["cloud", "server", "vswitch"])?;
        let zone = input.word("network_zone", &ZONES)?;
        if kind == "vswitch" || input.maybe_number("vswitch_id")?.is_some() {
            return Err(input.fault("vswitch_id", "the simulator has no vSwitches"));
        }
        let taken: Vec<Ipv4Net> = self
            .subnets
            .iter()
            .map(|subnet| subnet.range)
            .chain(self.routes.iter().map(|route| route.destination))
            .collect();
        let range = match input.maybe_range("ip_range")? {
            Some(range) => range,
            None => address::free_range(self.range, &taken)
                .ok_or_else(|| input.fault("ip_range", "no range of the size of a /24 is free"))?,
        };
        if !self.range.contains(&range) || range.prefix_len() > 30 {
            return Err(input.fault("ip_range", format!("`{range}` is no /30 or larger in `{}`", self.range)));
        }
        if let Some(other) = taken.iter().find(|other| address::overlap(range, **other)) {
            return Err(input.fault("ip_range", format!("`{range}` overlaps `{other}`")));
        }
        self.subnets.push(Subnet { kind: kind.to_owned(), range, zone: zone.to_owned() });
        Ok(())
    }

    fn add_route(&mut self, input: &Input<'_>) -> Result<(), ApiError> {
        let route = route(input)?;
        let everywhere = route.destination.prefix_len() == 0;
        if !everywhere && !address::is_private(route.destination) {
            return Err(input.fault("destination", "is no private range"));
        }
        let taken = self.routes.iter().map(|other| other.destination);
        let others: Vec<Ipv4Net> = if everywhere {
            taken.filter(|other| other.prefix_len() == 0).collect()
        } else {
            let subnets = self.subnets.iter().map(|subnet| subnet.range);
            taken.filter(|other| other.prefix_len() > 0).chain(subnets).collect()
        };
        if others.iter().any(|other| address::overlap(route.destination, *other))
            || (!everywhere && route.destination.contains(&PUBLIC_GATEWAY))
        {
            return Err(input.fault("destination", format!("`{}` is taken", route.destination)));
        }
        let is_reserved = [address::first(self.range), PUBLIC_GATEWAY].contains(&route.gateway);
        if is_reserved || !self.range.contains(&route.gateway) {
            return Err(input.fault("gateway", format!("`{}` can't be a gateway", route.gateway)));
        }
        self.routes.push(route);
        Ok(())
    }
}

fn route(input: &Input<'_>) -> Result<Route, ApiError> {
    let gateway = input.maybe_address("gateway")?.ok_or_else(|| input.fault("gateway", "is required"))?;
    Ok(Route { destination: input.range("destination")?, gateway })
}

impl State {
    /// Addresses of servers in a network.
    fn addresses_in(&self, network: u64) -> BTreeSet<Ipv4Addr> {
        let attachments = self.servers.iter().flat_map(|server| server.private_net.iter());
        let inside = attachments.filter(|attachment| attachment.network == network);
        inside.flat_map(|attachment| attachment.aliases.iter().copied().chain([attachment.ip])).collect()
    }

    /// An address for a server at `location`: the one that is wanted, or the lowest that is free, in a subnet that is
    /// wanted or any.
    pub(crate) fn private_address(
        &self,
        network: u64,
        location: &Location,
        ip: Option<Ipv4Addr>,
        range: Option<Ipv4Net>,
    ) -> Result<Ipv4Addr, ApiError> {
        let (taken, network) = (self.addresses_in(network), self.networks.get(network)?);
        let is_wanted = |subnet: &&Subnet| {
            subnet.zone == location.zone && range.is_none_or(|range| subnet.range == range)
        };
        let mut subnets = network.subnets.iter().filter(is_wanted).peekable();
        let none = || ApiError::refused("no_subnet_available", "no subnet or address is available");
        if subnets.peek().is_none() {
            return Err(none());
        }
        match ip {
            None => subnets
                .find_map(|subnet| address::lowest(network.range, subnet.range, &taken))
                .ok_or_else(none),
            Some(ip) => {
                let is_usable = subnets.any(|subnet| address::is_usable(network.range, subnet.range, ip));
                if is_usable && !taken.contains(&ip) {
                    return Ok(ip);
                }
                Err(ApiError::refused("ip_not_available", format!("`{ip}` is not available")))
            }
        }
    }
}

pub(crate) fn create(call: &mut Call<'_>) -> Answer {
    let body = call.body()?;
    let input = Call::input(&body)?;
    let name = input.maybe_name("name")?.ok_or_else(|| input.fault("name", "is required"))?;
    let (range, labels) = (input.range("ip_range")?, input.labels()?);
    let exposes_routes = input.flag("expose_routes_to_vswitch", false)?;
    check_range(&input, range)?;
    call.state.check_limit(Kind::Network)?;
    call.state.networks.check_name(name, None)?;
    let head = Head { id: 0, name: name.to_owned(), created: call.now, labels, is_protected: false };
    let mut network = Network { head, range, subnets: Vec::new(), routes: Vec::new(), exposes_routes };
    for subnet in input.objects("subnets")? {
        network.add_subnet(&subnet)?;
    }
    for route in input.objects("routes")? {
        network.add_route(&route)?;
    }
    let id = call.state.next_id();
    network.head.id = id;
    call.state.networks.insert(network);
    Ok(show::<Network>(call, id, 201))
}

fn check_range(input: &Input<'_>, range: Ipv4Net) -> Result<(), ApiError> {
    if address::is_private(range) && range.prefix_len() <= 24 {
        return Ok(());
    }
    Err(input.fault("ip_range", format!("`{range}` is no /24 or larger in a private range")))
}

pub(crate) fn update(call: &mut Call<'_>) -> Answer {
    let (id, body) = (call.id()?, call.body()?);
    call.state.networks.get(id)?;
    let exposes = Call::input(&body)?.maybe_flag("expose_routes_to_vswitch")?;
    let mut reply = super::update::<Network>(call)?;
    if let (Some(exposes), Some(network)) = (exposes, call.state.networks.find_mut(id)) {
        network.exposes_routes = exposes;
        reply = show::<Network>(call, id, 200);
    }
    Ok(reply)
}

/// A change that is checked now and made when the action succeeds: nobody else changes the network meanwhile.
fn change(
    call: &mut Call<'_>,
    command: &'static str,
    make: impl FnOnce(&State, &mut Network, &Input<'_>) -> Result<(), ApiError>,
) -> Answer {
    let (id, body) = (call.id()?, call.body()?);
    let action = act::<Network>(call, id, command)?;
    let mut changed = call.state.networks.get(id)?.clone();
    make(call.state, &mut changed, &Call::input(&body)?)?;
    let action = action.effect(move |state| {
        state.networks.insert(changed);
        Ok(())
    });
    Ok(call.started(action))
}

pub(crate) fn add_subnet(call: &mut Call<'_>) -> Answer {
    change(call, "add_subnet", |_, network, input| network.add_subnet(input))
}

pub(crate) fn delete_subnet(call: &mut Call<'_>) -> Answer {
    change(call, "delete_subnet", |state, network, input| {
        let range = input.range("ip_range")?;
        let place = network.subnets.iter().position(|subnet| subnet.range == range);
        let place = place.ok_or_else(|| ApiError::not_found("subnet", range))?;
        if state.addresses_in(network.head.id).iter().any(|address| range.contains(address)) {
            return Err(ApiError::refused("resource_in_use", format!("servers are in subnet `{range}`")));
        }
        network.subnets.remove(place);
        Ok(())
    })
}

pub(crate) fn add_route(call: &mut Call<'_>) -> Answer {
    change(call, "add_route", |_, network, input| network.add_route(input))
}

pub(crate) fn delete_route(call: &mut Call<'_>) -> Answer {
    change(call, "delete_route", |_, network, input| {
        let route = route(input)?;
        let place = network.routes.iter().position(|other| *other == route);
        network.routes.remove(place.ok_or_else(|| ApiError::not_found("route", route.destination))?);
        Ok(())
    })
}

pub(crate) fn change_ip_range(call: &mut Call<'_>) -> Answer {
    change(call, "change_ip_range", |_, network, input| {
        let range = input.range("ip_range")?;
        check_range(input, range)?;
        if !range.contains(&network.range) {
            return Err(input.fault("ip_range", format!("`{range}` does not hold `{}`", network.range)));
        }
        network.range = range;
        Ok(())
    })
}
