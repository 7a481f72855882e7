//! `imgbuild node revoke`: what a node was given is worthless from now on, in the cluster file, and so for good, and in
//! the running cluster.

use anyhow::Context as _;
use clap::Args;
use firstboot::claim::store::Joined;
use firstboot::peers::PeerEndpoints;
use firstboot::public_key::PublicKey;
use serde::Serialize;

use super::super::api::Access;
use super::super::cluster_file::Change;
use super::super::{Context, Note as _, failure, now};
use crate::cluster::{Node, Role, edit};

/// Arguments of `node revoke`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Name of the node
    node: String,
    #[command(flatten)]
    access: Access,
}

/// What `--json` prints.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Revoked<'a> {
    node: &'a str,
    /// The first generation that is good again.
    minimum_generation: u32,
    /// Whether the running cluster knows it.
    is_told: bool,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let cluster = context.cluster()?;
    let node = cluster.node(&arguments.node).map_err(failure::of_node)?;
    if node.role == Role::ControlPlane {
        let fault =
            anyhow::anyhow!("`{}` is a control plane, which has neither ticket nor membership", node.name);
        return Err(fault.input());
    }
    let secrets = arguments.access.unlock.secrets(&cluster)?;
    let now = now()?;
    // Tickets count the seconds: one of this second is revoked, too.
    let mut minimum = above(now.0)?;
    write(minimum, node, context)?;
    let mut is_told = false;
    if context.global.offline {
        context.printer.warn(&format!(
            "a cluster that runs does not know it: `imgbuild node revoke {}` without `--offline` tells it",
            node.name
        ));
    } else {
        let telling = || {
            format!("`{}` is revoked in the cluster file, and the running cluster may not know it", node.name)
        };
        let store = arguments.access.store(&cluster, &secrets).with_context(telling)?;
        let nobody = Joined {
            node: node.name.to_string(),
            role: node.role,
            address: node.vpn_address,
            // Nobody's who could come: its private half lies in the identity.
            key: PublicKey::of(&secrets.operator_key),
            wireguard: String::new(),
            endpoints: PeerEndpoints::default(),
            generation: now.0,
            revoked: None,
            transient: None,
            claimed: None,
        };
        let had = store.revoke(&nobody, &now.to_string()).with_context(telling)?;
        // Its ticket may have been minted where the clock is ahead.
        if let Some(ahead) =
            had.as_ref().map(|had| above(had.generation)).transpose()?.filter(|ahead| *ahead > minimum)
        {
            minimum = ahead;
            write(minimum, node, context)?;
        }
        context.printer.note(&match had {
            Some(had) => {
                format!("the machine with key {} is `{}` no longer", had.key.fingerprint(), node.name)
            }
            None => format!("nobody has been `{}` yet; its tickets are worthless", node.name),
        });
        is_told = true;
    }
    context.printer.note(&format!("`imgbuild ticket {}` lets a machine in again", node.name));
    if !context.printer.is_json() {
        return Ok(());
    }
    Ok(context.printer.json(&Revoked { node: node.name.as_str(), minimum_generation: minimum, is_told })?)
}

/// The first generation that is good again.
fn above(generation: u64) -> anyhow::Result<u32> {
    u32::try_from(generation.saturating_add(1))
        .context("no generation is good after that: the clock is beyond the year 2106")
}

fn write(minimum: u32, node: &Node, context: &Context) -> anyhow::Result<()> {
    let change = Change::new(context, |text| edit::revoke(text, &node.name, minimum))?;
    change.write()?;
    context.printer.note(&format!(
        "wrote {}: control planes that are given it refuse `{}` below generation {minimum}",
        change.path.display(),
        node.name
    ));
    Ok(())
}
