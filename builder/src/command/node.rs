//! `imgbuild node`: a person's word on machines that want to be, or are, nodes of the cluster.

mod decide;
mod revoke;

use clap::{Args, Subcommand};

use super::Context;

/// Arguments of `node`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

/// What to say.
#[derive(Debug, Subcommand)]
enum Action {
    /// Let a machine that waits become a node
    Approve(decide::Approve),
    /// Turn a machine that waits away for good
    Reject(decide::Reject),
    /// Make tickets and membership of a node worthless, used or not
    Revoke(revoke::Arguments),
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    match &arguments.action {
        Action::Approve(arguments) => decide::approve(arguments, context),
        Action::Reject(arguments) => decide::reject(arguments, context),
        Action::Revoke(arguments) => revoke::run(arguments, context),
    }
}
