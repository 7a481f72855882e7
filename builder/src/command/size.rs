//! `imgbuild size`: what takes the room in a build.

mod drawing;
mod treemap;

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use super::{Context, failure, file};
use crate::bundle::manifest::Partition;
use crate::bundle::sizes::{Sizes, sum};
use crate::medium::folder::Folder;
use crate::printable;
use crate::units::Bytes;

/// How many packages a table shows.
const SHOWN: usize = 25;
/// The line for what is neither a package's nor an artifact's.
const OTHERS: &str = "all else";
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
        let _ = writeln!(
            text,
            "{:<14} {size:>10} {used:>10}  {bar} {percent} %",
            printable::text(&partition.label)
        );
    }
    text
}

fn table(sizes: &Sizes, shown: usize) -> String {
    let line = |name: &str, size: Bytes| Line { name: printable::text(name).into_owned(), size };
    let packages: Vec<Line> =
        sizes.packages.iter().map(|package| line(&package.name, package.installed)).collect();
    let artifacts: Vec<Line> =
        sizes.artifacts.iter().map(|artifact| line(&artifact.name, artifact.installed)).collect();
    let (packages, rest) = packages.split_at(shown.min(packages.len()));
    let others = line(OTHERS, sum(sizes.others.iter().map(|part| part.size)));
    let rest = (!rest.is_empty())
        .then(|| line(&format!("{} others", rest.len()), sum(rest.iter().map(|line| line.size))));
    let last: Vec<Line> = rest.into_iter().chain([others, line("in all", sizes.files)]).collect();

    let all = packages.iter().chain(&artifacts).chain(&last);
    let width = all.map(|line| line.name.chars().count()).max().unwrap_or_default();
    let largest = packages.iter().chain(&artifacts).map(|line| line.size).max().unwrap_or_default();
    let row = |line: &Line, bar: &str| {
        format!("{:<width$} {:>10}  {bar}", line.name, line.size.to_string()).trim_end().to_owned() + "\n"
    };
    let mut text = String::new();
    for (heading, lines) in [("PACKAGE", packages), ("ARTIFACT", &artifacts)] {
        if !lines.is_empty() {
            let _ = writeln!(text, "{heading:<width$} {:>10}", "FILES");
        }
        text.extend(lines.iter().map(|line| row(line, &bar(line.size, largest))));
    }
    text.extend(last.iter().map(|line| row(line, "")));
    text
}

/// A line of the table.
struct Line {
    name: String,
    size: Bytes,
}

/// A bar of `#`, filled in proportion, of constant width.
fn bar(part: Bytes, whole: Bytes) -> String {
    let filled = part.0.saturating_mul(BAR).checked_div(whole.0).unwrap_or_default().min(BAR);
    let filled = usize::try_from(filled).unwrap_or_default();
    format!("{:<20}", "#".repeat(filled))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::sizes;

    #[test]
    fn artifacts_have_lines_of_their_own() {
        let (manifest, tree) = sizes::tests::sample();
        let sizes = Sizes::measure(&manifest, &tree).unwrap();
        assert_eq!(
            table(&sizes, 1),
            "\
PACKAGE       FILES
large       2.9 KiB  ###############
ARTIFACT      FILES
tool        3.9 KiB  ####################
1 others       20 B
all else      528 B
in all      7.4 KiB
"
        );
        assert!(!table(&Sizes { artifacts: Vec::new(), ..sizes }, 9).contains("ARTIFACT"));
    }

    #[test]
    fn no_name_forges_a_line() {
        let (manifest, tree) = sizes::tests::sample();
        let mut forged = Sizes::measure(&manifest, &tree).unwrap();
        forged.packages[0].name = "a\x1b[2J\nb".to_owned();
        assert!(table(&forged, 1).contains("\na\\u{1b}[2J\\u{a}b    2.9 KiB  #"), "{}", table(&forged, 1));
    }
}
