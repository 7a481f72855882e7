//! Text from outside, such that it shows as what it is: no escape sequence reaches a terminal, no name forges a line.
//!
//! Names of packages, artifacts, partitions and files come from manifests, indices and archives. [`Printer`] lets
//! nothing else than [`lines`] through, whatever it is given; names that become part of a line are written by [`text`],
//! which leaves no line end either.
//!
//! [`Printer`]: crate::printer::Printer

use std::borrow::Cow;
use std::fmt::Write as _;

pub use firstboot::printable::is_printable;
use serde::Serialize;
use serde_json::Value;

/// A name or another part of a line: whatever is not printable as `\u{1b}`, line ends and tabs too.
pub fn text(text: &str) -> Cow<'_, str> {
    escape(text, |_| false)
}

/// Whole lines, with their line ends and tabs.
pub fn lines(text: &str) -> Cow<'_, str> {
    escape(text, |character| matches!(character, '\n' | '\t'))
}

/// A JSON document. Its strings are escaped as JSON does it, so that it means the same as before.
pub fn json(document: &str) -> Cow<'_, str> {
    if document.chars().all(|character| is_printable(character) || character == '\n') {
        return Cow::Borrowed(document);
    }
    let mut escaped = String::with_capacity(document.len());
    for character in document.chars() {
        if is_printable(character) || character == '\n' {
            escaped.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot go wrong.
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        }
    }
    Cow::Owned(escaped)
}

fn escape(text: &str, is_kept: fn(char) -> bool) -> Cow<'_, str> {
    let is_shown = |character| is_printable(character) || is_kept(character);
    if text.chars().all(is_shown) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if is_shown(character) { escaped.push(character) } else { escaped.extend(character.escape_unicode()) }
    }
    Cow::Owned(escaped)
}

/// Where in a value the first string or key stands that is not printable: `packages[3].name`.
pub fn unprintable_in(value: &impl Serialize) -> Result<Option<String>, serde_json::Error> {
    Ok(find(&serde_json::to_value(value)?, ""))
}

fn find(value: &Value, path: &str) -> Option<String> {
    let is_wrong = |text: &str| !text.chars().all(is_printable);
    match value {
        Value::String(string) => is_wrong(string).then(|| path.to_owned()),
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(index, item)| find(item, &format!("{path}[{index}]")))
        }
        Value::Object(entries) => entries.iter().find_map(|(key, value)| {
            let dot = if path.is_empty() { "" } else { "." };
            let path = format!("{path}{dot}{}", text(key));
            if is_wrong(key) { Some(path) } else { find(value, &path) }
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_what_is_printable_and_escapes_the_rest() {
        for (given, shown) in [
            ("linux-image 6.12 – „日本“ \\", "linux-image 6.12 – „日本“ \\"),
            ("\x1b[31mred\x07", "\\u{1b}[31mred\\u{7}"),
            ("a\r\nerror: forged", "a\\u{d}\\u{a}error: forged"),
            ("\u{9b}2J", "\\u{9b}2J"),
            ("gpj.\u{202e}exe", "gpj.\\u{202e}exe"),
            ("a\u{200b}b\u{feff}\u{2066}", "a\\u{200b}b\\u{feff}\\u{2066}"),
        ] {
            assert_eq!(text(given), shown);
        }
        assert_eq!(lines("a\tb\n\x1b[0m\r\n"), "a\tb\n\\u{1b}[0m\\u{d}\n");
    }

    #[test]
    fn json_means_the_same_as_before() {
        let value = serde_json::json!({ "\u{9b}": ["\u{202e}\u{e0041}", "\x1b", "é"] });
        let document = serde_json::to_string_pretty(&value).unwrap();
        let shown = json(&document);
        assert!(shown.chars().all(|character| is_printable(character) || character == '\n'), "{shown}");
        assert!(shown.contains("\"\\u202e\\udb40\\udc41\""), "{shown}");
        assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), value);
    }

    #[test]
    fn names_the_place_of_what_is_not_printable() {
        let find = |value| unprintable_in(&value).unwrap();
        assert_eq!(find(serde_json::json!({ "a": ["b", 1, { "c d": "é" }] })), None);
        let value = serde_json::json!({ "a": [{ "b": "c" }, { "b": "\n" }] });
        assert_eq!(find(value).as_deref(), Some("a[1].b"));
        assert_eq!(find(serde_json::json!({ "a": { "\x1b": 1 } })).as_deref(), Some("a.\\u{1b}"));
    }
}
