//! Stanzas of `Field: value` lines: Release, Packages, control files and apt's `.sources`.
//!
//! Strict reading of deb822(5): no comments, no repeated fields, stanzas parted by empty lines.
//! Everything is borrowed from the text.

use thiserror::Error;

/// Fields of one stanza, in file order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stanza<'a> {
    fields: Vec<(&'a str, &'a str)>,
    line: usize,
}

impl<'a> Stanza<'a> {
    /// Value of `field` (names ignore case), without surrounding blanks.
    ///
    /// Continuation lines are kept raw: line feed, then the line with its leading blank.
    pub fn get(&self, field: &str) -> Option<&'a str> {
        self.fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(field)).map(|(_, value)| *value)
    }

    /// Names and values in file order.
    pub fn fields(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.fields.iter().copied()
    }

    /// Line number of the first field, from 1.
    pub fn line(&self) -> usize {
        self.line
    }
}

/// What is wrong with a stanza, and in which line (from 1).
#[derive(Clone, Debug, Eq, PartialEq, Error)]
pub enum Deb822Error {
    /// Neither a field nor a continuation.
    #[error("line {line}: `{text}` is no `Field: value` line")]
    NoField {
        /// Line number.
        line: usize,
        /// Beginning of the line.
        text: String,
    },
    /// A continuation line begins a stanza.
    #[error("line {line}: continuation line without a field before it")]
    NothingToContinue {
        /// Line number.
        line: usize,
    },
    /// A line of blanks, which some readers take for the end of the stanza and others do not.
    #[error("line {line}: only blanks; stanzas are parted by empty lines")]
    OnlyBlanks {
        /// Line number.
        line: usize,
    },
    /// A field stands twice in one stanza.
    #[error("line {line}: field `{field}` repeats")]
    Repeated {
        /// Line number of the second.
        line: usize,
        /// Field name.
        field: String,
    },
}

/// Reads the stanzas of `text` one after the other; ends after the first fault.
pub fn stanzas(text: &str) -> impl Iterator<Item = Result<Stanza<'_>, Deb822Error>> {
    Stanzas { rest: text, line: 1 }
}

struct Stanzas<'a> {
    rest: &'a str,
    /// Number of the line that `rest` begins with.
    line: usize,
}

impl<'a> Iterator for Stanzas<'a> {
    type Item = Result<Stanza<'a>, Deb822Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(rest) = self.rest.strip_prefix('\n') {
            self.rest = rest;
            self.line += 1;
        }
        if self.rest.is_empty() {
            return None;
        }
        let stanza = self.stanza();
        if stanza.is_err() {
            self.rest = "";
        }
        Some(stanza)
    }
}

impl<'a> Stanzas<'a> {
    fn stanza(&mut self) -> Result<Stanza<'a>, Deb822Error> {
        // A stanza of Packages has about 25 fields.
        let mut stanza = Stanza { fields: Vec::with_capacity(32), line: self.line };
        while !self.rest.is_empty() && !self.rest.starts_with('\n') {
            let first = self.line;
            let (name, value) = self.field()?;
            if stanza.get(name).is_some() {
                return Err(Deb822Error::Repeated { line: first, field: name.to_owned() });
            }
            stanza.fields.push((name, value));
        }
        Ok(stanza)
    }

    /// Takes a field with its continuation lines off the rest.
    fn field(&mut self) -> Result<(&'a str, &'a str), Deb822Error> {
        let text = self.rest;
        let mut end = self.take_line(text, 0);
        let head = text.get(..end).unwrap_or(text);
        let name_end = name_end(head).ok_or_else(|| no_field(head, self.line - 1))?;
        while text.get(end..).is_some_and(|rest| rest.starts_with([' ', '\t'])) {
            let start = end;
            end = self.take_line(text, start);
            if text.get(start..end).is_some_and(|line| line.trim().is_empty()) {
                return Err(Deb822Error::OnlyBlanks { line: self.line - 1 });
            }
        }
        let (field, rest) = text.split_at(end);
        self.rest = rest;
        let (name, value) = field.split_at(name_end);
        Ok((name, value.strip_prefix(':').unwrap_or(value).trim()))
    }

    /// Index after the line that begins at `start`, counting it.
    fn take_line(&mut self, text: &str, start: usize) -> usize {
        self.line += 1;
        let rest = text.get(start..).unwrap_or_default();
        rest.find('\n').map_or(text.len(), |length| start + length + 1)
    }
}

/// Length of the field name: visible ASCII without `:`, not beginning with `#` or `-`.
fn name_end(line: &str) -> Option<usize> {
    let end = line.find(':')?;
    let name = line.get(..end)?;
    let is_name =
        !name.is_empty() && !name.starts_with(['#', '-']) && name.bytes().all(|byte| byte.is_ascii_graphic());
    is_name.then_some(end)
}

fn no_field(head: &str, line: usize) -> Deb822Error {
    if head.trim().is_empty() {
        Deb822Error::OnlyBlanks { line }
    } else if head.starts_with([' ', '\t']) {
        Deb822Error::NothingToContinue { line }
    } else {
        Deb822Error::NoField { line, text: head.trim_end().chars().take(60).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_continuation_lines_raw() {
        let text =
            "Package: a\nDescription: short\n long\n .\n more\nconffiles:\n /etc/a 1\n\n\nPackage: b\nX: 1:2";
        let all: Vec<_> = stanzas(text).collect::<Result<_, _>>().unwrap();
        let [first, second] = all.as_slice() else { panic!("{} stanzas", all.len()) };
        assert_eq!(first.get("description"), Some("short\n long\n .\n more"));
        assert_eq!(first.get("Conffiles"), Some("/etc/a 1"));
        assert_eq!((first.get("X"), first.line()), (None, 1));
        assert_eq!((second.get("x"), second.line()), (Some("1:2"), 10));
        assert_eq!(second.fields().collect::<Vec<_>>(), [("Package", "b"), ("X", "1:2")]);
    }

    #[test]
    fn reads_no_stanza_from_nothing() {
        assert_eq!(stanzas("").count() + stanzas("\n\n\n").count(), 0);
    }

    #[test]
    fn names_the_line_of_a_fault() {
        for (text, message) in [
            ("A: 1\nno field\nB: 2\n", "line 2: `no field` is no `Field: value` line"),
            ("# comment: x\n", "line 1: `# comment: x` is no `Field: value` line"),
            ("A b: 1\n", "line 1: `A b: 1` is no `Field: value` line"),
            (": 1\n", "line 1: `: 1` is no `Field: value` line"),
            ("\n\n continued\n", "line 3: continuation line without a field before it"),
            (" continued: 1\n", "line 1: continuation line without a field before it"),
            ("A: 1\n x\n \t\nB: 2\n", "line 3: only blanks; stanzas are parted by empty lines"),
            ("A: 1\n\n  \n", "line 3: only blanks; stanzas are parted by empty lines"),
            ("A: 1\nB: 1\na: 2\n", "line 3: field `a` repeats"),
        ] {
            let fault = stanzas(text).find_map(Result::err).map(|fault| fault.to_string());
            assert_eq!(fault.as_deref(), Some(message), "{text:?}");
        }
    }

    #[test]
    fn ends_after_a_fault() {
        assert_eq!(stanzas("bad\n\nA: 1\n").count(), 1);
    }

    proptest::proptest! {
        #[test]
        fn survives_any_text(text in "([A-Za-z#: \\n\\t\\r-]|\\PC){0,80}") {
            for stanza in stanzas(&text).flatten() {
                proptest::prop_assert!(stanza.fields().count() > 0);
                proptest::prop_assert!(stanza.fields().all(|(_, value)| value.trim() == value));
            }
        }
    }
}
