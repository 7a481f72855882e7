//! `imgbuild record`: what a node is configured by.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use super::{Context, failure, file};

/// Arguments of `record`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Name of the node
    node: String,
    /// Write to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let cluster = context.cluster()?;
    let node = cluster.node(&arguments.node).map_err(failure::of_node)?;
    let record = cluster.record(node);
    match &arguments.output {
        None => Ok(context.printer.json(&record)?),
        Some(path) => {
            let mut text = serde_json::to_vec_pretty(&record)?;
            text.push(b'\n');
            file::replace(path, &text).with_context(|| format!("writing `{}`", path.display()))
        }
    }
}
