//! `imgbuild record`: what a node is configured by.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use firstboot::record;
use serde::Serialize;

use super::identity::Unlock;
use super::{Context, failure, file};

/// Arguments of `record`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Name of the node
    #[arg(required_unless_present = "cluster")]
    node: Option<String>,
    /// Sign it as the cluster's operator: a medium that carries the cluster record takes no other
    #[arg(long, conflicts_with = "cluster")]
    signed: bool,
    /// Print the cluster record instead, which every medium carries
    #[arg(long, conflicts_with = "node")]
    cluster: bool,
    /// Write to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    unlock: Unlock,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let cluster = context.cluster()?;
    let text = match &arguments.node {
        None => pretty(&arguments.unlock.secrets(&cluster)?.record(&cluster))?,
        Some(node) => {
            let record = cluster.record(cluster.node(node).map_err(failure::of_node)?);
            if arguments.signed {
                let key = arguments.unlock.secrets(&cluster)?.operator_key;
                record::sign(&record, &key).context("signing the node record")? + "\n"
            } else {
                pretty(&record)?
            }
        }
    };
    match &arguments.output {
        None => Ok(context.printer.data(&text)?),
        Some(path) => {
            file::replace(path, text.as_bytes()).with_context(|| format!("writing `{}`", path.display()))
        }
    }
}

fn pretty(value: &impl Serialize) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(value).context("rendering the record")? + "\n")
}
