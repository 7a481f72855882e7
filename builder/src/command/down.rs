//! `imgbuild down`: all that a cluster has in the cloud goes, and nothing else.

use std::time::Duration;

use clap::Args;

use super::Context;
use super::plan::of_plan;
use super::project::{self, Access};
use crate::cloud::observed::Observed;
use crate::cloud::plan::{Intent, Kind, Plan, Spared, Step};
use crate::cloud::wanted::{CLUSTER_LABEL, Wanted};
use crate::hetzner::carry_out::{Given, Site};
use crate::hetzner::{Selector, request_line};

/// For all removals together.
const REMOVING: Duration = Duration::from_mins(20);

/// Arguments of `down`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Remove its Primary IPs too: the next `up` gets others
    #[arg(long)]
    addresses: bool,
    /// Remove the snapshots that it has uploaded, too
    #[arg(long)]
    snapshots: bool,
    #[command(flatten)]
    access: Access,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let cluster = context.cluster()?;
    let wanted = Wanted::new(&cluster, project::of(&cluster)?);
    let spared = Spared { addresses: !arguments.addresses, snapshots: !arguments.snapshots };
    let project = arguments.access.open(context)?;
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
        return Ok(context
            .printer
            .data(&format!("nothing to remove of cluster `{}`{kept}\n", wanted.name))?);
    }
    context.printer.note(&plan.to_string());
    let servers = plan.steps.iter().filter(|step| step.kind == Kind::Server && step.intent == Intent::Delete);
    let question = match servers.count() {
        0 => "Remove this?".to_owned(),
        1 => "Remove this, with all data of 1 server?".to_owned(),
        count => format!("Remove this, with all data of {count} servers?"),
    };
    project.ask(context, &question)?;
    let given = Given::default();
    project.exclusively(
        context,
        &wanted.name,
        ("removing the cluster", REMOVING),
        async |operation, alone| {
            let observed = alone.client.observe(operation, &wanted).await.map_err(project::of_hetzner)?;
            project::must_be_shown(&removal(&wanted, &observed, spared)?, &plan)?;
            let site = Site::new(alone.client, &alone.run, &wanted, &given, &observed);
            let printer = &context.printer;
            let done = |step: &Step| printer.note(&format!("removed {} `{}`", step.kind.name(), step.name));
            let before = async || alone.keep(operation).await;
            site.carry_out(operation, &plan, before, &done).await.map_err(project::of_hetzner)?;
            // What stays is no run's, though one that died may have made it.
            let own = Selector::equals(CLUSTER_LABEL, &wanted.name);
            alone.client.settle(operation, &own).await.map_err(project::of_hetzner)
        },
    )?;
    if context.printer.is_json() { Ok(context.printer.json(&plan)?) } else { Ok(()) }
}

fn removal(wanted: &Wanted, observed: &Observed, spared: Spared) -> anyhow::Result<Plan> {
    Plan::removal(&wanted.name, observed, spared, request_line).map_err(of_plan)
}
