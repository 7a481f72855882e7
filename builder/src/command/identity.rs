//! `imgbuild identity`: the cluster's secrets, and what of them may be shown.

mod create;
mod export;
mod opening;
mod rotate;
mod secure_boot;
mod show;
mod unlock;
mod upgrade;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Context;
use crate::cluster::Cluster;
use crate::identity;

pub(super) use self::create::generate;
pub(super) use self::opening::Opening;
pub(super) use self::unlock::Unlock;

/// Arguments of `identity`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

/// What to do with the identity.
#[derive(Debug, Subcommand)]
enum Action {
    /// Make an identity: the cluster's secrets and the key that signs manifests
    Create(create::Arguments),
    /// Show public keys, fingerprints and what opens the identity; never a secret
    Show(show::Arguments),
    /// Add the cluster's secrets to an identity of an older program
    Upgrade(upgrade::Arguments),
    /// Replace secrets, so that who knew the old ones is left out
    Rotate(rotate::Arguments),
    /// Write the cluster's secrets to files that are not encrypted
    Export(export::Arguments),
    /// Make or import the keys that boot programs are signed by
    SecureBoot(secure_boot::Arguments),
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    match &arguments.action {
        Action::Create(arguments) => create::run(arguments, context),
        Action::Show(arguments) => show::run(arguments, context),
        Action::Upgrade(arguments) => upgrade::run(arguments, context),
        Action::Rotate(arguments) => rotate::run(arguments, context),
        Action::Export(arguments) => export::run(arguments, context),
        Action::SecureBoot(arguments) => secure_boot::run(arguments, context),
    }
}

/// Where the identity of a cluster lies, whether there is one or not.
pub(super) fn path(cluster: &Cluster) -> PathBuf {
    cluster.beside(identity::FILE)
}
