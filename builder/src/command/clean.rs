//! `imgbuild clean`: removes what can be had again.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

use super::{Context, Note as _};
use crate::archive::cache::Cache;
use crate::units::Bytes;

/// Arguments of `clean`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Remove the whole cache too: every package is downloaded again
    #[arg(long)]
    all: bool,
}

/// Runs the command: the cluster's `out` folder, and the cache if asked to.
pub(super) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let cluster = context.cluster()?;
    let directory = cluster.directory();
    let mut doomed = vec![directory.strip_prefix(".").unwrap_or(directory).join("out")];
    if arguments.all {
        let cache = match &context.global.cache {
            Some(folder) => Cache::open(folder),
            None => Cache::open_default(),
        }?;
        doomed.push(cache.root().to_owned());
    }
    doomed.retain(|folder| folder.exists());
    if doomed.is_empty() {
        return Ok(context.printer.data("nothing to remove\n")?);
    }
    if !context.global.yes {
        let list: Vec<String> = doomed.iter().map(|folder| format!("`{}`", folder.display())).collect();
        let fault = anyhow::anyhow!("nothing was removed; `--yes` would remove {}", list.join(" and "));
        return Err(fault.input());
    }
    let mut text = String::new();
    for folder in doomed {
        let size = size(&folder).with_context(|| format!("looking at `{}`", folder.display()))?;
        fs::remove_dir_all(&folder).with_context(|| format!("removing `{}`", folder.display()))?;
        let _ = writeln!(text, "removed `{}` ({size})", folder.display());
    }
    Ok(context.printer.data(&text)?)
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
