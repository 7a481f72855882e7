//! `imgbuild deployment render`: what ArgoCD's apps are told of the cluster.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;
use similar::TextDiff;
use thiserror::Error;

use super::super::{Context, Note as _, file};
use crate::deployment;
use crate::printable;
use crate::regular_file;
use crate::units::Bytes;

/// The longest rendered file that is read; one has some KiB.
const LONGEST: Bytes = Bytes(16 << 20);

/// Arguments of `deployment render`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Change nothing; show what differs, and end with code 1 if anything does
    #[arg(long)]
    check: bool,
}

/// The rendered file is older than the cluster file, or was changed by hand.
#[derive(Debug, Error)]
#[error("`{}` is not what the cluster file says", path.display())]
struct Drift {
    path: PathBuf,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Rendered<'file> {
    file: &'file Path,
    /// Whether the file was, or with `--check` is, another one.
    differs: bool,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let cluster = context.cluster()?;
    let path = deployment::place(&cluster);
    let text = deployment::render(&cluster);
    let found = found(&path).with_context(|| format!("reading `{}`", path.display()))?;
    let differs = found.as_deref() != Some(&text);
    if context.printer.is_json() {
        context.printer.json(&Rendered { file: &path, differs })?;
    }
    if !differs {
        context.printer.note(&format!("{} is current", path.display()));
        return Ok(());
    }
    if arguments.check {
        if !context.printer.is_json() {
            context.printer.data(&difference(found.as_deref().unwrap_or_default(), &text))?;
        }
        return Err(anyhow::Error::new(Drift { path }).hint("`imgbuild deployment render` writes it"));
    }
    let folder = crate::cluster::directory_of(&path);
    fs::create_dir_all(folder).with_context(|| format!("making `{}`", folder.display()))?;
    file::replace(&path, text.as_bytes()).with_context(|| format!("writing `{}`", path.display()))?;
    context.printer.note(&format!("wrote {}", path.display()));
    Ok(())
}

/// The file as it is; `None` where there is none.
fn found(path: &Path) -> io::Result<Option<String>> {
    match regular_file::read(path, LONGEST) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A unified difference, from the file to what it should be.
fn difference(found: &str, text: &str) -> String {
    let difference = TextDiff::from_lines(found, text);
    let shown = difference.unified_diff().header("in the tree", "from the cluster file").to_string();
    printable::lines(&shown).into_owned()
}
