//! `imgbuild clean`: removes what can be had again.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;

use super::{Context, Note as _};
use crate::bundle::manifest;
use crate::units::Bytes;

/// Arguments of `clean`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Remove the whole cache too: every package is downloaded again
    #[arg(long)]
    all: bool,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Cleaned {
    removed: Vec<Removed>,
}

/// A folder that was removed.
#[derive(Debug, Serialize)]
struct Removed {
    path: PathBuf,
    /// Bytes it took on the disk.
    size: Bytes,
}

/// Runs the command: builds beside the cluster file, and the cache if asked to. What imgbuild has not
/// made itself stays, wherever it lies.
pub(super) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let mut doomed = builds(&context.cluster_folder()?.join("out"))?;
    if arguments.all {
        doomed.extend(context.cache()?.folders());
    }
    doomed.retain(|folder| folder.exists());
    if doomed.is_empty() && !context.printer.is_json() {
        return Ok(context.printer.data("nothing to remove\n")?);
    }
    if !doomed.is_empty() && !context.global.yes {
        let list: Vec<String> = doomed.iter().map(|folder| format!("`{}`", folder.display())).collect();
        let fault = anyhow::anyhow!("nothing was removed; `--yes` would remove {}", list.join(" and "));
        return Err(fault.input());
    }
    let mut removed = Vec::new();
    for path in doomed {
        let size = size(&path).with_context(|| format!("looking at `{}`", path.display()))?;
        fs::remove_dir_all(&path).with_context(|| format!("removing `{}`", path.display()))?;
        removed.push(Removed { path, size });
    }
    if context.printer.is_json() {
        return Ok(context.printer.json(&Cleaned { removed })?);
    }
    let mut text = String::new();
    for Removed { path, size } in removed {
        let _ = writeln!(text, "removed `{}` ({size})", path.display());
    }
    Ok(context.printer.data(&text)?)
}

/// Folders below `out` that a build has made, finished or not.
fn builds(out: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let reading = || format!("reading folder `{}`", out.display());
    let entries = match fs::read_dir(out) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(reading),
    };
    let mut builds = Vec::new();
    for entry in entries {
        let path = entry.with_context(reading)?.path();
        let is_partial = path.extension().is_some_and(|extension| extension == "partial");
        if is_partial || path.join(manifest::FILE).is_file() {
            builds.push(path);
        }
    }
    builds.sort();
    Ok(builds)
}

/// Bytes on the disk, holes not counted.
fn size(folder: &Path) -> io::Result<Bytes> {
    use std::os::unix::fs::MetadataExt as _;
    let mut total: u64 = 0;
    let mut folders: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if metadata.is_dir() {
                folders.push(entry.path());
            }
            total = total.saturating_add(metadata.blocks().saturating_mul(512));
        }
    }
    Ok(Bytes(total))
}
