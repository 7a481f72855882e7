//! `imgbuild admin`: the people who may do everything, each with a way in of their own.

mod add;

use clap::{Args, Subcommand};

use super::Context;

/// Arguments of `admin`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

/// What to do.
#[derive(Debug, Subcommand)]
enum Action {
    /// Add an admin to the cluster file, and show their way in once
    Add(add::Arguments),
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    match &arguments.action {
        Action::Add(arguments) => add::run(arguments, context),
    }
}
