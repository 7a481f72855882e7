//! `imgbuild down`: all that a cluster has in the cloud goes, and nothing else.

use std::time::Duration;

use clap::Args;

use super::Context;
use super::plan::of_plan;
use super::project::{self, Access};
use super::storage::StorageAccess;
use crate::cloud::observed::Observed;
use crate::cloud::plan::{Action, BucketCall, Intent, Kind, Plan, Spared, Step};
use crate::cloud::wanted::Wanted;
use crate::hetzner::carry_out::{Given, Site};
use crate::hetzner::request_line;

/// For all removals together.
const REMOVING: Duration = Duration::from_mins(20);
/// What is said where nothing else is.
const KEPT_BUCKETS: &str = "; its buckets, if there are any, are removed by `--buckets`";

/// Arguments of `down`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Remove its Primary IPs too: the next `up` gets others
    #[arg(long)]
    addresses: bool,
    /// Remove the snapshots that it has uploaded, too
    #[arg(long)]
    snapshots: bool,
    /// Remove the buckets of `[backup]` with all copies in them, too
    #[arg(long)]
    buckets: bool,
    #[command(flatten)]
    access: Access,
    #[command(flatten)]
    storage: StorageAccess,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let cluster = context.cluster()?;
    let wanted = Wanted::new(&cluster, project::of(&cluster)?);
    let spared = Spared {
        addresses: !arguments.addresses,
        snapshots: !arguments.snapshots,
        buckets: !arguments.buckets,
    };
    // Nobody is asked of what stays in any case.
    let asked = wanted.storage.as_ref().filter(|_| arguments.buckets);
    let storage = arguments.storage.open(asked, context, "; without `--buckets` they are not needed")?;
    let project = arguments.access.open(context)?.with_storage(storage);
    let plan = removal(&wanted, &project.observe(&wanted)?, spared)?;
    if plan.steps.iter().all(|step| step.actions.is_empty()) {
        if context.printer.is_json() {
            return Ok(context.printer.json(&plan)?);
        }
        let addresses = plan.steps.iter().filter(|step| step.kind == Kind::Address).count();
        let kept = match addresses {
            0 => String::new(),
            1 => " but 1 Primary IP, which `--addresses` removes".to_owned(),
            count => format!(" but {count} Primary IPs, which `--addresses` removes"),
        };
        let buckets = if wanted.storage.is_some() && !arguments.buckets {
            KEPT_BUCKETS.to_owned()
        } else {
            let kept = plan.steps.iter().filter(|step| step.kind == Kind::Bucket);
            let kept = kept.map(|step| format!("; the bucket `{}` stays ({})", step.name, step.detail));
            kept.collect::<Vec<_>>().concat()
        };
        return Ok(context
            .printer
            .data(&format!("nothing to remove of cluster `{}`{kept}{buckets}\n", wanted.name))?);
    }
    context.printer.note(&plan.to_string());
    if let Some(storage) = wanted.storage.as_ref().filter(|_| !arguments.buckets) {
        let names: Vec<_> = storage.buckets.iter().map(|name| format!("`{name}`")).collect();
        context
            .printer
            .note(&format!("Buckets stay with their copies, {}: `--buckets` removes them", names.join(", ")));
    }
    project.ask(context, &question(&plan))?;
    let given = Given::default();
    project.exclusively(
        context,
        &wanted.name,
        ("removing the cluster", REMOVING),
        async |operation, alone| {
            let observed = alone.observe(operation, &wanted).await?;
            project::must_be_shown(&removal(&wanted, &observed, spared)?, &plan)?;
            let site = Site::new(alone.client, &alone.run, &wanted, &given, &observed);
            let site = site.with_storage(alone.storage);
            let printer = &context.printer;
            let done = |step: &Step| printer.note(&format!("removed {} `{}`", step.kind.name(), step.name));
            alone.carry_out(operation, &site, &plan, &done).await.map_err(project::of_hetzner)?;
            // What stays is no run's, though one that died may have made it.
            alone.settle(operation, &wanted.name).await.map_err(project::of_hetzner)
        },
    )?;
    if context.printer.is_json() { Ok(context.printer.json(&plan)?) } else { Ok(()) }
}

/// Tells what is lost by it.
fn question(plan: &Plan) -> String {
    let gone =
        |kind| plan.steps.iter().filter(move |step| step.kind == kind && step.intent == Intent::Delete);
    let empties = |step: &&Step| {
        step.actions.iter().any(|action| matches!(action, Action::Bucket { call: BucketCall::Empty, .. }))
    };
    let mut lost = match gone(Kind::Server).count() {
        0 => Vec::new(),
        1 => vec!["of 1 server".to_owned()],
        count => vec![format!("of {count} servers")],
    };
    lost.extend(
        gone(Kind::Bucket)
            .filter(empties)
            .map(|step| format!("in the bucket `{}` ({})", step.name, step.detail)),
    );
    match lost.as_slice() {
        [] => "Remove this?".to_owned(),
        lost => format!("Remove this, with all data {}?", lost.join(" and ")),
    }
}

fn removal(wanted: &Wanted, observed: &Observed, spared: Spared) -> anyhow::Result<Plan> {
    Plan::removal(&wanted.name, observed, spared, request_line).map_err(of_plan)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::observed::{Bucket, OwnBucket, Storage};

    #[test]
    fn asks_before_the_data_of_a_bucket() {
        let asked = |objects| {
            let own = OwnBucket { clusters: vec!["lab".to_owned()], objects, ..OwnBucket::default() };
            let url = "https://s3.example.org".to_owned();
            let buckets = [("lab-etcd".to_owned(), Bucket::Own(own))].into();
            let storage = Some(Storage { url, region: "fsn1".to_owned(), buckets });
            let observed = Observed { storage, ..Observed::default() };
            question(&Plan::removal("lab", &observed, Spared::default(), request_line).unwrap())
        };
        assert_eq!(asked(0), "Remove this?");
        assert_eq!(asked(12), "Remove this, with all data in the bucket `lab-etcd` (12 objects)?");
    }
}
