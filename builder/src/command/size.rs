//! `imgbuild size`: what takes the room in a build.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::{Context, failure};
use crate::bundle::manifest::{Manifest, Package, Partition};
use crate::units::Bytes;

/// How many packages a table shows.
const SHOWN: usize = 25;
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
}

#[derive(Serialize)]
struct Sizes<'a> {
    partitions: &'a [Partition],
    packages: Vec<&'a Package>,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let manifest = Manifest::load(&arguments.folder).map_err(failure::of_manifest)?;
    let mut packages: Vec<&Package> = manifest.packages.iter().collect();
    packages
        .sort_by(|one, other| other.installed.cmp(&one.installed).then_with(|| one.name.cmp(&other.name)));
    if context.printer.is_json() {
        let sizes = Sizes { partitions: &manifest.partitions, packages };
        return Ok(context.printer.json(&sizes)?);
    }
    let mut text = partitions(&manifest.partitions);
    text.push('\n');
    let shown = if arguments.all { packages.len() } else { SHOWN };
    text.push_str(&table(&packages, shown));
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

fn table(packages: &[&Package], shown: usize) -> String {
    let total = Bytes(packages.iter().map(|package| package.installed.0).sum());
    let largest = packages.first().map_or(Bytes(0), |package| package.installed);
    let width =
        packages.iter().take(shown).map(|package| package.name.len()).max().unwrap_or_default().max(7);
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
    let _ = writeln!(text, "{:<width$} {:>10}", format!("{} in all", packages.len()), total.to_string());
    text
}

/// A bar of `#`, filled in proportion, of constant width.
fn bar(part: Bytes, whole: Bytes) -> String {
    let filled = part.0.saturating_mul(BAR).checked_div(whole.0).unwrap_or_default().min(BAR);
    let filled = usize::try_from(filled).unwrap_or_default();
    format!("{:<20}", "#".repeat(filled))
}
