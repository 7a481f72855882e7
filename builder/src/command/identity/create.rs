//! `imgbuild identity create`: a new identity, with what every cluster needs of it.

use std::path::Path;

use anyhow::Context as _;
use clap::Args;

use super::super::{Context, Note as _, file};
use super::opening::Opening;
use crate::cluster::{Cluster, DnsLabel};
use crate::identity::{Identity, Protection};

/// Arguments of `identity create`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    opening: Opening,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let cluster = context.cluster()?;
    let path = super::path(&cluster);
    // Before anything is asked or a key file made.
    if path.symlink_metadata().is_ok() {
        return Err(is_there(&path));
    }
    let protection = arguments.opening.new_protection(&cluster.name, cluster.directory(), context)?;
    let identity = generate(&cluster.name)?;
    write(&path, &identity, &protection, &cluster, context)
}

/// A new identity for the cluster of this name.
pub(in super::super) fn generate(cluster: &DnsLabel) -> anyhow::Result<Identity> {
    Identity::generate(cluster.as_str(), super::super::now()?).context("making the identity")
}

/// Writes an identity to where none is, and shows it.
pub(super) fn write(
    path: &Path,
    identity: &Identity,
    protection: &Protection,
    cluster: &Cluster,
    context: &Context,
) -> anyhow::Result<()> {
    let encrypted = identity.encrypt(path, protection)?;
    let is_new = file::create(path, &encrypted).with_context(|| format!("writing `{}`", path.display()))?;
    if !is_new {
        return Err(is_there(path));
    }
    context.printer.note(&wrote(path));
    super::show::show(path, identity, protection, cluster, context)
}

/// Writes a changed identity over the one that is there, and shows it; `notes` are what else has to be known.
pub(super) fn rewrite(
    path: &Path,
    identity: &Identity,
    protection: &Protection,
    notes: &[String],
    cluster: &Cluster,
    context: &Context,
) -> anyhow::Result<()> {
    let encrypted = identity.encrypt(path, protection)?;
    file::replace(path, &encrypted).with_context(|| format!("writing `{}`", path.display()))?;
    context.printer.note(&wrote(path));
    for note in notes {
        context.printer.note(note);
    }
    super::show::show(path, identity, protection, cluster, context)
}

/// What is said whenever an identity was written.
fn wrote(path: &Path) -> String {
    format!("wrote {}; keep a copy: what it holds cannot be made again", path.display())
}

fn is_there(path: &Path) -> anyhow::Error {
    let fault = anyhow::anyhow!("`{}` is there already; nothing was changed", path.display());
    fault.input().hint("`imgbuild identity show` shows what it holds")
}
