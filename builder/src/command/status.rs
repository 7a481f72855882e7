//! `imgbuild status`: every node, how far it is and why it is not Ready, and who waits to be let in.

use clap::Args;
use firstboot::claim::objects::Objects;

use super::Context;
use super::api::{self, Access};
use crate::overview::Overview;

/// Arguments of `status`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    access: Access,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let cluster = context.cluster()?;
    let secrets = arguments.access.unlock.secrets(&cluster)?;
    let api = arguments.access.connect(&cluster, &secrets)?;
    let nodes = api::nodes(&api)?;
    let store = Objects::new(api);
    let (joined, waiting) = (store.all_known()?, store.all_waiting()?);
    let overview = Overview::new(&cluster, &nodes, store.all_reports()?, joined, waiting);
    if context.printer.is_json() {
        return Ok(context.printer.json(&overview)?);
    }
    Ok(context.printer.data(&overview.to_string())?)
}
