//! Record sets of zones: the records of a name and a type.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::{Value, json};

use super::Answer;
use super::zone::{self, Zone};
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::input::Input;
use crate::label::Labels;
use crate::page::Shape;

const TYPES: &[&str] = &[
    "A", "AAAA", "CAA", "CNAME", "DS", "HINFO", "HTTPS", "MX", "NS", "PTR", "RP", "SOA", "SRV", "SVCB",
    "TLSA", "TXT",
];
const MOST_RECORDS: usize = 50;

const SHAPE: Shape = Shape {
    name: "rrsets",
    sort: &["id", "name", "created"],
    filters: &[("name", &[]), ("type", TYPES)],
    has_labels: true,
};

#[derive(Clone, Debug)]
pub(crate) struct RecordSet {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) ttl: Option<u64>,
    labels: Labels,
    /// Against changes, and so against deletion.
    is_protected: bool,
    pub(crate) records: Vec<Record>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Record {
    pub(crate) value: String,
    comment: String,
}

impl RecordSet {
    pub(crate) fn id(&self) -> String {
        format!("{}/{}", self.name, self.kind)
    }

    pub(crate) fn is(&self, name: &str, kind: &str) -> bool {
        self.name == name && self.kind == kind
    }

    fn to_json(&self, zone: u64) -> Value {
        json!({
            "id": self.id(), "name": self.name, "type": self.kind, "ttl": self.ttl, "labels": self.labels,
            "protection": {"change": self.is_protected}, "zone": zone,
            "records": self.records.iter()
                .map(|record| json!({"value": record.value, "comment": record.comment})).collect::<Vec<_>>(),
        })
    }
}

/// What every primary zone begins with.
pub(crate) fn initial(nameservers: &[&str]) -> Vec<RecordSet> {
    let set = |kind: &str, values: Vec<String>| RecordSet {
        name: "@".to_owned(),
        kind: kind.to_owned(),
        ttl: None,
        labels: Labels::new(),
        is_protected: false,
        records: values.into_iter().map(|value| Record { value, comment: String::new() }).collect(),
    };
    let first = nameservers.first().copied().unwrap_or_default();
    let authority = format!("{first} dns.simulator.example. 2026010100 86400 10800 3600000 3600");
    vec![set("SOA", vec![authority]), set("NS", nameservers.iter().map(|&name| name.to_owned()).collect())]
}

/// A set to create in the zone of a name.
pub(crate) fn parse(input: &Input<'_>, zone: &str) -> Result<RecordSet, ApiError> {
    let (name, kind) = (input.text("name")?, input.word("type", TYPES)?);
    let is_label = |text: &str| {
        !text.is_empty()
            && text.len() <= 63
            && text
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_*".contains(&byte))
    };
    let is_in_zone = name == zone || name.ends_with(&format!(".{zone}"));
    if name != "@" && (is_in_zone || !name.split('.').all(is_label)) {
        return Err(input.fault("name", format!("`{name}` is no name in lower case below the zone")));
    }
    let ttl = ttl(input)?;
    let records = records(input, kind)?;
    let labels = input.labels()?;
    Ok(RecordSet { name: name.to_owned(), kind: kind.to_owned(), ttl, labels, is_protected: false, records })
}

/// Null is the zone's.
fn ttl(input: &Input<'_>) -> Result<Option<u64>, ApiError> {
    if input.is_null("ttl") { Ok(None) } else { zone::ttl(input) }
}

fn records(input: &Input<'_>, kind: &str) -> Result<Vec<Record>, ApiError> {
    let entries = input.objects("records")?;
    if entries.is_empty() || entries.len() > MOST_RECORDS {
        return Err(input.fault("records", format!("are not between 1 and {MOST_RECORDS}")));
    }
    let mut records: Vec<Record> = Vec::new();
    for entry in entries {
        let (value, comment) = (entry.text("value")?, entry.maybe_text("comment")?.unwrap_or_default());
        let is_valid = match kind {
            "A" => value.parse::<Ipv4Addr>().is_ok(),
            "AAAA" => value.parse::<Ipv6Addr>().is_ok(),
            "TXT" => value.starts_with('"') && value.ends_with('"') && value.len() > 1,
            _ => !value.trim().is_empty(),
        };
        if !is_valid {
            return Err(entry.fault("value", format!("`{value}` is no value of type {kind}")));
        }
        if records.iter().any(|other| other.value == value) {
            return Err(entry.fault("value", format!("`{value}` is there twice")));
        }
        records.push(Record { value: value.to_owned(), comment: comment.to_owned() });
    }
    Ok(records)
}

/// The zone of a path, and what the path says of a set.
fn place(call: &mut Call<'_>) -> Result<(Zone, String, String), ApiError> {
    let id = zone::resolve(call)?;
    let (name, kind) = (call.parameter(1).to_owned(), call.parameter(2).to_owned());
    Ok((call.state.zones.get(id)?.clone(), name, kind))
}

fn index(zone: &Zone, name: &str, kind: &str) -> Result<usize, ApiError> {
    let place = zone.sets.iter().position(|set| set.is(name, kind));
    place.ok_or_else(|| ApiError::not_found("rrset", format!("{name}/{kind}")))
}

fn check_mode(zone: &Zone) -> Result<(), ApiError> {
    if zone.is_primary {
        return Ok(());
    }
    Err(ApiError::refused("incorrect_zone_mode", "the operation is not supported for the zone's mode"))
}

fn check_change(zone: &Zone, set: &RecordSet) -> Result<(), ApiError> {
    check_mode(zone)?;
    if set.is_protected { Err(ApiError::protected("rrset")) } else { Ok(()) }
}

pub(crate) fn list(call: &mut Call<'_>) -> Answer {
    let id = zone::resolve(call)?;
    let items = call.state.zones.get(id)?.sets.iter().map(|set| set.to_json(id)).collect();
    call.list(&SHAPE, items)
}

pub(crate) fn get(call: &mut Call<'_>) -> Answer {
    let (zone, name, kind) = place(call)?;
    let set = &zone.sets[index(&zone, &name, &kind)?];
    Ok(Reply::ok(json!({"rrset": set.to_json(zone.head.id)})))
}

pub(crate) fn create(call: &mut Call<'_>) -> Answer {
    let (mut zone, _, _) = place(call)?;
    let body = call.body()?;
    let set = parse(&Call::input(&body)?, &zone.head.name)?;
    check_mode(&zone)?;
    if zone.sets.iter().any(|other| other.is(&set.name, &set.kind)) {
        return Err(ApiError::not_unique("name", format!("rrset `{}` already exists", set.id())));
    }
    let shown = set.to_json(zone.head.id);
    zone.sets.push(set);
    let action = zone::replace(call, "create_rrset", zone)?;
    let action = call.start(action);
    Ok(Reply::new(201, json!({"rrset": shown, "action": action})))
}

/// Labels change at once.
pub(crate) fn update(call: &mut Call<'_>) -> Answer {
    let (mut zone, name, kind) = place(call)?;
    let body = call.body()?;
    let labels = Call::input(&body)?.maybe_labels()?;
    let place = index(&zone, &name, &kind)?;
    check_mode(&zone)?;
    call.state.check_free(crate::state::Kind::Zone, zone.head.id)?;
    let set = &mut zone.sets[place];
    set.labels = labels.unwrap_or_else(|| set.labels.clone());
    let shown = set.to_json(zone.head.id);
    call.state.zones.insert(zone);
    Ok(Reply::ok(json!({"rrset": shown})))
}

/// A change of one set that is there.
fn change(
    call: &mut Call<'_>,
    command: &'static str,
    make: impl FnOnce(&mut RecordSet, &Input<'_>) -> Result<(), ApiError>,
) -> Answer {
    let (mut zone, name, kind) = place(call)?;
    let body = call.body()?;
    let place = index(&zone, &name, &kind)?;
    check_change(&zone, &zone.sets[place])?;
    make(&mut zone.sets[place], &Call::input(&body)?)?;
    // Without records a set is gone.
    zone.sets.retain(|set| !set.records.is_empty());
    let action = zone::replace(call, command, zone)?;
    Ok(call.started(action))
}

pub(crate) fn delete(call: &mut Call<'_>) -> Answer {
    let (mut zone, name, kind) = place(call)?;
    let place = index(&zone, &name, &kind)?;
    check_change(&zone, &zone.sets[place])?;
    zone.sets.remove(place);
    let action = zone::replace(call, "delete_rrset", zone)?;
    Ok(call.started(action))
}

pub(crate) fn set_records(call: &mut Call<'_>) -> Answer {
    change(call, "set_rrset_records", |set, input| {
        set.records = records(input, &set.kind)?;
        Ok(())
    })
}

/// A set that is not there comes into being.
pub(crate) fn add_records(call: &mut Call<'_>) -> Answer {
    let (mut zone, name, kind) = place(call)?;
    let body = call.body()?;
    let input = Call::input(&body)?;
    let ttl = ttl(&input)?;
    check_mode(&zone)?;
    if index(&zone, &name, &kind).is_err() {
        let new = json!({"name": name, "type": kind, "records": body["records"], "ttl": ttl});
        let set = parse(&Input::of("", &new)?, &zone.head.name)?;
        zone.sets.push(set);
    } else {
        let place = index(&zone, &name, &kind)?;
        check_change(&zone, &zone.sets[place])?;
        let set = &mut zone.sets[place];
        if ttl.is_some() && ttl != set.ttl {
            return Err(input.fault("ttl", "is not that of the record set"));
        }
        for record in records(&input, &kind)? {
            if set.records.iter().any(|other| other.value == record.value) {
                return Err(ApiError::not_unique("records", format!("`{}` is there", record.value)));
            }
            set.records.push(record);
        }
    }
    let action = zone::replace(call, "add_rrset_records", zone)?;
    Ok(call.started(action))
}

pub(crate) fn remove_records(call: &mut Call<'_>) -> Answer {
    change(call, "remove_rrset_records", |set, input| {
        for record in records(input, &set.kind)? {
            let place = set.records.iter().position(|other| other.value == record.value);
            let place = place.ok_or_else(|| ApiError::not_found("record", &record.value))?;
            set.records.remove(place);
        }
        Ok(())
    })
}

/// Comments only; a value says which record is meant.
pub(crate) fn update_records(call: &mut Call<'_>) -> Answer {
    let reply = change(call, "update_rrset_records", |set, input| {
        for record in records(input, &set.kind)? {
            let own = set.records.iter_mut().find(|other| other.value == record.value);
            let own = own.ok_or_else(|| ApiError::not_found("record", &record.value))?;
            own.comment = record.comment;
        }
        Ok(())
    })?;
    // The one action that the document answers so.
    Ok(Reply { status: 200, ..reply })
}

pub(crate) fn change_ttl(call: &mut Call<'_>) -> Answer {
    change(call, "change_rrset_ttl", |set, input| {
        let wanted = ttl(input)?;
        if wanted.is_none() && !input.is_null("ttl") {
            return Err(input.fault("ttl", "is required"));
        }
        set.ttl = wanted;
        Ok(())
    })
}

pub(crate) fn protect(call: &mut Call<'_>) -> Answer {
    let (mut zone, name, kind) = place(call)?;
    let body = call.body()?;
    let input = Call::input(&body)?;
    let flag = input.maybe_flag("change")?.ok_or_else(|| input.fault("change", "is required"))?;
    let place = index(&zone, &name, &kind)?;
    zone.sets[place].is_protected = flag;
    let action = zone::replace(call, "change_rrset_protection", zone)?;
    Ok(call.started(action))
}
