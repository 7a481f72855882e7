//! Networks and placement groups of servers.

use std::net::Ipv4Addr;

use super::{Attachment, Server, Status};
use crate::address;
use crate::call::Call;
use crate::error::ApiError;
use crate::resource::primary_ip::not_stopped;
use crate::resource::{Answer, act};
use crate::state::Kind;

pub(crate) fn attach(call: &mut Call<'_>) -> Answer {
    let (id, body) = (call.id()?, call.body()?);
    let input = Call::input(&body)?;
    let (network, ip, range) =
        (input.number("network")?, input.maybe_address("ip")?, input.maybe_range("ip_range")?);
    let alias = |text: &str| {
        text.parse().map_err(|_| input.fault("alias_ips", format!("`{text}` is no IPv4 address")))
    };
    let aliases: Vec<Ipv4Addr> =
        input.texts("alias_ips")?.into_iter().map(alias).collect::<Result<_, _>>()?;
    act::<Server>(call, id, "attach_to_network")?;
    call.state.check_free(Kind::Network, network)?;
    let (server, found) = (call.state.servers.get(id)?, call.state.networks.get(network)?);
    if server.private_net.iter().any(|attachment| attachment.network == network) {
        let message = "the server is already attached to the network";
        return Err(ApiError::refused("server_already_attached", message));
    }
    let overlaps = server.private_net.iter().any(|attachment| {
        let other = call.state.networks.find(attachment.network);
        other.is_some_and(|other| address::overlap(other.range, found.range))
    });
    if overlaps {
        let message = "the range of the network overlaps that of another network of the server";
        return Err(ApiError::refused("networks_overlap", message));
    }
    if let (Some(ip), Some(range)) = (ip, range)
        && !range.contains(&ip)
    {
        return Err(input.fault("ip", format!("`{ip}` is not in `{range}`")));
    }
    let ip = call.state.private_address(network, server.location, ip, range)?;
    for (index, alias) in aliases.iter().enumerate() {
        let free = call.state.private_address(network, server.location, Some(*alias), None)?;
        if free == ip || aliases[..index].contains(&free) {
            return Err(ApiError::refused("ip_not_available", format!("`{alias}` is not available")));
        }
    }
    call.state.servers.get_mut(id)?.private_net.push(Attachment { network, ip, aliases, is_ready: false });
    let action = call
        .action("attach_to_network", &[(Kind::Server, id), (Kind::Network, network)])
        .effect(move |state| {
            let attachments =
                state.servers.find_mut(id).into_iter().flat_map(|one| one.private_net.iter_mut());
            attachments
                .filter(|attachment| attachment.network == network)
                .for_each(|attachment| attachment.is_ready = true);
            Ok(())
        })
        .undo(move |state| {
            if let Some(server) = state.servers.find_mut(id) {
                server.detach(network);
            }
        });
    Ok(call.started(action))
}

pub(crate) fn detach(call: &mut Call<'_>) -> Answer {
    let (id, body) = (call.id()?, call.body()?);
    let network = Call::input(&body)?.number("network")?;
    act::<Server>(call, id, "detach_from_network")?;
    call.state.check_free(Kind::Network, network)?;
    if call.state.servers.get(id)?.attachment(network).is_none() {
        let message = format!("the server is not attached to network '{network}'");
        return Err(ApiError::new(404, "not_found", message));
    }
    let resources = [(Kind::Server, id), (Kind::Network, network)];
    let action = call.action("detach_from_network", &resources).effect(move |state| {
        if let Some(server) = state.servers.find_mut(id) {
            server.detach(network);
        }
        Ok(())
    });
    Ok(call.started(action))
}

pub(crate) fn join_group(call: &mut Call<'_>) -> Answer {
    let (id, body) = (call.id()?, call.body()?);
    let group = Call::input(&body)?.number("placement_group")?;
    act::<Server>(call, id, "add_to_placement_group")?;
    call.state.check_placement(group)?;
    let server = call.state.servers.get(id)?;
    if server.status != Status::Off {
        return Err(not_stopped());
    }
    if server.placement_group.is_some() {
        let message = "the server is in a placement group already";
        return Err(ApiError::refused("unsupported_error", message));
    }
    let resources = [(Kind::Server, id), (Kind::PlacementGroup, group)];
    let action = call.action("add_to_placement_group", &resources).effect(move |state| {
        if let Some(server) = state.servers.find_mut(id) {
            server.placement_group = Some(group);
        }
        Ok(())
    });
    Ok(call.started(action))
}

pub(crate) fn leave_group(call: &mut Call<'_>) -> Answer {
    let id = call.id()?;
    let action = act::<Server>(call, id, "remove_from_placement_group")?.effect(move |state| {
        if let Some(server) = state.servers.find_mut(id) {
            server.placement_group = None;
        }
        Ok(())
    });
    Ok(call.started(action))
}
