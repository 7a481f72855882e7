//! The line of a settings file that a fault concerns, with a marker below it.
//!
//! Columns count characters. A terminal's columns differ: tabs are shown as four spaces, East Asian
//! characters and emoji take two columns, combining marks none; the marker follows the terminal.

use super::Span;
use crate::printable::is_printable;

/// Widest excerpt in terminal columns; longer lines (SSH keys) are shown around the fault.
const WIDTH: usize = 96;
/// Columns kept before the fault when the line is cut.
const LEAD: usize = 40;
const TAB: &str = "    ";
const CUT: char = '…';

/// A source line and where in it the fault lies.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Excerpt {
    /// Line, counted from 1.
    pub(crate) line: usize,
    /// Column in characters, counted from 1.
    pub(crate) column: usize,
    /// The line as a terminal shows it, tabs expanded, perhaps cut.
    pub(crate) shown: String,
    /// Carets below the fault; ends at the end of the line.
    pub(crate) marker: String,
}

impl Excerpt {
    /// Cuts the line out of `text` in which `span` begins. Bounds inside a character move to its start.
    pub(crate) fn of(text: &str, span: &Span) -> Self {
        let start = boundary(text, span.start);
        let end = boundary(text, span.end).max(start);
        let line_start = text[..start].rfind('\n').map_or(0, |index| index + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |index| start + index);
        let end = end.min(line_end);

        let before = clean(&text[line_start..start]);
        let marked = clean(&text[start..end]);
        let after = clean(&text[end..line_end]);
        let (before, is_cut) = last_columns(&before);
        let room = WIDTH.saturating_sub(width(&before));
        let (rest, carets) = first_columns(&format!("{marked}{after}"), width(&marked), room);
        Self {
            line: text[..line_start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            shown: format!("{}{before}{rest}", if is_cut { CUT.to_string() } else { String::new() }),
            marker: format!(
                "{}{}",
                " ".repeat(width(&before) + usize::from(is_cut)),
                "^".repeat(carets.max(1))
            ),
        }
    }
}

fn boundary(text: &str, index: usize) -> usize {
    (0..=index.min(text.len())).rev().find(|index| text.is_char_boundary(*index)).unwrap_or(0)
}

/// Makes a piece of a line safe for a terminal: no carriage return, tabs expanded, what is not printable replaced.
fn clean(piece: &str) -> String {
    let mut cleaned = String::with_capacity(piece.len());
    for character in piece.chars() {
        match character {
            '\t' => cleaned.push_str(TAB),
            '\r' => {}
            shown if is_printable(shown) => cleaned.push(shown),
            _ => cleaned.push(char::REPLACEMENT_CHARACTER),
        }
    }
    cleaned
}

/// The end of what stands before the fault, and whether its beginning was cut off.
fn last_columns(before: &str) -> (String, bool) {
    if width(before) <= WIDTH / 2 {
        return (before.to_owned(), false);
    }
    let mut columns = 0;
    let kept: Vec<char> = before
        .chars()
        .rev()
        .take_while(|character| {
            columns += columns_of(*character);
            columns <= LEAD
        })
        .collect();
    (kept.into_iter().rev().collect(), true)
}

/// The beginning of the fault and what follows, `room` columns wide, and how many carets it gets.
fn first_columns(rest: &str, marked: usize, room: usize) -> (String, usize) {
    if width(rest) <= room {
        return (rest.to_owned(), marked);
    }
    let mut columns = 0;
    let mut kept: String = rest
        .chars()
        .take_while(|character| {
            columns += columns_of(*character);
            columns < room
        })
        .collect();
    let carets = marked.min(width(&kept));
    kept.push(CUT);
    (kept, carets)
}

fn width(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

/// Terminal columns of a character: the wide blocks of Unicode's East Asian Width (UAX #11).
fn columns_of(character: char) -> usize {
    match u32::from(character) {
        0x0300..=0x036f | 0x200b..=0x200f | 0x20d0..=0x20ff | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f
        | 0x2e80..=0x303e
        | 0x3041..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1f64f
        | 0x1f680..=0x1f6ff
        | 0x1f900..=0x1f9ff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}
