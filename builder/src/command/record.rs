//! `imgbuild record`: what a node is configured by.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

use super::{Context, failure};

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
            replace(path, &text).with_context(|| format!("writing `{}`", path.display()))
        }
    }
}

/// Puts a file in its place whole or not at all.
fn replace(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let folder = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let mut file = tempfile::Builder::new().permissions(readable()).tempfile_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// A record holds no secret: readable by all, as far as the umask lets.
fn readable() -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o666)
}
