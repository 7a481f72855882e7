//! What happens to disks: snapshots, rebuilding, other types.

use serde_json::json;

use super::create::user_data;
use super::{Server, Status};
use crate::call::{Call, Reply};
use crate::catalog::ServerType;
use crate::error::ApiError;
use crate::machines::Order;
use crate::resource::image::Image;
use crate::resource::primary_ip::not_stopped;
use crate::resource::{Answer, act};
use crate::state::{Kind, Resource as _};

pub(crate) fn create_image(call: &mut Call<'_>) -> Answer {
    let (id, body) = (call.id()?, call.body()?);
    let input = Call::input(&body)?;
    let (labels, description) = (input.labels()?, input.maybe_text("description")?);
    let kind = input.maybe_word("type", &["snapshot", "backup"])?;
    act::<Server>(call, id, "create_image")?;
    if kind == Some("backup") {
        return Err(ApiError::refused("unsupported_error", "backups are not enabled for the server"));
    }
    call.state.check_limit(Kind::Image)?;
    let server = call.state.servers.get(id)?.clone();
    let head = call.state.head("", labels);
    let (image, os) = (head.id, call.state.images.find(server.image).map_or(("unknown", None), |own| own.os));
    let description = description.map_or_else(|| format!("snapshot {}", head.created), str::to_owned);
    call.state.images.insert(Image {
        head,
        description,
        is_available: false,
        disk_size: server.disk,
        stored: None,
        architecture: server.model.architecture(),
        created_from: Some((id, server.head().name.clone())),
        os,
    });
    let shown = call.state.images.get(image)?.json(call.state);
    let action = call
        .action("create_image", &[(Kind::Server, id), (Kind::Image, image)])
        .order(Order::Snapshot { server: id, image })
        .effect(move |state| {
            if let Some(image) = state.images.find_mut(image) {
                image.is_available = true;
                // Machines may have said more.
                image.stored.get_or_insert(1.0);
            }
            Ok(())
        })
        .undo(move |state| drop(state.images.remove(image)));
    let action = call.start(action);
    Ok(Reply::new(201, json!({"action": action, "image": shown})))
}

pub(crate) fn rebuild(call: &mut Call<'_>) -> Answer {
    let (id, body) = (call.id()?, call.body()?);
    let input = Call::input(&body)?;
    let (image, user_data) = (input.id_or_name("image")?, user_data(&input)?);
    let server = call.state.servers.get(id)?;
    if server.has_rebuild_protection {
        return Err(ApiError::protected("server"));
    }
    let (before, has_keys) = (server.status, !server.keys.is_empty());
    let image = call.state.fitting_image(&image, server.model.architecture(), server.disk)?;
    let action = act::<Server>(call, id, "rebuild_server")?;
    call.state.servers.get_mut(id)?.status = Status::Rebuilding;
    let action = super::power::resting(action, id, Status::Running, before)
        .order(Order::Rebuild { server: id, image })
        .effect(move |state| {
            if let Some(server) = state.servers.find_mut(id) {
                server.status = Status::Running;
                server.image = image;
                server.is_in_rescue = false;
                server.user_data = user_data.unwrap_or_else(|| server.user_data.clone());
            }
            Ok(())
        });
    let action = call.start(action);
    let password = (!has_keys).then(|| format!("simulator-root-{id}"));
    Ok(Reply::new(201, json!({"action": action, "root_password": password})))
}

pub(crate) fn change_type(call: &mut Call<'_>) -> Answer {
    let (id, body) = (call.id()?, call.body()?);
    let input = Call::input(&body)?;
    let (text, upgrades_disk) = (input.id_or_name("server_type")?, input.maybe_flag("upgrade_disk")?);
    let upgrades_disk = upgrades_disk.ok_or_else(|| input.fault("upgrade_disk", "is required"))?;
    let wanted = ServerType::find(&text)
        .ok_or_else(|| input.fault("server_type", format!("server type `{text}` not found")))?;
    let action = act::<Server>(call, id, "change_server_type")?;
    let server = call.state.servers.get(id)?;
    let (own, location) = (server.model, server.location);
    let does_fit = wanted.architecture() == own.architecture() && wanted.disk >= server.disk;
    if !does_fit || wanted.is_deprecated() || !wanted.is_in(location) || wanted.name == own.name {
        let message = format!("`{}` does not fit for the server", wanted.name);
        return Err(ApiError::refused("invalid_server_type", message));
    }
    if server.status != Status::Off {
        return Err(not_stopped());
    }
    call.state.check_capacity(wanted, location)?;
    let disk = if upgrades_disk { wanted.disk } else { server.disk };
    call.state.servers.get_mut(id)?.status = Status::Migrating;
    let action = super::power::resting(action, id, Status::Running, Status::Off)
        .order(Order::ChangeType { server: id, disk })
        .effect(move |state| {
            state.change_capacity(own.name, location.name, false);
            state.change_capacity(wanted.name, location.name, true);
            if let Some(server) = state.servers.find_mut(id) {
                server.status = Status::Running;
                server.model = wanted;
                server.disk = disk;
            }
            Ok(())
        });
    Ok(call.started(action))
}
