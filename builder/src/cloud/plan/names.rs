//! Names of the cluster in the zone.

use super::{Action, Intent, Kind, PlanError, PlannedName, Step, addresses};
use crate::cloud::observed::{Observed, Records, Zone};
use crate::cloud::wanted::{AddressFamily, NamedAddress, Wanted};

impl PlannedName {
    /// What somebody has to write elsewhere than in the zone.
    pub fn all(wanted: &Wanted, observed: &Observed) -> Vec<Self> {
        let name = |(name, family): (&NamedAddress, AddressFamily)| Self {
            name: name.name.clone(),
            record: family.record(),
            values: addresses(name, family, wanted, observed),
        };
        each(&wanted.dns.shown).map(name).collect()
    }
}

/// What is done to the zone.
pub(super) fn steps(wanted: &Wanted, observed: &Observed) -> Result<Vec<Step>, PlanError> {
    let Some(name) = &wanted.dns.zone else { return Ok(Vec::new()) };
    let Some(zone) = &observed.zone else { return Err(PlanError::Zone { name: name.clone() }) };
    if !zone.is_writable {
        return Err(PlanError::Secondary { name: name.clone() });
    }
    let written = each(&wanted.dns.written).map(|(name, family)| step(name, family, zone, wanted, observed));
    let mut steps = written.collect::<Result<Vec<_>, _>>()?;
    steps.extend(superfluous(zone, wanted)?);
    Ok(steps)
}

fn each(names: &[NamedAddress]) -> impl Iterator<Item = (&NamedAddress, AddressFamily)> {
    names.iter().flat_map(|name| AddressFamily::ALL.map(|family| (name, family)))
}

fn step(
    name: &NamedAddress,
    family: AddressFamily,
    zone: &Zone,
    wanted: &Wanted,
    observed: &Observed,
) -> Result<Step, PlanError> {
    let relative = relative(&name.name, &zone.name);
    let values = addresses(name, family, wanted, observed);
    let record = family.record();
    let found = zone.records.get(&(relative.clone(), record.to_owned()));
    // A name that is another's stands for no address (RFC 1034, section 3.6.2).
    if zone.records.contains_key(&(relative.clone(), "CNAME".to_owned())) {
        let (name, cluster) = (format!("{} CNAME", name.name), wanted.name.clone());
        return Err(PlanError::Foreign { kind: "record set", name, cluster });
    }
    let (intent, actions) = match found {
        None => (Intent::Create, vec![Action::CreateRecords { zone: zone.id, name: relative, record }]),
        Some(found) if !found.is_of(&wanted.name) => {
            return Err(PlanError::Foreign {
                kind: "record set",
                name: format!("{} {record}", name.name),
                cluster: wanted.name.clone(),
            });
        }
        Some(found) => {
            let (zone, whole, name) = (zone.id, &name.name, relative);
            let set = (!has_values(found, &values)).then(|| Action::SetRecords {
                zone,
                name: name.clone(),
                record,
            });
            let ttl = (found.ttl != Some(wanted.dns.ttl)).then_some(Action::ChangeTtl { zone, name, record });
            let actions: Vec<Action> = set.into_iter().chain(ttl).collect();
            if found.is_protected && !actions.is_empty() {
                let name = format!("{whole} {record}");
                return Err(PlanError::Protected { kind: "record set", name, from: "changed" });
            }
            (if actions.is_empty() { Intent::Keep } else { Intent::Change }, actions)
        }
    };
    let shown = values.into_iter().map(|value| value.unwrap_or_else(|| "of its server".to_owned()));
    let detail = format!("{record} {}", shown.collect::<Vec<_>>().join(" "));
    Ok(Step::new(intent, Kind::Name, &name.name, detail, actions))
}

fn has_values(found: &Records, values: &[Option<String>]) -> bool {
    let mut values: Vec<Option<&String>> = values.iter().map(Option::as_ref).collect();
    values.sort_unstable();
    found.values.iter().map(Some).eq(values)
}

/// `@` is the zone itself.
fn relative(name: &str, zone: &str) -> String {
    match name.strip_suffix(zone).map(|rest| rest.trim_end_matches('.')) {
        None | Some("") => "@".to_owned(),
        Some(rest) => rest.to_owned(),
    }
}

/// Records that the cluster has made and names no longer.
fn superfluous(zone: &Zone, wanted: &Wanted) -> Result<Vec<Step>, PlanError> {
    let names: Vec<(String, &str)> = each(&wanted.dns.written)
        .map(|(name, family)| (relative(&name.name, &zone.name), family.record()))
        .collect();
    let is_named =
        |name: &str, record: &str| names.iter().any(|(own, own_record)| own == name && *own_record == record);
    removals(zone, &wanted.name, |name, record| !is_named(name, record))
}

/// What removes those records of the cluster whose name and type are `doomed`.
pub(super) fn removals(
    zone: &Zone,
    cluster: &str,
    doomed: impl Fn(&str, &str) -> bool,
) -> Result<Vec<Step>, PlanError> {
    let own = zone.records.iter().filter(|(_, found)| found.is_of(cluster));
    let old = own.filter(|((name, record), _)| doomed(name, record));
    let step = |((name, record), found): (&(String, String), &Records)| {
        if found.is_protected {
            let name = format!("{} {record}", zone.whole_name(name));
            return Err(PlanError::Protected { kind: "record set", name, from: "changed" });
        }
        let detail = format!("{record} {}", found.values.join(" "));
        let action = Action::DeleteRecords { zone: zone.id, name: name.clone(), record: record.clone() };
        Ok(Step::new(Intent::Delete, Kind::Name, &zone.whole_name(name), detail, vec![action]))
    };
    old.map(step).collect()
}
