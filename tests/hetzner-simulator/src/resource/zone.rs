//! DNS zones.

use serde_json::{Value, json};

use super::record_set::{self, RecordSet};
use super::{Answer, act, check_delete, kept_in, show};
use crate::action::Action;
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::input::Input;
use crate::label::is_domain_label;
use crate::page::Shape;
use crate::simulator::ZoneRecord;
use crate::state::{Head, Kind, Resource, State};

/// Names under the provider's own, which no name server has.
const NAMESERVERS: [&str; 3] =
    ["one.ns.simulator.example.", "two.ns.simulator.example.", "three.ns.simulator.example."];
/// Suffixes of two labels under which names are registered; all others have one.
const LONG_SUFFIXES: [&str; 3] = ["co.uk", "com.au", "co.jp"];

#[derive(Clone, Debug)]
pub(crate) struct Zone {
    pub(crate) head: Head,
    pub(crate) is_primary: bool,
    ttl: u64,
    nameservers: Vec<Value>,
    pub(crate) sets: Vec<RecordSet>,
}

impl Resource for Zone {
    const KIND: Kind = Kind::Zone;
    const SHAPE: Shape = Shape {
        name: "zones",
        sort: &["id", "name", "created"],
        filters: &[("name", &[]), ("mode", &["primary", "secondary"])],
        has_labels: true,
    };
    kept_in!(zones);

    fn json(&self, _state: &State) -> Value {
        json!({
            "id": self.head.id, "name": self.head.name, "created": self.head.created.to_string(),
            "labels": self.head.labels, "protection": {"delete": self.head.is_protected}, "ttl": self.ttl,
            "mode": if self.is_primary { "primary" } else { "secondary" }, "status": "ok", "registrar": "unknown",
            "primary_nameservers": self.nameservers,
            "record_count": self.sets.iter().map(|set| set.records.len()).sum::<usize>(),
            "authoritative_nameservers": {
                "assigned": NAMESERVERS, "delegated": [], "delegation_last_check": null,
                "delegation_status": "unknown",
            },
        })
    }
}

impl Zone {
    /// What its name servers would answer from.
    pub(crate) fn records(&self) -> impl Iterator<Item = ZoneRecord> {
        let zone = &self.head.name;
        self.sets.iter().flat_map(move |set| {
            let name = if set.name == "@" { zone.clone() } else { format!("{}.{zone}", set.name) };
            let ttl = set.ttl.unwrap_or(self.ttl);
            set.records.iter().map(move |record| ZoneRecord {
                name: name.clone(),
                kind: set.kind.clone(),
                ttl,
                value: record.value.clone(),
            })
        })
    }
}

/// The zone that a path names, by ID or by name; from then on by its ID.
pub(crate) fn resolve(call: &mut Call<'_>) -> Result<u64, ApiError> {
    let text = call.parameter(0);
    let found =
        call.state.zones.iter().find(|zone| zone.head.name == text || zone.head.id.to_string() == text);
    let id = found.map(|zone| zone.head.id).ok_or_else(|| ApiError::not_found("zone", text))?;
    if let Some(parameter) = call.parameters.first_mut() {
        *parameter = id.to_string();
    }
    Ok(id)
}

/// What is asked of all kinds, of a zone that may be named.
pub(crate) fn named(call: &mut Call<'_>, answer: fn(&mut Call<'_>) -> Answer) -> Answer {
    resolve(call)?;
    answer(call)
}

pub(crate) fn get(call: &mut Call<'_>) -> Answer {
    named(call, super::get::<Zone>)
}

pub(crate) fn protect(call: &mut Call<'_>) -> Answer {
    named(call, super::protect::<Zone>)
}

pub(crate) fn actions(call: &mut Call<'_>) -> Answer {
    named(call, super::own_actions::<Zone>)
}

pub(crate) fn action(call: &mut Call<'_>) -> Answer {
    named(call, super::own_action::<Zone>)
}

/// Labels only: a zone's name stays.
pub(crate) fn update(call: &mut Call<'_>) -> Answer {
    let (id, body) = (resolve(call)?, call.body()?);
    let labels = Call::input(&body)?.maybe_labels()?;
    call.state.check_free(Kind::Zone, id)?;
    let head = call.state.zones.get_mut(id)?.head_mut();
    head.labels = labels.unwrap_or_else(|| head.labels.clone());
    Ok(show::<Zone>(call, id, 200))
}

fn is_registrable(name: &str) -> bool {
    let suffix = LONG_SUFFIXES.iter().find_map(|suffix| name.strip_suffix(&format!(".{suffix}")));
    let is_label = |text: &str| is_domain_label(text) && !text.contains(|one: char| one.is_ascii_uppercase());
    match (suffix, name.rsplit_once('.')) {
        (Some(rest), _) => is_label(rest),
        (None, Some((rest, suffix))) => {
            is_label(rest) && is_label(suffix) && suffix.len() > 1 && !LONG_SUFFIXES.contains(&name)
        }
        (None, None) => false,
    }
}

pub(crate) fn ttl(input: &Input<'_>) -> Result<Option<u64>, ApiError> {
    match input.maybe_number("ttl")? {
        Some(ttl) if !(60..=2_147_483_647).contains(&ttl) => {
            Err(input.fault("ttl", "is not between 60 and 2147483647"))
        }
        ttl => Ok(ttl),
    }
}

pub(crate) fn create(call: &mut Call<'_>) -> Answer {
    let body = call.body()?;
    let input = Call::input(&body)?;
    let (name, labels) = (input.text("name")?, input.labels()?);
    if !is_registrable(name) {
        return Err(input.fault("name", format!("`{name}` is no name that can be registered")));
    }
    let is_primary = input.word("mode", &["primary", "secondary"])? == "primary";
    let ttl = ttl(&input)?.unwrap_or(3600);
    if input.maybe_text("zonefile")?.is_some() {
        return Err(input.fault("zonefile", "the simulator reads no zone files"));
    }
    let nameservers = input.objects("primary_nameservers")?;
    let nameservers: Vec<Value> =
        nameservers.iter().map(|server| nameserver(server)).collect::<Result<_, _>>()?;
    if !is_primary && nameservers.is_empty() {
        return Err(input.fault("primary_nameservers", "is required for a secondary zone"));
    }
    let mut sets = if is_primary { record_set::initial(&NAMESERVERS) } else { Vec::new() };
    for set in input.objects("rrsets")? {
        let set = record_set::parse(&set, name)?;
        if sets.iter().any(|other| other.is(&set.name, &set.kind)) {
            return Err(input.fault("rrsets", format!("`{}` is there twice", set.id())));
        }
        if is_primary {
            sets.push(set);
        }
    }
    call.state.check_limit(Kind::Zone)?;
    call.state.zones.check_name(name, None)?;
    let nameservers = if is_primary { Vec::new() } else { nameservers };
    let zone = Zone { head: call.state.head(name, labels), is_primary, ttl, nameservers, sets };
    let (id, shown) = (zone.head.id, zone.json(call.state));
    call.state.zones.insert(zone);
    let action = call.start(call.action("create_zone", &[(Kind::Zone, id)]));
    Ok(Reply::new(201, json!({"zone": shown, "action": action})))
}

fn nameserver(input: &Input<'_>) -> Result<Value, ApiError> {
    let address = input.text("address")?;
    if address.parse::<std::net::IpAddr>().is_err() {
        return Err(input.fault("address", format!("`{address}` is no address")));
    }
    let port = input.maybe_number("port")?.unwrap_or(53);
    if !(1..=65535).contains(&port) {
        return Err(input.fault("port", format!("{port} is no port")));
    }
    // Keys are kept from everybody who only reads.
    input.maybe_word("tsig_algorithm", &["hmac-md5", "hmac-sha1", "hmac-sha256"])?;
    input.maybe_text("tsig_key")?;
    Ok(json!({"address": address, "port": port}))
}

pub(crate) fn delete(call: &mut Call<'_>) -> Answer {
    let id = resolve(call)?;
    check_delete::<Zone>(call, id)?;
    let action = call.action("delete_zone", &[(Kind::Zone, id)]).effect(move |state| {
        state.zones.remove(id);
        Ok(())
    });
    Ok(call.started(action))
}

/// An action that puts a changed zone in the place of the old one: nobody else changes it meanwhile.
pub(crate) fn replace(call: &Call<'_>, command: &'static str, zone: Zone) -> Result<Action, ApiError> {
    Ok(act::<Zone>(call, zone.head.id, command)?.effect(move |state| {
        state.zones.insert(zone);
        Ok(())
    }))
}

pub(crate) fn change_ttl(call: &mut Call<'_>) -> Answer {
    let (id, body) = (resolve(call)?, call.body()?);
    let input = Call::input(&body)?;
    let ttl = ttl(&input)?.ok_or_else(|| input.fault("ttl", "is required"))?;
    let zone = Zone { ttl, ..call.state.zones.get(id)?.clone() };
    let action = replace(call, "change_zone_ttl", zone)?;
    Ok(call.started(action))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_names_that_can_be_registered() {
        for (name, expected) in [
            ("example.com", true),
            ("example.co.uk", true),
            ("xn--mnchen-3ya.de", true),
            ("co.uk", false),
            ("www.example.com", false),
            ("example", false),
            ("example.com.", false),
            ("Example.com", false),
            ("", false),
        ] {
            assert_eq!(is_registrable(name), expected, "{name}");
        }
    }
}
