//! `imgbuild ticket`: a permission to join, minted offline.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;

use super::identity::Unlock;
use super::{Context, Note as _, failure, file};
use crate::identity::DocumentError;

/// Arguments of `ticket`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Name of the node that may join
    node: String,
    /// How long the ticket is good
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = humantime::parse_duration)]
    valid: Duration,
    /// A person must approve the claim as well
    #[arg(long)]
    approve: bool,
    /// Write to FILE, for its owner alone, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    unlock: Unlock,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Minted<'a> {
    node: &'a str,
    /// RFC 3339.
    expires: String,
    ticket: &'a str,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let cluster = context.cluster()?;
    let node = cluster.node(&arguments.node).map_err(failure::of_node)?;
    let secrets = arguments.unlock.secrets(&cluster)?;
    let now = SystemTime::now();
    let ticket = secrets.ticket(node, arguments.valid, arguments.approve, now).map_err(of_ticket)?;
    let expires = now.checked_add(arguments.valid).context("that is too long")?;
    let expires = humantime::format_rfc3339_seconds(expires).to_string();
    if let Some(path) = &arguments.output {
        file::replace_secret(path, format!("{ticket}\n").as_bytes())
            .with_context(|| format!("writing `{}`", path.display()))?;
        context.printer.note(&format!("wrote {}, good for {} until {expires}", path.display(), node.name));
    }
    match (&arguments.output, context.printer.is_json()) {
        (None, true) => {
            Ok(context.printer.json(&Minted { node: node.name.as_str(), expires, ticket: &ticket })?)
        }
        (None, false) => Ok(context.printer.data(&format!("{ticket}\n"))?),
        (Some(_), _) => Ok(()),
    }
}

fn of_ticket(error: DocumentError) -> anyhow::Error {
    let is_input = matches!(error, DocumentError::ControlPlane { .. } | DocumentError::Mint(_));
    let error = anyhow::Error::new(error);
    if is_input { error.input() } else { error }
}
