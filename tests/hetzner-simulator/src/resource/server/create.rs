//! The beginning and the end of servers.

use serde_json::{Value, json};

use super::{Attachment, Server, Status};
use crate::call::{Call, Reply};
use crate::catalog::{LOCATIONS, Location, ServerType};
use crate::error::ApiError;
use crate::input::Input;
use crate::label::is_domain_label;
use crate::machines::Order;
use crate::resource::{Answer, check_delete, primary_ip};
use crate::state::{Kind, Resource as _, State};

/// 32 KiB.
const MOST_USER_DATA: usize = 32 << 10;

/// Host names (RFC 1123).
pub(crate) fn check_host_name(input: &Input<'_>, name: &str) -> Result<(), ApiError> {
    if name.len() <= 253 && name.split('.').all(is_domain_label) {
        return Ok(());
    }
    Err(input.fault("name", format!("`{name}` is no host name")))
}

pub(super) fn user_data(input: &Input<'_>) -> Result<Option<String>, ApiError> {
    let text = input.maybe_text("user_data")?;
    match text {
        Some(text) if text.len() > MOST_USER_DATA => {
            Err(input.fault("user_data", format!("has {} bytes, {MOST_USER_DATA} are allowed", text.len())))
        }
        _ => Ok(text.map(str::to_owned)),
    }
}

/// Keys by ID or name.
fn keys(state: &State, input: &Input<'_>) -> Result<Vec<u64>, ApiError> {
    let find = |value: &Value| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let found = state.ssh_keys.iter().find(|key| {
            let head = key.head();
            head.id.to_string() == text || head.name == text
        });
        let key = found.ok_or_else(|| input.fault("ssh_keys", format!("SSH key `{text}` not found")))?;
        Ok(key.head().id)
    };
    input.maybe_list("ssh_keys")?.unwrap_or_default().iter().map(find).collect()
}

/// What a server is to have of the public Internet.
#[derive(Clone, Copy)]
enum Public {
    Nothing,
    /// An address of its own.
    New,
    /// One that is there.
    Given(u64),
}

impl Public {
    fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }
}

/// IPv4 and IPv6.
fn public(input: &Input<'_>, location: &Location, state: &State) -> Result<[Public; 2], ApiError> {
    let mut wanted = [Public::New; 2];
    let Some(net) = input.maybe_object("public_net")? else { return Ok(wanted) };
    for (wanted, version) in wanted.iter_mut().zip(["ipv4", "ipv6"]) {
        let id = if net.is_null(version) { None } else { net.maybe_number(version)? };
        if !net.flag(&format!("enable_{version}"), true)? {
            *wanted = Public::Nothing;
            continue;
        }
        if let Some(id) = id {
            primary_ip::check_wanted(state, &net.name(version), id, version == "ipv6", location)?;
            *wanted = Public::Given(id);
        }
    }
    Ok(wanted)
}

/// All that is wanted, checked before anything is made.
struct Wanted {
    server: Server,
    public: [Public; 2],
    firewalls: Vec<u64>,
    networks: Vec<u64>,
    is_started: bool,
}

fn wanted(call: &mut Call<'_>, input: &Input<'_>) -> Result<Wanted, ApiError> {
    let name = input.text("name")?;
    check_host_name(input, name)?;
    input.removed("datacenter")?;
    let text = input.id_or_name("server_type")?;
    let server_type = ServerType::find(&text)
        .ok_or_else(|| input.fault("server_type", format!("server type `{text}` not found")))?;
    if server_type.is_deprecated() {
        return Err(input.fault("server_type", format!("server type `{}` is deprecated", server_type.name)));
    }
    let location = match input.maybe_id_or_name("location")? {
        Some(text) => Location::find(&text)
            .ok_or_else(|| input.fault("location", format!("location `{text}` not found")))?,
        None => LOCATIONS
            .iter()
            .find(|location| {
                server_type.is_in(location) && call.state.check_capacity(server_type, location).is_ok()
            })
            .unwrap_or(&LOCATIONS[0]),
    };
    if !server_type.is_in(location) {
        return Err(input.fault("server_type", "unsupported location for server type"));
    }
    let state = &*call.state;
    let image =
        state.fitting_image(&input.id_or_name("image")?, server_type.architecture(), server_type.disk)?;
    let (keys, labels, user_data) = (keys(state, input)?, input.labels()?, user_data(input)?);
    let is_started = input.flag("start_after_create", true)?;
    input.maybe_flag("automount")?;
    if !input.numbers("volumes")?.is_empty() {
        return Err(input.fault("volumes", "the simulator has no volumes"));
    }
    let public = public(input, location, state)?;
    let (networks, placement_group) = (input.numbers("networks")?, input.maybe_number("placement_group")?);
    for (index, id) in networks.iter().enumerate() {
        if state.networks.find(*id).is_none() || networks[..index].contains(id) {
            return Err(input.fault("networks", format!("network with ID '{id}' not found, or named twice")));
        }
        state.private_address(*id, location, None, None)?;
    }
    if is_started && networks.is_empty() && public.iter().all(Public::is_nothing) {
        return Err(input.fault("public_net", "a server needs an interface to be started"));
    }
    let firewalls = input.objects("firewalls")?;
    let firewalls: Vec<u64> =
        firewalls.iter().map(|firewall| firewall.number("firewall")).collect::<Result<_, _>>()?;
    if let Some(id) = firewalls.iter().find(|id| state.firewalls.find(**id).is_none()) {
        return Err(input.fault("firewalls", format!("firewall with ID '{id}' not found")));
    }
    if !firewalls.is_empty() && public.iter().all(Public::is_nothing) {
        return Err(ApiError::refused("private_net_only_server", "the server has no public interface"));
    }
    if let Some(group) = placement_group {
        state.check_placement(group)?;
    }
    state.check_limit(Kind::Server)?;
    state.servers.check_name(name, None)?;
    state.check_capacity(server_type, location)?;
    let server = Server {
        head: call.state.head(name, labels),
        status: Status::Initializing,
        model: server_type,
        location,
        image,
        disk: server_type.disk,
        private_net: Vec::new(),
        placement_group,
        rescue: None,
        is_in_rescue: false,
        has_rebuild_protection: false,
        keys,
        user_data: user_data.unwrap_or_default(),
    };
    Ok(Wanted { server, public, firewalls, networks, is_started })
}

pub(crate) fn create(call: &mut Call<'_>) -> Answer {
    let body = call.body()?;
    let Wanted { mut server, public, firewalls, networks, is_started } = wanted(call, &Call::input(&body)?)?;
    let id = server.head.id;
    let mut addresses = Vec::new();
    for (choice, is_v6) in public.into_iter().zip([false, true]) {
        let made = match choice {
            Public::Nothing => continue,
            Public::Given(given) => Ok((given, false)),
            Public::New => call
                .state
                .new_address(None, is_v6, server.location, crate::label::Labels::new())
                .map(|made| (made, true)),
        };
        match made {
            Ok(address) => addresses.push(address),
            Err(error) => {
                // What was made for this server alone goes again.
                addresses.iter().filter(|(_, is_new)| *is_new).for_each(|(address, _)| {
                    call.state.primary_ips.remove(*address);
                });
                return Err(error);
            }
        }
    }
    for (address, is_new) in addresses {
        if let Some(ip) = call.state.primary_ips.find_mut(address) {
            ip.server = Some(id);
            ip.has_auto_delete |= is_new;
        }
    }
    for network in networks {
        let ip = call.state.private_address(network, server.location, None, None)?;
        server.private_net.push(Attachment { network, ip, aliases: Vec::new(), is_ready: true });
    }
    call.state.change_capacity(server.model.name, server.location.name, true);
    let password = server.keys.is_empty().then(|| format!("simulator-root-{id}"));
    let order = Order::Create { server: id, image: server.image, disk: server.disk };
    call.state.servers.insert(server);
    for firewall in firewalls {
        call.state.apply_firewall(firewall, id);
    }
    let shown = call.state.servers.get(id)?.json(call.state);
    let action = call.action("create_server", &[(Kind::Server, id)]).order(order).effect(move |state| {
        if let Some(server) = state.servers.find_mut(id) {
            server.status = if is_started { Status::Starting } else { Status::Off };
        }
        Ok(())
    });
    let action = call.start(action);
    let mut next = Vec::new();
    if is_started {
        let start = call
            .action("start_server", &[(Kind::Server, id)])
            .after(action["id"].as_u64())
            .order(Order::PowerOn { server: id, rescue: None });
        next.push(call.start(super::power::resting(start, id, Status::Running, Status::Off)));
    }
    Ok(Reply::new(
        201,
        json!({"server": shown, "action": action, "next_actions": next, "root_password": password}),
    ))
}

pub(crate) fn delete(call: &mut Call<'_>) -> Answer {
    let id = call.id()?;
    check_delete::<Server>(call, id)?;
    let server = call.state.servers.get_mut(id)?;
    let before = server.status;
    server.status = Status::Deleting;
    let action = call
        .action("delete_server", &[(Kind::Server, id)])
        .order(Order::Delete { server: id })
        .undo(move |state| {
            if let Some(server) = state.servers.find_mut(id) {
                server.status = before;
            }
        })
        .effect(move |state| {
            if let Some(server) = state.servers.remove(id) {
                state.change_capacity(server.model.name, server.location.name, false);
                state.release_addresses(id);
                state.leave_firewalls(id);
            }
            Ok(())
        });
    let action = call.start(action);
    Ok(Reply::ok(json!({"action": action})))
}
