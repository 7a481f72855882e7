//! Faults in settings files: position, source line, caret, reason, all of them, in file order.
//!
//! [`report`] collects faults while a file is read and checked, [`table`] reads TOML tables key by
//! key, so that one wrong value does not hide the next. Nothing here knows what the settings mean.

pub(crate) mod chain;
pub(crate) mod excerpt;
mod origin;
pub(crate) mod report;
pub(crate) mod schema;
pub(crate) mod table;

use std::fmt;
use std::ops::Range;

use serde::Serialize;
use thiserror::Error;

pub(crate) use chain::chain;
pub use origin::Origin;
pub(crate) use report::{Located, Report};
pub(crate) use table::Table;

use excerpt::Excerpt;

/// A byte range of a settings file.
pub type Span = Range<usize>;

/// The text of a settings file and the name it is shown by.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Source {
    /// Path as people would type it, `cluster.toml`.
    pub name: String,
    /// Contents.
    pub text: String,
}

/// One fault in a settings file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// Bytes of the source it concerns; may be empty, never out of bounds.
    pub span: Span,
    /// The fact, lower case, no full stop.
    pub reason: String,
    /// What would mend it.
    pub help: Option<String>,
}

/// A settings file with its faults, in file order; at least one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FaultyFile {
    /// The file.
    pub source: Source,
    /// Its faults, by position.
    pub faults: Vec<Fault>,
}

/// All faults of one or more settings files. Always the user's input: exit code 2.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub struct Faults {
    /// Files in the order they were read.
    pub files: Vec<FaultyFile>,
}

/// A fault as programs read it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct FaultRecord<'faults> {
    /// Path of the file.
    pub path: &'faults str,
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// The fact.
    pub reason: &'faults str,
    /// What would mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<&'faults str>,
}

impl Faults {
    /// How many faults there are in all files.
    pub fn count(&self) -> usize {
        self.files.iter().map(|file| file.faults.len()).sum()
    }

    /// Every fault with its line and column, in the order they are shown.
    pub fn records(&self) -> Vec<FaultRecord<'_>> {
        self.files.iter().flat_map(FaultyFile::records).collect()
    }

    /// All of them as one; `None` where there are none.
    pub fn merged(all: impl IntoIterator<Item = Self>) -> Option<Self> {
        all.into_iter().reduce(|mut all, more| {
            all.extend(more);
            all
        })
    }

    /// Adds further faults: each file stands once, each of its faults too.
    pub fn extend(&mut self, other: Self) {
        for file in other.files {
            match self.files.iter_mut().find(|known| known.source == file.source) {
                Some(known) => known.extend(file.faults),
                None => self.files.push(file),
            }
        }
    }
}

impl FaultyFile {
    fn extend(&mut self, faults: Vec<Fault>) {
        for fault in faults {
            // Not only beside each other: several faults may lie in one place.
            if !self.faults.contains(&fault) {
                self.faults.push(fault);
            }
        }
        self.faults.sort_by_key(|fault| (fault.span.start, fault.span.end));
    }

    fn records(&self) -> impl Iterator<Item = FaultRecord<'_>> {
        self.faults.iter().map(|fault| {
            let excerpt = Excerpt::of(&self.source.text, &fault.span);
            FaultRecord {
                path: &self.source.name,
                line: excerpt.line,
                column: excerpt.column,
                reason: &fault.reason,
                help: fault.help.as_deref(),
            }
        })
    }
}

/// Each fault as a block of lines, blocks divided by an empty line, and a count after several.
impl fmt::Display for Faults {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (file, fault)) in
            self.files.iter().flat_map(|file| file.faults.iter().map(move |fault| (file, fault))).enumerate()
        {
            if index > 0 {
                writeln!(formatter)?;
            }
            file.render(fault, formatter)?;
        }
        let count = self.count();
        if count > 1 {
            let names: Vec<_> = self.files.iter().map(|file| format!("`{}`", file.source.name)).collect();
            write!(formatter, "\n{count} faults in {}\n", names.join(", "))?;
        }
        Ok(())
    }
}

impl FaultyFile {
    fn render(&self, fault: &Fault, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let excerpt = Excerpt::of(&self.source.text, &fault.span);
        let line = excerpt.line.to_string();
        let gutter = " ".repeat(line.len());
        writeln!(formatter, "error: {}", fault.reason)?;
        writeln!(formatter, "{gutter}--> {}:{}:{}", self.source.name, excerpt.line, excerpt.column)?;
        writeln!(formatter, "{gutter} |")?;
        writeln!(formatter, "{}", format!("{line} | {}", excerpt.shown).trim_end())?;
        writeln!(formatter, "{gutter} | {}", excerpt.marker)?;
        if let Some(help) = &fault.help {
            writeln!(formatter, "{gutter} = help: {help}")?;
        }
        Ok(())
    }
}

/// Names in backticks, divided by commas.
pub(crate) fn listed<'names>(names: impl IntoIterator<Item = &'names str>) -> String {
    let quoted: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(text: &str, span: Span, help: Option<&str>) -> String {
        let fault = Fault { span, reason: "is wrong".into(), help: help.map(Into::into) };
        let source = Source { name: "cluster.toml".into(), text: text.into() };
        Faults { files: vec![FaultyFile { source, faults: vec![fault] }] }.to_string()
    }

    #[test]
    fn shows_line_caret_and_help() {
        insta::assert_snapshot!(rendered("a = 1\nnmae = 2\n", 6..10, Some("did you mean `name`?")), @"
        error: is wrong
         --> cluster.toml:2:1
          |
        2 | nmae = 2
          | ^^^^
          = help: did you mean `name`?
        ");
    }

    #[test]
    fn aligns_carets_after_tabs_and_wide_characters() {
        insta::assert_snapshot!(rendered("\t\"日本\" = 7\n", 12..13, None), @r#"
        error: is wrong
         --> cluster.toml:1:9
          |
        1 |     "日本" = 7
          |              ^
        "#);
    }

    #[test]
    fn leaves_carriage_returns_out() {
        let shown = rendered("a = 1\r\nb = 2\r\n", 11..12, None);
        assert!(!shown.contains('\r'), "{shown:?}");
        assert!(shown.contains("cluster.toml:2:5\n"), "{shown}");
    }

    #[test]
    fn points_behind_the_last_character() {
        insta::assert_snapshot!(rendered("a = ", 4..4, None), @"
        error: is wrong
         --> cluster.toml:1:5
          |
        1 | a =
          |     ^
        ");
        insta::assert_snapshot!(rendered("", 0..0, None), @"
        error: is wrong
         --> cluster.toml:1:1
          |
        1 |
          | ^
        ");
    }

    #[test]
    fn shows_a_window_of_a_long_line() {
        let text = format!("key = \"{}X{}\"", "a".repeat(300), "b".repeat(300));
        insta::assert_snapshot!(rendered(&text, 307..308, None), @"
        error: is wrong
         --> cluster.toml:1:308
          |
        1 | …aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaXbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb…
          |                                          ^
        ");
    }
}
