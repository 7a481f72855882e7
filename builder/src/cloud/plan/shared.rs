//! What the servers share: network, firewall, placement group.

use super::place::Place;
use super::{Action, Intent, Kind, PlanError, Step, own, removal};
use crate::cloud::observed::Observed;
use crate::cloud::wanted::{PrivateNetwork, Rule, Wanted};

pub(super) fn steps(wanted: &Wanted, observed: &Observed, place: &Place) -> Result<Vec<Step>, PlanError> {
    let network = wanted.network.as_ref().map(|network| self::network(network, wanted, observed, place));
    let mut steps: Vec<Step> = network.transpose()?.into_iter().collect();
    steps.push(firewall(wanted, observed)?);
    steps.push(placement_group(wanted, observed)?);
    Ok(steps)
}

/// Networks that the cluster asks for no longer, which it does without `private-range`; its servers leave them first.
pub(super) fn old_networks(wanted: &Wanted, observed: &Observed) -> Result<Vec<Step>, PlanError> {
    if wanted.network.is_some() {
        return Ok(Vec::new());
    }
    let own = observed.networks.iter().filter(|found| found.is_of(&wanted.name));
    own.map(|found| {
        let leaving = observed.servers.iter().filter(|server| found.is.servers.contains(&server.id));
        // One that is no node any more is gone by then.
        let staying = leaving.filter(|server| wanted.servers.iter().any(|own| own.name == server.name));
        let detach = staying.map(|server| Action::DetachFromNetwork { server: server.id, network: found.id });
        removal::network(found, &wanted.name, observed, detach.collect())
    })
    .collect()
}

fn network(
    network: &PrivateNetwork,
    wanted: &Wanted,
    observed: &Observed,
    place: &Place,
) -> Result<Step, PlanError> {
    let (range, zone) = (network.range, place.zone.clone());
    let (intent, actions) = match own(&observed.networks, &wanted.name, "network", &wanted.name)? {
        None => (Intent::Create, vec![Action::CreateNetwork { range, zone }]),
        Some(found) if found.is.range != Some(range) => {
            let found = found.is.range.map_or_else(|| "another range".to_owned(), |found| found.to_string());
            return Err(PlanError::Range { name: wanted.name.clone(), found, wanted: range });
        }
        Some(found) if found.is.subnets.contains(&(range, zone.clone())) => (Intent::Keep, Vec::new()),
        Some(found) => {
            if let Some((other, there)) = found.is.subnets.iter().find(|(other, _)| other.overlaps(range)) {
                let (name, range, zone, wanted) = (wanted.name.clone(), *other, there.clone(), zone);
                return Err(PlanError::Subnet { name, range, zone, wanted });
            }
            (Intent::Change, vec![Action::AddSubnet { network: found.id, range, zone }])
        }
    };
    let detail =
        if intent == Intent::Change { format!("{range}, without its subnet") } else { range.to_string() };
    Ok(Step::new(intent, Kind::Network, &wanted.name, detail, actions))
}

fn firewall(wanted: &Wanted, observed: &Observed) -> Result<Step, PlanError> {
    let rules = &wanted.firewall.rules;
    let step = |intent, detail, actions| Step::new(intent, Kind::Firewall, &wanted.name, detail, actions);
    let Some(found) = own(&observed.firewalls, &wanted.name, "firewall", &wanted.name)? else {
        let actions = vec![Action::CreateFirewall { rules: rules.clone() }];
        return Ok(step(Intent::Create, ports(rules), actions));
    };
    let mut actions = Vec::new();
    if !is_same(&found.is.rules, rules) {
        actions.push(Action::SetRules { firewall: found.id, rules: rules.clone() });
    }
    if !found.is.is_applied {
        actions.push(Action::ApplyFirewall { firewall: found.id });
    }
    let intent = if actions.is_empty() { Intent::Keep } else { Intent::Change };
    Ok(step(intent, ports(rules), actions))
}

/// In any order, and whatever they are said to be for.
fn is_same(found: &[Option<Rule>], wanted: &[Rule]) -> bool {
    let key = |rule: &Rule| (rule.protocol.name(), rule.port);
    let mut wanted: Vec<_> = wanted.iter().map(key).collect();
    let mut found: Vec<_> = found.iter().map(|rule| rule.as_ref().map(key)).collect();
    wanted.sort_unstable();
    found.sort_unstable();
    found.into_iter().eq(wanted.into_iter().map(Some))
}

/// `icmp, tcp 80, udp 51820`.
fn ports(rules: &[Rule]) -> String {
    let rule = |rule: &Rule| match rule.port {
        Some(port) => format!("{} {port}", rule.protocol.name()),
        None => rule.protocol.name().to_owned(),
    };
    rules.iter().map(rule).collect::<Vec<_>>().join(", ")
}

fn placement_group(wanted: &Wanted, observed: &Observed) -> Result<Step, PlanError> {
    let found = own(&observed.placement_groups, &wanted.name, "placement group", &wanted.name)?;
    let (intent, actions) = match found {
        Some(_) => (Intent::Keep, Vec::new()),
        None => (Intent::Create, vec![Action::CreatePlacementGroup]),
    };
    let (name, detail) = (wanted.name.clone(), "each control plane on another host".to_owned());
    Ok(Step::new(intent, Kind::PlacementGroup, &name, detail, actions))
}
