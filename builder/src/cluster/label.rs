//! Kubernetes labels, as far as a kubelet may give them to its own node.

use std::str::FromStr;

use thiserror::Error;

use super::text::checked_text;

/// Longest name or value of a label.
const MOST: usize = 63;
/// Longest DNS name before a label's slash.
const PREFIX: usize = 253;

/// Labels below `kubernetes.io` and `k8s.io` that a kubelet may set itself; it refuses to start with
/// any other (KEP 279, "limit node access").
const KUBELET_LABELS: [&str; 9] = [
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/instance-type",
    "beta.kubernetes.io/os",
    "kubernetes.io/arch",
    "kubernetes.io/hostname",
    "kubernetes.io/os",
    "node.kubernetes.io/instance-type",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
];
/// Whole name spaces that a kubelet may set.
const KUBELET_SPACES: [&str; 2] = ["kubelet.kubernetes.io", "node.kubernetes.io"];

/// Labels that imgbuild sets by other keys of the cluster file.
const OWN_LABELS: [&str; 2] = ["imgbuild.org/site", "node.longhorn.io/create-default-disk"];

checked_text! {
    /// A label's key: an optional DNS name and a slash, then a name of up to 63 characters.
    LabelKey
}

checked_text! {
    /// A label's value: up to 63 letters, digits and inner `-`, `_`, `.`; may be empty.
    LabelValue
}

/// Why a text is no label.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum LabelError {
    /// Wrong characters or length.
    #[error(
        "`{text}` is no label {part}: up to 63 letters, digits and inner `-`, `_`, `.`{}",
        if *part == "key" { ", perhaps behind a DNS name and `/`" } else { "" }
    )]
    Form {
        /// Key or value.
        part: &'static str,
        /// The text.
        text: String,
    },
    /// Set by another key.
    #[error("imgbuild sets the label `{key}` itself, from a node's `site` and `longhorn`")]
    Own {
        /// The key.
        key: String,
    },
    /// A kubelet given this label refuses to start.
    #[error("Kubernetes keeps `{key}` for itself: a node that gives itself this label does not start")]
    Reserved {
        /// The key.
        key: String,
    },
}

fn is_name(text: &str) -> bool {
    let ends = |c: char| c.is_ascii_alphanumeric();
    text.len() <= MOST
        && text.starts_with(ends)
        && text.ends_with(ends)
        && text.chars().all(|c| ends(c) || "-_.".contains(c))
}

fn is_dns_name(text: &str) -> bool {
    text.len() <= PREFIX && text.split('.').all(|label| label.parse::<super::DnsLabel>().is_ok())
}

fn is_reserved(key: &str, prefix: &str) -> bool {
    let within = |space: &str| prefix == space || prefix.ends_with(&format!(".{space}"));
    (within("kubernetes.io") || within("k8s.io"))
        && !KUBELET_LABELS.contains(&key)
        && !KUBELET_SPACES.iter().any(|space| within(space))
}

/// The DNS name before the slash, and the name behind it.
fn split(key: &str) -> (Option<&str>, &str) {
    key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name))
}

impl LabelKey {
    /// Whether the text has the form of a key, whoever may set it.
    pub(super) fn is_form(text: &str) -> bool {
        let (prefix, name) = split(text);
        is_name(name) && prefix.is_none_or(is_dns_name)
    }
}

impl FromStr for LabelKey {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !Self::is_form(text) {
            return Err(LabelError::Form { part: "key", text: text.to_owned() });
        }
        if OWN_LABELS.contains(&text) {
            return Err(LabelError::Own { key: text.to_owned() });
        }
        if split(text).0.is_some_and(|prefix| is_reserved(text, prefix)) {
            return Err(LabelError::Reserved { key: text.to_owned() });
        }
        Ok(Self(text.to_owned()))
    }
}

impl FromStr for LabelValue {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || is_name(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(LabelError::Form { part: "value", text: text.to_owned() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_kubernetes_its_own_labels() {
        for (key, is_refused) in [
            ("site", false),
            ("example.org/site", false),
            ("topology.kubernetes.io/zone", false),
            ("node.kubernetes.io/pool", false),
            ("gpu.node.kubernetes.io/pool", false),
            ("node-role.kubernetes.io/worker", true),
            ("kubernetes.io/anything", true),
            ("x.k8s.io/y", true),
        ] {
            let refused = key.parse::<LabelKey>() == Err(LabelError::Reserved { key: key.to_owned() });
            assert_eq!(refused, is_refused, "{key}");
        }
    }

    #[test]
    fn refuses_misformed_keys_and_values() {
        for key in ["", "/x", "a/b/c", "-a", "a-", "a b", "Ä", "UPPER.example/x"] {
            let error = LabelError::Form { part: "key", text: key.to_owned() };
            assert_eq!(key.parse::<LabelKey>(), Err(error), "{key}");
        }
        assert_eq!("".parse::<LabelValue>().map(|value| value.to_string()), Ok(String::new()));
        assert!(matches!("a b".parse::<LabelValue>(), Err(LabelError::Form { part: "value", .. })));
    }
}
