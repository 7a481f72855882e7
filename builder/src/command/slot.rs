//! `imgbuild slot`: the two places of a disk that an OS can lie in.

mod write;

use clap::{Args, Subcommand};

use super::Context;

/// Arguments of `slot`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

/// What to do with a slot.
#[derive(Debug, Subcommand)]
enum Action {
    /// Put a build on trial in the free slot of a disk that no machine runs from
    Write(write::Arguments),
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    match &arguments.action {
        Action::Write(arguments) => write::run(arguments, context),
    }
}
