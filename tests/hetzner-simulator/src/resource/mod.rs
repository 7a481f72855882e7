//! The kinds of resources, and what is asked of all of them alike.

pub(crate) mod firewall;
pub(crate) mod image;
pub(crate) mod network;
pub(crate) mod placement_group;
pub(crate) mod primary_ip;
pub(crate) mod record_set;
pub(crate) mod server;
pub(crate) mod ssh_key;
pub(crate) mod zone;

use serde_json::json;

use crate::action::Action;
use crate::call::{Call, Reply};
use crate::catalog::{self, LOCATIONS, Location, ServerType, TYPES};
use crate::error::ApiError;
use crate::input::LARGEST;
use crate::page::Shape;
use crate::state::{Kind, Resource};

type Answer = Result<Reply, ApiError>;

/// Words of actions' lists.
const STATUSES: &[&str] = &["running", "success", "error"];

const ACTIONS: Shape = Shape {
    name: "actions",
    sort: &["id", "command", "status", "started", "finished"],
    filters: &[("id", &[]), ("status", STATUSES)],
    has_labels: false,
};

/// A list of one kind.
pub(crate) fn list<T: Resource>(call: &mut Call<'_>) -> Answer {
    let items = T::table(call.state).iter().map(|resource| resource.json(call.state)).collect();
    call.list(&T::SHAPE, items)
}

/// One of a kind.
pub(crate) fn get<T: Resource>(call: &mut Call<'_>) -> Answer {
    let id = call.id()?;
    T::table(call.state).get(id)?;
    Ok(show::<T>(call, id, 200))
}

/// One of a kind, under its name.
pub(crate) fn show<T: Resource>(call: &Call<'_>, id: u64, status: u16) -> Reply {
    let resource = T::table(call.state).find(id).map(|resource| resource.json(call.state));
    Reply::new(status, json!({T::KIND.name(): resource}))
}

/// Name and labels change at once.
pub(crate) fn update<T: Resource>(call: &mut Call<'_>) -> Answer {
    let (id, body) = (call.id()?, call.body()?);
    T::table(call.state).get(id)?;
    let input = Call::input(&body)?;
    let (name, labels) = (input.maybe_name("name")?, input.maybe_labels()?);
    call.state.check_free(T::KIND, id)?;
    if let Some(name) = name {
        if T::KIND == Kind::Server {
            server::create::check_host_name(&input, name)?;
        }
        T::table(call.state).check_name(name, Some(id))?;
    }
    let head = T::table_mut(call.state).get_mut(id)?.head_mut();
    head.labels = labels.unwrap_or_else(|| head.labels.clone());
    if let Some(name) = name {
        name.clone_into(&mut head.name);
    }
    Ok(show::<T>(call, id, 200))
}

/// Gone at once.
pub(crate) fn delete<T: Resource>(call: &mut Call<'_>) -> Answer {
    let id = call.id()?;
    check_delete::<T>(call, id)?;
    if let Some(resource) = T::table_mut(call.state).remove(id) {
        resource.deleted(call.state);
    }
    Ok(Reply::nothing())
}

pub(crate) fn check_delete<T: Resource>(call: &Call<'_>, id: u64) -> Result<(), ApiError> {
    let resource = T::table(call.state).get(id)?;
    if resource.head().is_protected {
        return Err(ApiError::protected(T::KIND.name()));
    }
    call.state.check_free(T::KIND, id)?;
    resource.check_delete(call.state)
}

/// Whether a resource is there, and nothing runs on it.
pub(crate) fn check_free<T: Resource>(call: &Call<'_>, id: u64) -> Result<(), ApiError> {
    T::table(call.state).get(id)?;
    call.state.check_free(T::KIND, id)
}

/// An action on a resource that is there and free.
pub(crate) fn act<T: Resource>(call: &Call<'_>, id: u64, command: &'static str) -> Result<Action, ApiError> {
    check_free::<T>(call, id)?;
    Ok(call.action(command, &[(T::KIND, id)]))
}

/// Protection against deletion.
pub(crate) fn protect<T: Resource>(call: &mut Call<'_>) -> Answer {
    let (id, body) = (call.id()?, call.body()?);
    let flag = Call::input(&body)?.maybe_flag("delete")?;
    let action = act::<T>(call, id, "change_protection")?.effect(move |state| {
        if let (Some(resource), Some(flag)) = (T::table_mut(state).find_mut(id), flag) {
            resource.head_mut().is_protected = flag;
        }
        Ok(())
    });
    Ok(call.started(action))
}

fn listed(call: &Call<'_>, is_wanted: impl Fn(&[(Kind, u64)]) -> bool) -> Answer {
    let is_id = |text: &str| text.parse().is_ok_and(|number: u64| number <= LARGEST);
    if let Some(text) = call.query.all("id").find(|text| !is_id(text)) {
        return Err(ApiError::invalid("id", format!("`{text}` is no ID")));
    }
    let wanted = call.state.actions.iter().filter(|(_, action)| is_wanted(&action.resources));
    let shown = wanted.filter_map(|(id, _)| call.state.actions.json(id, call.now)).collect();
    call.list(&ACTIONS, shown)
}

/// Actions by their IDs.
pub(crate) fn actions(call: &mut Call<'_>) -> Answer {
    if call.query.get("id").is_none() {
        return Err(ApiError::invalid("id", "is required"));
    }
    listed(call, |_| true)
}

/// One action.
pub(crate) fn action(call: &mut Call<'_>) -> Answer {
    one_action(call, call.id()?, |_| true)
}

fn one_action(call: &Call<'_>, id: u64, is_wanted: impl Fn(&[(Kind, u64)]) -> bool) -> Answer {
    let found = call.state.actions.iter().find(|(own, action)| *own == id && is_wanted(&action.resources));
    let action = found.and_then(|(id, _)| call.state.actions.json(id, call.now));
    Ok(Reply::ok(json!({"action": action.ok_or_else(|| ApiError::not_found("action", id))?})))
}

/// Actions of a kind.
pub(crate) fn kind_actions<T: Resource>(call: &mut Call<'_>) -> Answer {
    let of_kind = |resources: &[(Kind, u64)]| resources.iter().any(|(kind, _)| *kind == T::KIND);
    listed(call, of_kind)
}

/// One action of a kind.
pub(crate) fn kind_action<T: Resource>(call: &mut Call<'_>) -> Answer {
    one_action(call, call.id()?, |resources| resources.iter().any(|(kind, _)| *kind == T::KIND))
}

/// Actions of a resource.
pub(crate) fn own_actions<T: Resource>(call: &mut Call<'_>) -> Answer {
    let id = call.id()?;
    T::table(call.state).get(id)?;
    listed(call, |resources| resources.contains(&(T::KIND, id)))
}

/// One action of a resource.
pub(crate) fn own_action<T: Resource>(call: &mut Call<'_>) -> Answer {
    let id = call.id()?;
    T::table(call.state).get(id)?;
    one_action(call, call.number(1)?, |resources| resources.contains(&(T::KIND, id)))
}

/// What the provider offers can't be changed.
const LOCATION: Shape =
    Shape { name: "locations", sort: &["id", "name"], filters: &[("name", &[])], has_labels: false };
const TYPE: Shape =
    Shape { name: "server_types", sort: &["id", "name"], filters: &[("name", &[])], has_labels: false };

pub(crate) fn locations(call: &mut Call<'_>) -> Answer {
    call.list(&LOCATION, LOCATIONS.iter().map(Location::to_json).collect())
}

pub(crate) fn location(call: &mut Call<'_>) -> Answer {
    let id = call.id()?;
    let found = Location::find(&id.to_string()).ok_or_else(|| ApiError::not_found("location", id))?;
    Ok(Reply::ok(json!({"location": found.to_json()})))
}

pub(crate) fn server_types(call: &mut Call<'_>) -> Answer {
    call.list(&TYPE, TYPES.iter().map(|one| one.to_json(call.state)).collect())
}

pub(crate) fn server_type(call: &mut Call<'_>) -> Answer {
    let id = call.id()?;
    let found = ServerType::find(&id.to_string()).ok_or_else(|| ApiError::not_found("server_type", id))?;
    Ok(Reply::ok(json!({"server_type": found.to_json(call.state)})))
}

#[expect(clippy::unnecessary_wraps, reason = "a handler")]
pub(crate) fn pricing(_call: &mut Call<'_>) -> Answer {
    Ok(Reply::ok(catalog::pricing()))
}

/// The functions of [`Resource`] that are the same for every kind.
macro_rules! kept_in {
    ($table:ident) => {
        fn head(&self) -> &crate::state::Head {
            &self.head
        }

        fn head_mut(&mut self) -> &mut crate::state::Head {
            &mut self.head
        }

        fn table(state: &crate::state::State) -> &crate::state::Table<Self> {
            &state.$table
        }

        fn table_mut(state: &mut crate::state::State) -> &mut crate::state::Table<Self> {
            &mut state.$table
        }
    };
}
pub(crate) use kept_in;
