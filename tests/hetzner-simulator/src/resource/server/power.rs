//! Power, and the rescue system.

use std::time::Duration;

use serde_json::json;

use super::{Server, Status};
use crate::action::Action;
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::machines::{Order, Rescue};
use crate::resource::{Answer, act};
use crate::state::Resource as _;

/// A rescue system that is not used is disabled again.
const RESCUE: Duration = Duration::from_hours(1);

/// An action after which a server rests in one state, or in another if it fails.
pub(super) fn resting(action: Action, id: u64, done: Status, failed: Status) -> Action {
    action
        .effect(move |state| {
            if let Some(server) = state.servers.find_mut(id) {
                server.status = done;
            }
            Ok(())
        })
        .undo(move |state| {
            if let Some(server) = state.servers.find_mut(id) {
                server.status = failed;
            }
        })
}

/// A change of power, by way of a state.
fn change(call: &mut Call<'_>, command: &'static str, order: Order, (way, done): (Status, Status)) -> Answer {
    let id = call.id()?;
    let action = act::<Server>(call, id, command)?;
    let server = call.state.servers.get_mut(id)?;
    let before = server.status;
    if before != done {
        server.status = way;
    }
    Ok(call.started(resting(action.order(order), id, done, before)))
}

pub(crate) fn power_on(call: &mut Call<'_>) -> Answer {
    let id = call.id()?;
    let server = call.state.servers.get(id)?;
    if server.private_net.is_empty() && !server.has_public_net(call.state) {
        return Err(ApiError::refused("server_has_no_interface", "the server has no network interface"));
    }
    if server.status == Status::Running {
        // Nothing is to be done.
        let action = act::<Server>(call, id, "start_server")?;
        return Ok(call.started(action));
    }
    boot(call, "start_server", |rescue| Order::PowerOn { server: id, rescue })
}

/// A start, which uses up an enabled rescue system.
fn boot(call: &mut Call<'_>, command: &'static str, order: impl FnOnce(Option<Rescue>) -> Order) -> Answer {
    let id = call.id()?;
    let action = act::<Server>(call, id, command)?;
    let now = call.now;
    let server = call.state.servers.get_mut(id)?;
    let (before, rescue) = (server.status, server.rescue(now).cloned());
    server.status = if before == Status::Running { Status::Running } else { Status::Starting };
    let is_rescue = rescue.is_some();
    let action = resting(action, id, Status::Running, before).order(order(rescue)).effect(move |state| {
        if let Some(server) = state.servers.find_mut(id) {
            server.status = Status::Running;
            server.is_in_rescue = is_rescue;
            server.rescue = None;
        }
        Ok(())
    });
    Ok(call.started(action))
}

fn check_running(call: &Call<'_>) -> Result<u64, ApiError> {
    let id = call.id()?;
    if call.state.servers.get(id)?.status == Status::Off {
        return Err(ApiError::refused("unsupported_error", "the server is not running"));
    }
    Ok(id)
}

pub(crate) fn reboot(call: &mut Call<'_>) -> Answer {
    let server = check_running(call)?;
    boot(call, "reboot_server", |rescue| Order::Restart { server, is_soft: true, rescue })
}

pub(crate) fn reset(call: &mut Call<'_>) -> Answer {
    let server = check_running(call)?;
    boot(call, "reset_server", |rescue| Order::Restart { server, is_soft: false, rescue })
}

pub(crate) fn power_off(call: &mut Call<'_>) -> Answer {
    let order = Order::PowerOff { server: call.id()? };
    change(call, "stop_server", order, (Status::Stopping, Status::Off))
}

pub(crate) fn shutdown(call: &mut Call<'_>) -> Answer {
    let order = Order::Shutdown { server: call.id()? };
    change(call, "shutdown_server", order, (Status::Stopping, Status::Off))
}

pub(crate) fn enable_rescue(call: &mut Call<'_>) -> Answer {
    let id = call.id()?;
    let action = act::<Server>(call, id, "enable_rescue")?;
    let body = call.body()?;
    let input = Call::input(&body)?;
    input.maybe_word("type", &["linux64"])?;
    let keys = input.numbers("ssh_keys")?;
    let key = |id: &u64| {
        let found = call.state.ssh_keys.find(*id);
        let fault = || input.fault("ssh_keys", format!("SSH key with ID '{id}' not found"));
        Ok(found.ok_or_else(fault)?.public_key.clone())
    };
    let keys = keys.iter().map(key).collect::<Result<_, ApiError>>()?;
    if call.state.servers.get(id)?.rescue(call.now).is_some() {
        return Err(ApiError::refused("unsupported_error", "the rescue system is enabled already"));
    }
    let password = format!("simulator-rescue-{}", call.state.next_id());
    let rescue = Rescue { password: password.clone(), keys };
    let action = call.start(action.effect(move |state| {
        let until = state.clock.now().after(RESCUE);
        if let Some(server) = state.servers.find_mut(id) {
            server.rescue = Some((rescue, until));
        }
        Ok(())
    }));
    Ok(Reply::new(201, json!({"action": action, "root_password": password})))
}

pub(crate) fn disable_rescue(call: &mut Call<'_>) -> Answer {
    let id = call.id()?;
    let action = act::<Server>(call, id, "disable_rescue")?.effect(move |state| {
        if let Some(server) = state.servers.find_mut(id) {
            server.rescue = None;
        }
        Ok(())
    });
    Ok(call.started(action))
}

/// Protection against deletion and rebuilding.
pub(crate) fn protect(call: &mut Call<'_>) -> Answer {
    let (id, body) = (call.id()?, call.body()?);
    let input = Call::input(&body)?;
    let (delete, rebuild) = (input.maybe_flag("delete")?, input.maybe_flag("rebuild")?);
    let action = act::<Server>(call, id, "change_protection")?.effect(move |state| {
        if let Some(server) = state.servers.find_mut(id) {
            let (own, own_rebuild) = (server.head().is_protected, server.has_rebuild_protection);
            server.head_mut().is_protected = delete.unwrap_or(own);
            server.has_rebuild_protection = rebuild.unwrap_or(own_rebuild);
        }
        Ok(())
    });
    Ok(call.started(action))
}
