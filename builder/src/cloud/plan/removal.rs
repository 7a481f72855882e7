//! The way back: what there is of a cluster goes, and of nothing else.

use super::{Action, Intent, Kind, Plan, PlanError, Step, buckets, names, removable};
use crate::cloud::observed::{Address, DIGEST_LABEL, Found, Network, Observed, Server};

/// What a removal spares unless it is told otherwise.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Spared {
    /// Primary IPs: what names elsewhere say stays true.
    pub addresses: bool,
    /// Snapshots, of which other clusters may be made.
    pub snapshots: bool,
    /// Buckets: they hold its copies.
    pub buckets: bool,
}

impl Plan {
    /// What removes all that `cluster` has; `request` as in [`Plan::new`].
    pub fn removal(
        cluster: &str,
        observed: &Observed,
        spared: Spared,
        request: impl Fn(&Action) -> String,
    ) -> Result<Self, PlanError> {
        // First of all: nobody is to be sent to a server that is going.
        let zone = observed.zone.as_ref().filter(|zone| zone.is_writable);
        let steps = zone.map(|zone| names::removals(zone, cluster, |_, _| true));
        let mut steps = steps.transpose()?.unwrap_or_default();
        steps.extend(servers(cluster, observed)?);
        steps.extend(addresses(cluster, observed, spared)?);
        steps.extend(shared(cluster, observed)?);
        steps.extend(snapshots(cluster, observed, spared)?);
        // Last of all: nobody is left who writes to them.
        if !spared.buckets {
            steps.extend(buckets::removals(cluster, observed));
        }
        for step in &mut steps {
            step.requests = step.actions.iter().map(&request).collect();
        }
        let stays = steps.iter().filter(|step| step.intent == Intent::Keep);
        Ok(Self {
            cluster: cluster.to_owned(),
            location: None,
            currency: observed.currency.clone(),
            images: Vec::new(),
            total: stays.filter_map(|step| step.price).sum(),
            steps,
            shown: Vec::new(),
            unseen_buckets: Vec::new(),
        })
    }
}

fn of<'found, T>(
    all: &'found [Found<T>],
    cluster: &'found str,
) -> impl Iterator<Item = &'found Found<T>> + use<'found, T> {
    all.iter().filter(move |found| found.is_of(cluster))
}

fn gone(kind: Kind, name: &str, detail: String, actions: Vec<Action>) -> Step {
    Step::new(Intent::Delete, kind, name, detail, actions)
}

fn servers(cluster: &str, observed: &Observed) -> Result<Vec<Step>, PlanError> {
    let step = |found: &Found<Server>| {
        let server = &found.is;
        removable("server", found)?;
        let detail = format!("{} in {}, with all that is on its disk", server.server_type, server.location);
        Ok(gone(Kind::Server, &found.name, detail, vec![Action::DeleteServer { server: found.id }]))
    };
    of(&observed.servers, cluster).map(step).collect()
}

fn addresses(cluster: &str, observed: &Observed, spared: Spared) -> Result<Vec<Step>, PlanError> {
    let step = |found: &Found<Address>| {
        let detail = found.is.ip.to_string();
        if !spared.addresses {
            removable("Primary IP", found)?;
            let action = Action::DeleteAddress { address: found.id };
            return Ok(gone(Kind::Address, &found.name, detail, vec![action]));
        }
        let step = Step::new(Intent::Keep, Kind::Address, &found.name, detail, Vec::new());
        let price = observed.price_of(&found.is);
        Ok(Step { price, has_unknown_price: price.is_none(), ..step })
    };
    of(&observed.addresses, cluster).map(step).collect()
}

/// What the servers shared; it is free once they are gone.
fn shared(cluster: &str, observed: &Observed) -> Result<Vec<Step>, PlanError> {
    let mut steps = Vec::new();
    for found in of(&observed.placement_groups, cluster) {
        let action = Action::DeletePlacementGroup { group: found.id };
        steps.push(gone(Kind::PlacementGroup, &found.name, String::new(), vec![action]));
    }
    for found in of(&observed.firewalls, cluster) {
        if found.is.has_others {
            return Err(PlanError::InUse { kind: "firewall", name: found.name.clone(), by: None });
        }
        let actions = vec![
            Action::RemoveFirewall { firewall: found.id },
            Action::DeleteFirewall { firewall: found.id },
        ];
        steps.push(gone(Kind::Firewall, &found.name, String::new(), actions));
    }
    for found in of(&observed.networks, cluster) {
        steps.push(network(found, cluster, observed, Vec::new())?);
    }
    Ok(steps)
}

/// What removes a network, after `before`.
pub(super) fn network(
    found: &Found<Network>,
    cluster: &str,
    observed: &Observed,
    before: Vec<Action>,
) -> Result<Step, PlanError> {
    removable("network", found)?;
    let others = observed.servers.iter().filter(|server| !server.is_of(cluster));
    let others = others.filter(|server| found.is.servers.contains(&server.id));
    let others: Vec<_> = others.map(|server| format!("`{}`", server.name)).collect();
    if !others.is_empty() {
        let by = Some(others.join(", "));
        return Err(PlanError::InUse { kind: "network", name: found.name.clone(), by });
    }
    let range = found.is.range.map(|range| range.to_string()).unwrap_or_default();
    let actions = before.into_iter().chain([Action::DeleteNetwork { network: found.id }]);
    Ok(gone(Kind::Network, &found.name, range, actions.collect()))
}

/// Those that the cluster has uploaded, and of which no server of another is made.
fn snapshots(cluster: &str, observed: &Observed, spared: Spared) -> Result<Vec<Step>, PlanError> {
    if spared.snapshots {
        return Ok(Vec::new());
    }
    let is_foreign =
        |number: &u64| observed.servers.iter().any(|server| server.id == *number && !server.is_of(cluster));
    let free = of(&observed.snapshots, cluster).filter(|found| !found.is.servers.iter().any(is_foreign));
    free.map(|found| {
        removable("snapshot", found)?;
        let digest = found.labels.get(DIGEST_LABEL).cloned().unwrap_or_default();
        let action = Action::DeleteSnapshot { snapshot: found.id };
        Ok(gone(Kind::Snapshot, &found.name, digest, vec![action]))
    })
    .collect()
}
