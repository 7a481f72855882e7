//! Firewalls: rules, and the servers that they are for.

use ipnet::IpNet;
use serde_json::{Value, json};

use super::{Answer, act, kept_in};
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::input::Input;
use crate::label::Selector;
use crate::page::Shape;
use crate::state::{Head, Kind, Resource, State};

const MOST_RULES: usize = 50;
const MOST_RANGES: usize = 100;
/// Firewalls of one server.
const MOST_FIREWALLS: usize = 5;

#[derive(Clone, Debug)]
pub(crate) struct Firewall {
    head: Head,
    rules: Vec<Value>,
    targets: Vec<Target>,
}

/// What a firewall is for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Target {
    Server(u64),
    /// Every server whose labels match; as text and understood.
    Labels(String, Selector),
}

impl Firewall {
    /// Directly, or by its labels.
    pub(crate) fn is_for(&self, server: &Head) -> bool {
        self.targets.iter().any(|target| match target {
            Target::Server(id) => *id == server.id,
            Target::Labels(_, selector) => selector.matches(&server.labels),
        })
    }
}

impl Resource for Firewall {
    const KIND: Kind = Kind::Firewall;
    const SHAPE: Shape = Shape {
        name: "firewalls",
        sort: &["id", "name", "created"],
        filters: &[("name", &[])],
        has_labels: true,
    };
    kept_in!(firewalls);

    fn json(&self, state: &State) -> Value {
        let target = |target: &Target| match target {
            Target::Server(id) => json!({"type": "server", "server": {"id": id}}),
            Target::Labels(text, selector) => {
                let servers = state
                    .servers
                    .iter()
                    .filter(|server| server.has_public_net(state) && selector.matches(&server.head().labels));
                let applied =
                    servers.map(|server| json!({"type": "server", "server": {"id": server.head().id}}));
                json!({
                    "type": "label_selector", "label_selector": {"selector": text},
                    "applied_to_resources": applied.collect::<Vec<_>>(),
                })
            }
        };
        json!({
            "id": self.head.id, "name": self.head.name, "created": self.head.created.to_string(),
            "labels": self.head.labels, "rules": self.rules,
            "applied_to": self.targets.iter().map(target).collect::<Vec<_>>(),
        })
    }

    fn check_delete(&self, _state: &State) -> Result<(), ApiError> {
        if self.targets.is_empty() {
            return Ok(());
        }
        Err(ApiError::refused("resource_in_use", "the firewall is still applied to a resource"))
    }
}

/// Rules, as they are shown.
fn rules(input: &Input<'_>) -> Result<Vec<Value>, ApiError> {
    let rules = input.objects("rules")?;
    if rules.len() > MOST_RULES {
        return Err(input.fault("rules", format!("more than {MOST_RULES} rules")));
    }
    rules.iter().map(rule).collect()
}

fn rule(input: &Input<'_>) -> Result<Value, ApiError> {
    let direction = input.word("direction", &["in", "out"])?;
    let protocol = input.word("protocol", &["tcp", "udp", "icmp", "esp", "gre"])?;
    let description = if input.is_null("description") { None } else { input.maybe_text("description")? };
    if description.is_some_and(|text| text.chars().count() > 255) {
        return Err(input.fault("description", "is longer than 255 characters"));
    }
    let port = if input.is_null("port") { None } else { input.maybe_text("port")? };
    match (port, matches!(protocol, "tcp" | "udp")) {
        (None, true) => return Err(input.fault("port", format!("is required for {protocol}"))),
        (Some(_), false) => return Err(input.fault("port", format!("{protocol} has no ports"))),
        (Some(port), true) if !is_port(port) => {
            return Err(input.fault("port", format!("`{port}` is no port or range of ports")));
        }
        _ => {}
    }
    let ranges = |field: &str| {
        let texts = input.texts(field)?;
        let is_range = |text: &&str| text.parse::<IpNet>().is_ok_and(|range| range.addr() == range.network());
        match texts.iter().find(|text| !is_range(text)) {
            Some(other) => Err(input.fault(field, format!("`{other}` is no range of addresses"))),
            None if texts.len() > MOST_RANGES => {
                Err(input.fault(field, format!("more than {MOST_RANGES} ranges")))
            }
            None => Ok(texts),
        }
    };
    let (sources, destinations) = (ranges("source_ips")?, ranges("destination_ips")?);
    let (used, unused) =
        if direction == "in" { (&sources, &destinations) } else { (&destinations, &sources) };
    let (used_name, unused_name) =
        if direction == "in" { ("source_ips", "destination_ips") } else { ("destination_ips", "source_ips") };
    if used.is_empty() {
        return Err(input.fault(used_name, format!("is required for direction {direction}")));
    }
    if !unused.is_empty() {
        return Err(input.fault(unused_name, format!("is not for direction {direction}")));
    }
    Ok(json!({
        "direction": direction, "protocol": protocol, "port": port, "description": description,
        "source_ips": sources, "destination_ips": destinations,
    }))
}

fn is_port(text: &str) -> bool {
    let number = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    match text.split_once('-') {
        None => number(text).is_some(),
        Some((low, high)) => matches!((number(low), number(high)), (Some(low), Some(high)) if low <= high),
    }
}

fn targets(call: &Call<'_>, input: &Input<'_>, field: &str) -> Result<Vec<Target>, ApiError> {
    let target = |entry: Input<'_>| {
        if entry.word("type", &["server", "label_selector"])? == "server" {
            let id = entry.object("server")?.number("id")?;
            if call.state.servers.find(id).is_none() {
                let message = format!("server with ID '{id}' not found");
                return Err(ApiError::new(404, "firewall_resource_not_found", message));
            }
            Ok(Target::Server(id))
        } else {
            let text = entry.object("label_selector")?.text("selector")?;
            if text.trim().is_empty() {
                return Err(entry.fault("label_selector.selector", "is empty"));
            }
            Ok(Target::Labels(text.to_owned(), Selector::parse(text)?))
        }
    };
    input.objects(field)?.into_iter().map(target).collect()
}

impl State {
    /// Whether a firewall can be for a server.
    pub(crate) fn check_firewall(&self, server: u64) -> Result<(), ApiError> {
        let server = self.servers.get(server)?;
        if !server.has_public_net(self) {
            let message = "the server has no public interface";
            return Err(ApiError::refused("private_net_only_server", message));
        }
        if self.firewalls.iter().filter(|firewall| firewall.is_for(server.head())).count() >= MOST_FIREWALLS {
            return Err(ApiError::limit("firewalls_per_server"));
        }
        Ok(())
    }

    /// Makes a firewall be for a server, without an action of its own.
    pub(crate) fn apply_firewall(&mut self, firewall: u64, server: u64) {
        if let Some(firewall) = self.firewalls.find_mut(firewall)
            && !firewall.targets.contains(&Target::Server(server))
        {
            firewall.targets.push(Target::Server(server));
        }
    }

    /// A server is gone.
    pub(crate) fn leave_firewalls(&mut self, server: u64) {
        for firewall in self.firewalls.iter_mut() {
            firewall.targets.retain(|target| *target != Target::Server(server));
        }
    }
}

fn check_targets(call: &Call<'_>, firewall: Option<&Firewall>, targets: &[Target]) -> Result<(), ApiError> {
    for (index, target) in targets.iter().enumerate() {
        if targets[..index].contains(target) {
            return Err(ApiError::refused("server_already_added", "a resource is named more than once"));
        }
        if firewall.is_some_and(|firewall| firewall.targets.contains(target)) {
            let message = "the firewall is already applied to the resource";
            return Err(ApiError::refused("firewall_already_applied", message));
        }
        if let Target::Server(id) = target {
            call.state.check_firewall(*id)?;
        }
    }
    Ok(())
}

/// An action for each target.
fn change_targets(call: &mut Call<'_>, id: u64, targets: Vec<Target>, is_added: bool) -> Vec<Value> {
    let command = if is_added { "apply_firewall" } else { "remove_firewall" };
    let mut started = Vec::new();
    for target in targets {
        let mut resources = vec![(Kind::Firewall, id)];
        if let Target::Server(server) = target {
            resources.push((Kind::Server, server));
        }
        let action = call.action(command, &resources).effect(move |state| {
            if let Some(firewall) = state.firewalls.find_mut(id) {
                firewall.targets.retain(|other| *other != target);
                if is_added {
                    firewall.targets.push(target);
                }
            }
            Ok(())
        });
        started.push(call.start(action));
    }
    started
}

pub(crate) fn create(call: &mut Call<'_>) -> Answer {
    let body = call.body()?;
    let input = Call::input(&body)?;
    let name = input.maybe_name("name")?.ok_or_else(|| input.fault("name", "is required"))?;
    let (labels, rules) = (input.labels()?, rules(&input)?);
    let targets = targets(call, &input, "apply_to")?;
    check_targets(call, None, &targets)?;
    call.state.check_limit(Kind::Firewall)?;
    call.state.firewalls.check_name(name, None)?;
    let firewall = Firewall { head: call.state.head(name, labels), rules, targets: Vec::new() };
    let (id, shown) = (firewall.head.id, firewall.json(call.state));
    call.state.firewalls.insert(firewall);
    let mut actions = vec![call.start(call.action("set_firewall_rules", &[(Kind::Firewall, id)]))];
    actions.extend(change_targets(call, id, targets, true));
    Ok(Reply::new(201, json!({"firewall": shown, "actions": actions})))
}

pub(crate) fn set_rules(call: &mut Call<'_>) -> Answer {
    let (id, body) = (call.id()?, call.body()?);
    let action = act::<Firewall>(call, id, "set_firewall_rules")?;
    let input = Call::input(&body)?;
    if input.maybe_list("rules")?.is_none() {
        return Err(input.fault("rules", "is required"));
    }
    let rules = rules(&input)?;
    let action = call.start(action.effect(move |state| {
        if let Some(firewall) = state.firewalls.find_mut(id) {
            firewall.rules = rules;
        }
        Ok(())
    }));
    Ok(Reply::new(201, json!({"actions": [action]})))
}

pub(crate) fn apply(call: &mut Call<'_>) -> Answer {
    let (id, targets) = wanted(call, "apply_to")?;
    check_targets(call, Some(call.state.firewalls.get(id)?), &targets)?;
    let actions = change_targets(call, id, targets, true);
    Ok(Reply::new(201, json!({"actions": actions})))
}

pub(crate) fn remove(call: &mut Call<'_>) -> Answer {
    let (id, targets) = wanted(call, "remove_from")?;
    let own = &call.state.firewalls.get(id)?.targets;
    if targets.iter().any(|target| !own.contains(target)) {
        let message = "the firewall is not applied to the resource";
        return Err(ApiError::refused("firewall_already_removed", message));
    }
    let actions = change_targets(call, id, targets, false);
    Ok(Reply::new(201, json!({"actions": actions})))
}

fn wanted(call: &Call<'_>, field: &str) -> Result<(u64, Vec<Target>), ApiError> {
    let (id, body) = (call.id()?, call.body()?);
    call.state.firewalls.get(id)?;
    let input = Call::input(&body)?;
    if input.maybe_list(field)?.is_none() {
        return Err(input.fault(field, "is required"));
    }
    let targets = targets(call, &input, field)?;
    call.state.check_free(Kind::Firewall, id)?;
    Ok((id, targets))
}
