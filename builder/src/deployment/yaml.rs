//! YAML for people: one line for each value, two spaces for each level. Strings are written as in JSON, which is YAML,
//! so that none is taken for a number, a truth value or a date.

use std::fmt::Write as _;

use serde_json::Value;

/// The document.
pub(crate) fn text(value: &Value) -> String {
    let mut text = String::new();
    block(value, 0, &mut text);
    text
}

fn block(value: &Value, level: usize, text: &mut String) {
    let indent = "  ".repeat(level);
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                let _ = write!(text, "{indent}{}:", name(key));
                below(value, level, text);
            }
        }
        Value::Array(items) => {
            for item in items {
                let _ = write!(text, "{indent}-");
                below(item, level, text);
            }
        }
        scalar => _ = writeln!(text, "{indent}{scalar}"),
    }
}

/// What stands behind a key or a dash: a value on the same line, or a block below.
fn below(value: &Value, level: usize, text: &mut String) {
    let is_block = match value {
        Value::Object(entries) => !entries.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    };
    if is_block {
        text.push('\n');
        block(value, level + 1, text);
    } else {
        let _ = writeln!(text, " {value}");
    }
}

/// A key as it is, where YAML can take it for nothing else.
fn name(key: &str) -> String {
    // YAML 1.1, which many charts are still read by, has these too.
    const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    let is_plain = key.starts_with(|c: char| c.is_ascii_alphabetic())
        && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        && !WORDS.contains(&key.to_ascii_lowercase().as_str());
    if is_plain { key.to_owned() } else { Value::from(key).to_string() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn another_reader_finds_the_same() {
        for value in [
            json!({}),
            json!({ "a": { "b": [1, -2, 1.5, 1e300, true, null, "x"], "c": {}, "d": [] } }),
            json!({ "no": "no", "yes": "1.0", "1": "null", "a b": "a: b # c", "": "", "~": "2026-11-26" }),
            json!({ "a": [[1, [2, 3]], { "b": { "c": "d" } }, [], {}] }),
            json!({ "a": "line\nline\ttab \"quoted\" \\ \u{1b} é 日本 \u{1f600}", "*": "&x", "-": "- x" }),
        ] {
            let text = text(&value);
            let found: Value =
                serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
            // An empty document is nothing to YAML.
            let expected = if value == json!({}) { Value::Null } else { value };
            assert_eq!(found, expected, "{text}");
        }
    }
}
