//! `imgbuild deployment`: the GitOps tree.

mod render;

use clap::{Args, Subcommand};

use super::Context;

/// Arguments of `deployment`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

/// What to do with the tree.
#[derive(Debug, Subcommand)]
enum Action {
    /// Write the one file of the tree that depends on the cluster
    Render(render::Arguments),
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    match &arguments.action {
        Action::Render(arguments) => render::run(arguments, context),
    }
}
