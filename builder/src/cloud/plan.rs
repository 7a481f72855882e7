//! From what a cluster asks for and what is there, to what is to be done. Pure; in the order in which it is done.
//!
//! Nothing of another owner is touched: what has a name that the cluster needs, and not its label, is a fault.

mod action;
mod buckets;
mod error;
mod image;
mod names;
mod place;
mod removal;
mod servers;
mod shared;
mod temporary;

use serde::Serialize;

use super::observed::{Found, Observed};
use super::price::PriceByTime;
use super::wanted::{AddressFamily, NamedAddress, Wanted};

pub use action::{Action, BucketCall};
pub use error::PlanError;
pub use image::{Built, Origin, PlannedImage, PlannedUpload};
pub use removal::Spared;
pub use temporary::{NoTemporary, Temporary};

/// What is to be done.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// Name of the cluster.
    pub cluster: String,
    /// Where its servers stand, of a plan that makes some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Currency of all prices.
    pub currency: String,
    /// The images that servers are made of.
    pub images: Vec<PlannedImage>,
    /// Everything that there will be, was, or stays.
    pub steps: Vec<Step>,
    /// Names that somebody has to write elsewhere, with what is known of their addresses.
    pub shown: Vec<PlannedName>,
    /// Buckets that nothing is done about, since nobody has looked at them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unseen_buckets: Vec<String>,
    /// What everything costs that is there afterwards, without snapshots.
    pub total: PriceByTime,
}

/// What becomes of one resource.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// What is intended.
    pub intent: Intent,
    /// What kind it is of.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// What it is, or why it is changed.
    pub detail: String,
    /// What is done, one call each.
    #[serde(skip)]
    pub actions: Vec<Action>,
    /// The same as the provider's reference has it, `POST /servers`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<String>,
    /// What it costs for as long as it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<PriceByTime>,
    /// Whether it costs something that is not told.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub has_unknown_price: bool,
}

/// What is intended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Intent {
    /// It is made.
    Create,
    /// It is there, and is changed.
    Change,
    /// It is there as it should be.
    Keep,
    /// It goes.
    Delete,
}

/// Kind of a resource.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A private network.
    Network,
    /// A firewall.
    Firewall,
    /// A placement group.
    PlacementGroup,
    /// A Primary IP.
    Address,
    /// A server.
    Server,
    /// A name in the zone.
    Name,
    /// A snapshot.
    Snapshot,
    /// A bucket of an S3 service.
    Bucket,
}

/// A name with its addresses.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedName {
    /// The name, whole.
    pub name: String,
    /// `A` or `AAAA`.
    pub record: &'static str,
    /// The addresses that are known; `None` for one that is still to be made.
    pub values: Vec<Option<String>>,
}

impl Plan {
    /// What makes of `observed` what is `wanted`, with images that are `built`; `request` is how the provider's reference
    /// has a call.
    pub fn new(
        wanted: &Wanted,
        observed: &Observed,
        built: &[Built],
        request: impl Fn(&Action) -> String,
    ) -> Result<Self, PlanError> {
        let place = place::choose(wanted, observed, built)?;
        let images = PlannedImage::all(wanted, observed, built)?;
        let mut steps = shared::steps(wanted, observed, &place)?;
        // Before what is paid by the hour: a name may be taken.
        steps.extend(buckets::steps(wanted, observed)?);
        steps.extend(servers::steps(wanted, observed, &place, &images)?);
        steps.extend(names::steps(wanted, observed)?);
        steps.extend(shared::old_networks(wanted, observed)?);
        for step in &mut steps {
            step.requests = step.actions.iter().map(&request).collect();
        }
        let stays = steps.iter().filter(|step| step.intent != Intent::Delete);
        let total = stays.filter_map(|step| step.price).sum();
        Ok(Self {
            cluster: wanted.name.clone(),
            location: Some(place.location),
            currency: observed.currency.clone(),
            images,
            steps,
            shown: PlannedName::all(wanted, observed),
            unseen_buckets: buckets::unseen(wanted, observed),
            total,
        })
    }

    /// Whether anything is done by it.
    pub fn is_anything(&self) -> bool {
        self.steps.iter().any(|step| !step.actions.is_empty())
            || self.images.iter().any(|image| !matches!(image.origin, Origin::Reuse { .. }))
    }
}

impl Step {
    fn new(intent: Intent, kind: Kind, name: &str, detail: String, actions: Vec<Action>) -> Self {
        Self {
            intent,
            kind,
            name: name.to_owned(),
            detail,
            actions,
            requests: Vec::new(),
            price: None,
            has_unknown_price: false,
        }
    }
}

/// The one with this name, which has to be the cluster's own.
fn own<'found, T>(
    all: &'found [Found<T>],
    name: &str,
    kind: &'static str,
    cluster: &str,
) -> Result<Option<&'found Found<T>>, PlanError> {
    match all.iter().find(|found| found.name == name) {
        Some(found) if !found.is_of(cluster) => {
            Err(PlanError::Foreign { kind, name: name.to_owned(), cluster: cluster.to_owned() })
        }
        found => Ok(found),
    }
}

/// Fails for one that the provider keeps from being deleted.
fn removable<T>(kind: &'static str, found: &Found<T>) -> Result<(), PlanError> {
    if found.is_protected {
        return Err(PlanError::Protected { kind, name: found.name.clone(), from: "deleted" });
    }
    Ok(())
}

/// A name with the addresses of its servers, as far as they are there.
fn addresses(
    name: &NamedAddress,
    family: AddressFamily,
    wanted: &Wanted,
    observed: &Observed,
) -> Vec<Option<String>> {
    let servers = wanted.servers.iter().filter(|server| name.servers.contains(&server.name));
    let address = |name: String| {
        let found = observed.addresses.iter().find(|found| found.name == name)?;
        Some(found.is.ip.to_string())
    };
    servers.map(|server| address(server.address_name(family))).collect()
}

#[cfg(test)]
mod tests;
