//! `imgbuild size`: what takes the room in a build.

mod drawing;
mod treemap;

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use super::{Context, failure, file};
use crate::bundle::manifest::Partition;
use crate::bundle::sizes::Sizes;
use crate::medium::folder::Folder;
use crate::units::Bytes;

/// How many packages a table shows.
const SHOWN: usize = 25;
/// The line for files that no package brought.
const OTHERS: &str = "of no package";
/// Width of a full bar.
const BAR: u64 = 20;

/// Arguments of `size`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Folder that `imgbuild build` has made
    folder: PathBuf,
    /// Show every package, not only the largest
    #[arg(long)]
    all: bool,
    /// Draw it as a treemap too, into an SVG file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let folder = Folder::open(&arguments.folder).map_err(failure::of_manifest)?;
    let measured = Sizes::measure(&folder.manifest, &folder.root()?);
    let sizes = measured.with_context(|| format!("measuring `{}`", arguments.folder.display()))?;
    if let Some(path) = &arguments.svg {
        let drawing = drawing::svg(&folder.manifest, &sizes);
        file::replace(path, drawing.as_bytes()).with_context(|| format!("writing `{}`", path.display()))?;
        context.printer.note(&format!("`{}` shows it", path.display()));
    }
    if context.printer.is_json() {
        return Ok(context.printer.json(&sizes)?);
    }
    let mut text = partitions(&sizes.partitions);
    text.push('\n');
    let shown = if arguments.all { sizes.packages.len() } else { SHOWN };
    text.push_str(&table(&sizes, shown));
    Ok(context.printer.data(&text)?)
}

fn partitions(partitions: &[Partition]) -> String {
    let mut text = format!("{:<14} {:>10} {:>10}  IN USE\n", "PARTITION", "SIZE", "USED");
    for partition in partitions {
        let percent = partition.used.0.saturating_mul(100).checked_div(partition.size.0).unwrap_or_default();
        let bar = bar(partition.used, partition.size);
        let (size, used) = (partition.size.to_string(), partition.used.to_string());
        let _ = writeln!(text, "{:<14} {size:>10} {used:>10}  {bar} {percent} %", partition.label);
    }
    text
}

fn table(sizes: &Sizes, shown: usize) -> String {
    let packages = &sizes.packages;
    let largest = packages.first().map_or(Bytes(0), |package| package.installed);
    let width = packages
        .iter()
        .take(shown)
        .map(|package| package.name.len())
        .max()
        .unwrap_or_default()
        .max(OTHERS.len());
    let mut text = format!("{:<width$} {:>10}\n", "PACKAGE", "FILES");
    for package in packages.iter().take(shown) {
        let bar = bar(package.installed, largest);
        let _ = writeln!(
            text,
            "{:<width$} {:>10}  {}",
            package.name,
            package.installed.to_string(),
            bar.trim_end()
        );
    }
    let rest = packages.get(shown..).unwrap_or_default();
    if !rest.is_empty() {
        let size = Bytes(rest.iter().map(|package| package.installed.0).sum());
        let _ = writeln!(text, "{:<width$} {:>10}", format!("{} others", rest.len()), size.to_string());
    }
    let others = Bytes(sizes.others.iter().map(|part| part.size.0).sum());
    let _ = writeln!(text, "{OTHERS:<width$} {:>10}", others.to_string());
    let _ = writeln!(text, "{:<width$} {:>10}", "in all", sizes.files.to_string());
    text
}

/// A bar of `#`, filled in proportion, of constant width.
fn bar(part: Bytes, whole: Bytes) -> String {
    let filled = part.0.saturating_mul(BAR).checked_div(whole.0).unwrap_or_default().min(BAR);
    let filled = usize::try_from(filled).unwrap_or_default();
    format!("{:<20}", "#".repeat(filled))
}
