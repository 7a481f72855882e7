//! Labels, and selectors over them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::error::ApiError;

pub(crate) type Labels = BTreeMap<String, String>;

/// Longest name and value.
const LONGEST: usize = 63;
/// Longest prefix of a key: a domain name.
const LONGEST_PREFIX: usize = 253;

/// Reads and checks an object of labels.
pub(crate) fn parse(object: &Map<String, Value>) -> Result<Labels, ApiError> {
    let invalid = |message: String| ApiError::invalid("labels", message);
    object
        .iter()
        .map(|(key, value)| {
            let text = value.as_str().ok_or_else(|| invalid(format!("value of `{key}` is no string")))?;
            if !is_key(key) {
                return Err(invalid(format!("`{key}` is no valid label key")));
            }
            if !text.is_empty() && !is_name(text) {
                return Err(invalid(format!("`{text}` is no valid label value")));
            }
            Ok((key.clone(), text.to_owned()))
        })
        .collect()
}

fn is_key(key: &str) -> bool {
    match key.split_once('/') {
        None => is_name(key),
        // The provider's own.
        Some(("hetzner.cloud", _)) => false,
        Some((prefix, name)) => {
            prefix.len() <= LONGEST_PREFIX && prefix.split('.').all(is_domain_label) && is_name(name)
        }
    }
}

fn is_name(text: &str) -> bool {
    let is_end = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    let mut bytes = text.bytes();
    text.len() <= LONGEST
        && is_end(text.bytes().next())
        && is_end(text.bytes().next_back())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// One part of a domain name (RFC 1123).
pub(crate) fn is_domain_label(text: &str) -> bool {
    is_name(text) && !text.contains(['_', '.'])
}

/// `k=v,k!=v,k,!k,k in (a,b),k notin (a,b)`
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Selector(Vec<(String, Wanted)>);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Wanted {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Missing,
}

impl Selector {
    /// All terms must hold; none holds always.
    pub(crate) fn parse(text: &str) -> Result<Self, ApiError> {
        Ok(Self(split(text).into_iter().map(term).collect::<Result<_, _>>()?))
    }

    pub(crate) fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|(key, wanted)| {
            let value = labels.get(key);
            match wanted {
                Wanted::In(values) => value.is_some_and(|value| values.contains(value)),
                Wanted::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
                Wanted::Exists => value.is_some(),
                Wanted::Missing => value.is_none(),
            }
        })
    }
}

/// At commas that are not in parentheses.
fn split(text: &str) -> Vec<&str> {
    let mut depth = 0_u32;
    text.split(|character| {
        match character {
            '(' => depth = depth.saturating_add(1),
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        character == ',' && depth == 0
    })
    .map(str::trim)
    .filter(|term| !term.is_empty())
    .collect()
}

fn term(text: &str) -> Result<(String, Wanted), ApiError> {
    let invalid = || ApiError::invalid("label_selector", format!("`{text}` is no valid term"));
    let checked = |key: &str, wanted: Wanted| {
        let key = key.trim();
        let is_value = |value: &String| value.is_empty() || is_name(value);
        let is_valid = match &wanted {
            Wanted::In(values) | Wanted::NotIn(values) => values.iter().all(is_value),
            Wanted::Exists | Wanted::Missing => true,
        };
        // The provider's own keys may be asked for.
        let is_known = is_key(key) || key.strip_prefix("hetzner.cloud/").is_some_and(is_name);
        if is_valid && is_known { Ok((key.to_owned(), wanted)) } else { Err(invalid()) }
    };
    let one = |value: &str| vec![value.trim().to_owned()];
    if let Some(key) = text.strip_prefix('!') {
        return checked(key, Wanted::Missing);
    }
    if let Some((head, values)) = text.split_once('(') {
        let values = values.strip_suffix(')').ok_or_else(invalid)?;
        let values = values.split(',').map(|value| value.trim().to_owned()).collect();
        return match head.split_whitespace().collect::<Vec<_>>().as_slice() {
            [key, "in"] => checked(key, Wanted::In(values)),
            [key, "notin"] => checked(key, Wanted::NotIn(values)),
            _ => Err(invalid()),
        };
    }
    if let Some((key, value)) = text.split_once("!=") {
        return checked(key, Wanted::NotIn(one(value)));
    }
    if let Some((key, value)) = text.split_once('=') {
        return checked(key, Wanted::In(one(value.strip_prefix('=').unwrap_or(value))));
    }
    checked(text, Wanted::Exists)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn selectors_of_every_form() {
        let labels =
            Labels::from([("env".into(), "prod".into()), ("example.com/empty".into(), String::new())]);
        for (text, expected) in [
            ("", true),
            ("env=prod", true),
            ("env==prod", true),
            ("env=test", false),
            ("env!=prod", false),
            ("other!=prod", true),
            ("env", true),
            ("example.com/empty", true),
            ("example.com/empty=", true),
            ("other", false),
            ("!other", true),
            ("!env", false),
            ("env in (test, prod)", true),
            ("env in (test)", false),
            ("env notin (test,stage)", true),
            ("env notin (prod)", false),
            ("other notin (prod)", true),
            ("env in (a,prod),!other", true),
            ("env=prod,other", false),
        ] {
            assert_eq!(Selector::parse(text).unwrap().matches(&labels), expected, "{text}");
        }
    }

    #[test]
    fn broken_selectors_are_refused() {
        for text in ["a b", "a in (b", "a on (b)", "=b", "a=b=c", "a=-b", "!", "a in b", "-a"] {
            let error = Selector::parse(text).unwrap_err();
            assert_eq!(error.details["fields"][0]["name"], "label_selector", "{text}");
        }
    }

    #[test]
    fn labels_are_checked() {
        let long = "a".repeat(64);
        for (key, value, is_valid) in [
            ("env", "prod", true),
            ("just-a-key", "", true),
            ("example.com/my", "label", true),
            ("a_b.c-d", "E_F.g-1", true),
            ("", "a", false),
            ("-a", "a", false),
            ("a", "-a", false),
            ("a", "a b", false),
            ("a/b/c", "a", false),
            ("/a", "a", false),
            ("a_b/c", "a", false),
            ("hetzner.cloud/a", "a", false),
            (&long, "a", false),
            ("a", &long, false),
            (&long[1..], &long[1..], true),
        ] {
            let parsed = parse(json!({key: value}).as_object().unwrap());
            assert_eq!(parsed.is_ok(), is_valid, "{key}={value}: {parsed:?}");
        }
        let error = parse(json!({"a": 1}).as_object().unwrap()).unwrap_err();
        assert_eq!(error.message, "invalid input in field 'labels': value of `a` is no string");
    }
}
