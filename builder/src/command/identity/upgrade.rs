//! `imgbuild identity upgrade`: what an identity of an older program lacks.

use anyhow::Context as _;
use clap::Args;

use super::super::{Context, Note as _};
use super::Unlock;
use crate::identity::ClusterSecrets;

/// Arguments of `identity upgrade`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    unlock: Unlock,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let cluster = context.cluster()?;
    let path = super::path(&cluster);
    let (mut identity, protection) = arguments.unlock.open(&path, &cluster)?;
    if identity.cluster.is_some() {
        let fault =
            anyhow::anyhow!("`{}` has the secrets of its cluster; nothing was changed", path.display());
        return Err(fault.input().hint("`imgbuild identity show` shows what is public of them"));
    }
    let made = ClusterSecrets::generate(cluster.name.as_str(), super::super::now()?);
    identity.cluster = Some(made.context("making the cluster's secrets")?);
    super::create::rewrite(&path, &identity, &protection, &[], &cluster, context)
}
