//! `imgbuild identity rotate`: secrets of the cluster that are replaced, and those who knew the old ones are left out.

use clap::Args;

use super::super::{Context, Note as _};
use super::Unlock;
use super::unlock::of_identity;
use crate::identity::IdentityError;

/// Arguments of `identity rotate`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Begin the next epoch: tickets that were minted before are refused
    #[arg(long)]
    epoch: bool,
    /// Make another k3s server token
    #[arg(long)]
    server_token: bool,
    #[command(flatten)]
    unlock: Unlock,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    if !arguments.epoch && !arguments.server_token {
        let fault = anyhow::anyhow!("it is not said what is to be rotated; nothing was changed");
        return Err(fault
            .input()
            .hint("`--epoch` leaves old tickets out, `--server-token` old server tokens"));
    }
    let cluster = context.cluster()?;
    let path = super::path(&cluster);
    let (mut identity, protection) = arguments.unlock.open(&path, &cluster)?;
    let Some(secrets) = identity.cluster.as_mut() else {
        return Err(of_identity(IdentityError::NoCluster { path }));
    };
    let mut notes = Vec::new();
    if arguments.epoch {
        secrets.raise_epoch()?;
        notes.push(format!(
            "tickets of before epoch {} are refused by control planes that are given it",
            secrets.epoch
        ));
    }
    if arguments.server_token {
        secrets.rotate_server_token()?;
        notes.push(
            "k3s keeps its old token until it is told: `k3s token rotate` on a control plane, with the new one that \
             `imgbuild identity export DIR` writes"
                .to_owned(),
        );
    }
    super::create::rewrite(&path, &identity, &protection, &notes, &cluster, context)
}
