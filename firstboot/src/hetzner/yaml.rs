//! YAML, as a provider describes things in it, into JSON, which everything else here is read from. `serde-saphyr`, which
//! does both at once, would make the program larger by a tenth.
//!
//! Aliases are refused: nobody needs them to describe two interfaces, and few of them make much.

use granit_parser::{Event, Options, Parser, ScalarStyle};
use serde_json::{Map, Value};
use thiserror::Error;

/// Deepest nesting; `network-config` has four levels.
const DEEPEST: usize = 16;

/// Why a text is not read.
#[derive(Debug, Error)]
pub(super) enum YamlError {
    /// No YAML.
    #[error(transparent)]
    Syntax(#[from] granit_parser::ScanError),
    /// YAML of a kind that is not read.
    #[error("{what} is not read")]
    Unread {
        /// What it has.
        what: &'static str,
    },
}

/// A list or a mapping that has not ended yet.
enum Open {
    List(Vec<Value>),
    /// With the key whose value comes next.
    Mapping(Map<String, Value>, Option<String>),
}

/// Reads a text of one document; an empty one is null.
pub(super) fn parse(text: &str) -> Result<Value, YamlError> {
    let mut options = Options::default();
    (options.flow_nesting_limit, options.block_nesting_limit) = (DEEPEST, DEEPEST);
    let unread = |what| YamlError::Unread { what };
    let mut whole = None;
    let mut open = Vec::new();
    for event in Parser::new_from_str_with_options(text, options) {
        let value = match event?.0 {
            Event::DocumentStart(..) if whole.is_some() => return Err(unread("a second document")),
            Event::Alias(_) => return Err(unread("an alias")),
            Event::SequenceStart(..) => {
                open.push(Open::List(Vec::new()));
                continue;
            }
            Event::MappingStart(..) => {
                open.push(Open::Mapping(Map::new(), None));
                continue;
            }
            Event::Scalar(text, style, ..) => scalar(text.into_owned(), style),
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::List(list)) => Value::Array(list),
                Some(Open::Mapping(mapping, _)) => Value::Object(mapping),
                None => continue,
            },
            _ => continue,
        };
        match open.last_mut() {
            None => whole = Some(value),
            Some(Open::List(list)) => list.push(value),
            Some(Open::Mapping(mapping, key)) => match (key.take(), value) {
                (Some(key), value) => {
                    if mapping.insert(key, value).is_some() {
                        return Err(unread("a key that stands twice"));
                    }
                }
                (None, Value::String(text)) => *key = Some(text),
                (None, _) => return Err(unread("a key that is no text")),
            },
        }
    }
    Ok(whole.unwrap_or_default())
}

/// Whole numbers, truth and nothing are told from text where they stand without quotes (YAML 1.2, 10.3.2).
fn scalar(text: String, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return Value::String(text);
    }
    match text.as_str() {
        "" | "~" | "null" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        digits => digits.parse::<u64>().map_or(Value::String(text), Value::from),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_stands_there_is_read() {
        for (text, expected) in [
            ("", json!(null)),
            ("# nothing\n", json!(null)),
            ("---\n...\n", json!(null)),
            ("[]", json!([])),
            ("- a\n- 'b: c'\n- \"d\\u0041\"\n- |\n  e\n", json!(["a", "b: c", "dA", "e\n"])),
            (
                "a: 1\nb: '1'\nc: ~\nd:\ne: true # yes\n",
                json!({"a": 1, "b": "1", "c": null, "d": null, "e": true}),
            ),
            // An Ethernet address is no number of base 60, an address no list, a range no path.
            (
                "{m: 96:00:03:12:34:56, g: fe80::1, n: 10.0.0.0/16}",
                json!({"m": "96:00:03:12:34:56", "g": "fe80::1", "n": "10.0.0.0/16"}),
            ),
            ("a:\n- b: 1\n  c: [d, {e: f}]\n- g\n", json!({"a": [{"b": 1, "c": ["d", {"e": "f"}]}, "g"]})),
        ] {
            assert_eq!(parse(text).unwrap(), expected, "{text:?}");
        }
    }

    #[test]
    fn what_nobody_needs_is_refused() {
        let deep = "[".repeat(DEEPEST + 1);
        for (text, expected) in [
            ("a: &b [c]\nd: *b\n", "an alias is not read"),
            ("a\n---\nb\n", "a second document is not read"),
            ("a: 1\na: 2\n", "a key that stands twice is not read"),
            ("[a]: 1\n", "a key that is no text is not read"),
            (&deep, "recursion limit exceeded"),
        ] {
            let fault = parse(text).unwrap_err().to_string();
            assert!(fault.starts_with(expected), "{text:?}: {fault}");
        }
    }
}
