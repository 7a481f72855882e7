//! `imgbuild diff`: how two builds differ.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;

use super::failure::{self, Differs};
use super::{Context, Note as _};
use crate::medium::difference::{Cause, Change, Damaged, Differences, FileChange, First, PartitionChange};
use crate::medium::folder::Folder;
use crate::printable;

/// How many files a table shows.
const SHOWN: usize = 25;

/// Arguments of `diff`.
#[derive(Debug, Args)]
#[command(after_help = "Exit code: 0 no difference, 1 differences or damage, 2 trouble; as diff(1).")]
pub struct Arguments {
    /// Folder that `imgbuild build` has made
    #[arg(value_name = "A")]
    one: PathBuf,
    /// Another one
    #[arg(value_name = "B")]
    other: PathBuf,
    /// Show every file that differs, not only the first
    #[arg(long)]
    all: bool,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let one = Folder::open(&arguments.one).map_err(failure::of_manifest)?;
    let other = Folder::open(&arguments.other).map_err(failure::of_manifest)?;
    let total = one.manifest.total().0.saturating_add(other.manifest.total().0);
    let task = context.printer.task("comparing", Some(total));
    let differences = Differences::between(&one, &other, |bytes| task.advance(bytes));
    drop(task);
    // Code 1 says that there are differences, so trouble must not.
    let differences = differences.map_err(|error| anyhow::Error::new(error).input())?;
    if context.printer.is_json() {
        context.printer.json(&differences)?;
    } else {
        context.printer.data(&text(&differences, arguments.all))?;
    }
    if differences.is_empty() { Ok(()) } else { Err(Differs.into()) }
}

fn text(differences: &Differences, is_all: bool) -> String {
    let (Some(cause), Some(first)) = (differences.cause, &differences.first) else {
        return "no difference\n".to_owned();
    };
    let cause = match cause {
        Cause::Damaged => "damaged: what the manifests say is compared, what is in the files is not",
        Cause::OtherSettings => "other settings",
        Cause::OtherPackages => "other packages",
        Cause::OtherArtifacts => "other artifacts",
        Cause::OtherPrograms => "other programs: all else that goes in is the same",
        Cause::OtherImage => "other image, though all that the manifests say of what went in is the same",
    };
    let mut text = format!("{cause}\n{}", shown_first(first));
    for Damaged { folder, faults } in &differences.damaged {
        let _ = writeln!(text, "\n`{}` is not what its manifest says:", folder.display());
        for fault in faults {
            let _ = writeln!(text, "  {}", printable::text(fault));
        }
    }
    for (title, changes) in [
        ("SETTING", &differences.settings),
        ("PACKAGE", &differences.packages),
        ("ARTIFACT", &differences.artifacts),
        ("PROGRAM", &differences.programs),
        ("OUTPUT", &differences.outputs),
    ] {
        text.push_str(&table(title, &rows(changes)));
    }
    text.push_str(&table("PARTITION", &partition_rows(&differences.partitions)));
    let count = if is_all { differences.files.len() } else { SHOWN };
    text.push_str(&table("FILE", &file_rows(differences.files.iter().take(count))));
    let rest = differences.files.len().saturating_sub(count);
    if rest > 0 {
        let _ = writeln!(text, "{rest} others; `--all` shows them");
    }
    text
}

fn shown_first(first: &First) -> String {
    let mut parts = Vec::new();
    if let Some((label, at)) = &first.partition {
        let at = at.map(|at| format!(" at byte {at}")).unwrap_or_default();
        parts.push(format!("partition `{label}`{at}"));
    }
    parts.extend(first.file.as_ref().map(|path| format!("file `{}`", printable::text(path))));
    parts.extend(first.package.as_ref().map(|name| format!("package `{name}`")));
    if parts.is_empty() { String::new() } else { format!("first: {}\n", parts.join(", ")) }
}

fn rows(changes: &[Change]) -> Vec<[String; 3]> {
    let row = |change: &Change| {
        let (a, b) = (change.a.as_ref(), change.b.as_ref());
        // Too long to find the difference in.
        let [one, other] =
            if change.name == "command line" { [only(a, b), only(b, a)] } else { [side(a), side(b)] };
        [change.name.clone(), one, other]
    };
    changes.iter().map(row).collect()
}

/// The words of a command line that the other does not have.
fn only(words: Option<&String>, other: Option<&String>) -> String {
    let others: Vec<&str> = other.map(|other| other.split(' ').collect()).unwrap_or_default();
    let words = words.map(|words| words.split(' ')).into_iter().flatten();
    let words: Vec<&str> = words.filter(|word| !others.contains(word)).collect();
    if words.is_empty() { "-".to_owned() } else { words.join(" ") }
}

/// A value for people: of a digest the first digits do, `--json` has them all.
fn side(value: Option<&String>) -> String {
    let is_digest = |word: &str| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let short = |word: &str| if is_digest(word) { word.chars().take(12).collect() } else { word.to_owned() };
    match value {
        Some(value) => value.split(' ').map(short).collect::<Vec<_>>().join(" "),
        None => "-".to_owned(),
    }
}

fn partition_rows(partitions: &[PartitionChange]) -> Vec<[String; 3]> {
    let mut all = Vec::new();
    for partition in partitions {
        let fields = rows(&partition.fields)
            .into_iter()
            .map(|[field, one, other]| [format!("{}: {field}", partition.label), one, other]);
        all.extend(fields);
        let content = partition.content.map(|at| format!("differs from byte {at}"));
        all.extend(content.map(|fact| [format!("{}: content", partition.label), fact, String::new()]));
    }
    all
}

fn file_rows<'a>(files: impl Iterator<Item = &'a FileChange>) -> Vec<[String; 3]> {
    files
        .map(|file| {
            // A digest tells people nothing but that it differs.
            let facts = file.changes.iter().map(|change| match change.name.as_str() {
                "content" if change.a.is_some() && change.b.is_some() => "content".to_owned(),
                name => format!("{name} {} -> {}", side(change.a.as_ref()), side(change.b.as_ref())),
            });
            let package = file.package.clone().unwrap_or_else(|| "-".to_owned());
            [file.path.clone(), package, facts.collect::<Vec<_>>().join(", ")]
        })
        .collect()
}

/// A table of three columns below an empty line; nothing for no rows.
fn table(title: &str, rows: &[[String; 3]]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let (second, third) = if title == "FILE" { ("PACKAGE", "DIFFERENCE") } else { ("A", "B") };
    let head = [title, second, third].map(str::to_owned);
    let rows: Vec<_> =
        rows.iter().map(|row| row.each_ref().map(|cell| printable::text(cell).into_owned())).collect();
    let width = |column: usize| {
        let cells = rows.iter().chain([&head]).filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let (first, second) = (width(0), width(1));
    let mut text = "\n".to_owned();
    for [one, two, three] in std::iter::once(&head).chain(&rows) {
        let line = format!("{one:<first$}  {two:<second$}  {three}");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_of_a_command_line_only_the_words_that_differ() {
        let change = |name: &str, a: &str, b: &str| Change {
            name: name.to_owned(),
            a: Some(a.to_owned()),
            b: Some(b.to_owned()),
        };
        let digest = "ab".repeat(32);
        let changes = [change("command line", "a=1 quiet", "quiet b a=1"), change("os.efi", &digest, "none")];
        let expected = "\nSETTING       A             B\n\
            command line  -             b\n\
            os.efi        abababababab  none\n";
        assert_eq!(table("SETTING", &rows(&changes)), expected);
        assert_eq!(table("SETTING", &[]), "");
    }

    #[test]
    fn no_name_forges_a_line() {
        let forged = [["a\nb".to_owned(), "\x1b[31mred".to_owned(), "\u{202e}x".to_owned()]];
        let expected = "\nFILE     PACKAGE        DIFFERENCE\na\\u{a}b  \\u{1b}[31mred  \\u{202e}x\n";
        assert_eq!(table("FILE", &forged), expected);
    }
}
