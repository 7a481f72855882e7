//! Buckets for copies: those that are missing are made, those that are there stay as they are.

use super::{Action, BucketCall, Intent, Kind, PlanError, Step};
use crate::cloud::observed::{Bucket, Observed, OwnBucket, Storage};
use crate::cloud::wanted::Wanted;

/// Nothing where the service was not looked at.
pub(super) fn steps(wanted: &Wanted, observed: &Observed) -> Result<Vec<Step>, PlanError> {
    let Some(storage) = &observed.storage else { return Ok(Vec::new()) };
    storage.buckets.iter().map(|(name, bucket)| step(name, bucket, storage, &wanted.name)).collect()
}

/// Names of those that were not looked at.
pub(super) fn unseen(wanted: &Wanted, observed: &Observed) -> Vec<String> {
    match (&wanted.storage, &observed.storage) {
        (Some(wanted), None) => wanted.buckets.clone(),
        _ => Vec::new(),
    }
}

fn step(name: &str, bucket: &Bucket, storage: &Storage, cluster: &str) -> Result<Step, PlanError> {
    let act = |call| Action::Bucket { url: format!("{}/{name}", storage.url), call };
    let mark = || act(BucketCall::Mark { cluster: cluster.to_owned() });
    let place = &storage.region;
    let (intent, detail, actions) = match bucket {
        Bucket::Free => {
            let actions = vec![act(BucketCall::Create), act(BucketCall::MarkRun), mark()];
            (Intent::Create, place.clone(), actions)
        }
        Bucket::Own(own) if own.is_of(cluster) => (Intent::Keep, place.clone(), Vec::new()),
        Bucket::Own(own) if own.is_begun() => {
            (Intent::Change, format!("{place}, left by an interrupted run"), vec![mark()])
        }
        Bucket::Own(own) if own.clusters.is_empty() => {
            (Intent::Keep, format!("{place}, not made by imgbuild"), Vec::new())
        }
        Bucket::Own(_) => {
            let (name, cluster) = (name.to_owned(), cluster.to_owned());
            return Err(PlanError::Foreign { kind: "bucket", name, cluster });
        }
        Bucket::Taken => return Err(PlanError::Taken { name: name.to_owned() }),
        Bucket::Elsewhere { region } => {
            let (name, found, wanted) = (name.to_owned(), region.clone(), place.clone());
            return Err(PlanError::Region { name, found, wanted });
        }
    };
    // No API tells what storage costs.
    Ok(Step { has_unknown_price: true, ..Step::new(intent, Kind::Bucket, name, detail, actions) })
}

/// What is the cluster's goes with all that is in it; what says nothing of whose it is, only where nothing is in it.
pub(super) fn removals(cluster: &str, observed: &Observed) -> Vec<Step> {
    let Some(storage) = &observed.storage else { return Vec::new() };
    let removal = |(name, bucket): (&String, &Bucket)| {
        let Bucket::Own(own) = bucket else { return None };
        let act = |call| Action::Bucket { url: format!("{}/{name}", storage.url), call };
        let (is_gone, detail) = fate(own, cluster);
        let is_marked = !(own.clusters.is_empty() && own.runs.is_empty());
        let calls = [
            (!own.is_empty(), BucketCall::Empty),
            (is_marked, BucketCall::Unmark),
            (true, BucketCall::Delete),
        ];
        let calls = calls.into_iter().filter(|(is_needed, _)| is_gone && *is_needed);
        let actions = calls.map(|(_, call)| act(call)).collect();
        let intent = if is_gone { Intent::Delete } else { Intent::Keep };
        Some(Step { has_unknown_price: !is_gone, ..Step::new(intent, Kind::Bucket, name, detail, actions) })
    };
    storage.buckets.iter().filter_map(removal).collect()
}

/// Whether a bucket goes, and what there is to say of it.
fn fate(own: &OwnBucket, cluster: &str) -> (bool, String) {
    let content = own.content();
    let other = own.clusters.iter().find(|owner| *owner != cluster);
    match other {
        Some(other) => (false, format!("{content}, of the cluster `{other}`")),
        None if own.is_of(cluster) || own.is_begun() => (true, content),
        None if own.is_empty() => (true, format!("{content}, not marked as the cluster's")),
        None => (false, format!("{content}, not made by imgbuild")),
    }
}
