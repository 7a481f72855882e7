//! Labels: how imgbuild knows what is its own at Hetzner, with no file that says so.

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use firstboot::random::random;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Label of what a run has made; its value is the run's number.
pub const RUN: &str = "imgbuild.org/run";
/// Label of a control plane that may have its bundle: a cluster has begun there, and what it has is no orphan.
pub const BEGUN: &str = "imgbuild.org/begun";

/// Longest value.
const MOST: usize = 63;

/// Labels of a resource.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels(BTreeMap<String, String>);

/// A text is no value of a label.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("`{value}` is no value of the label `{key}`: up to 63 letters, digits and inner `-`, `_`, `.`")]
pub struct LabelError {
    /// The label.
    pub key: &'static str,
    /// The text.
    pub value: String,
}

impl Labels {
    /// These labels and one more.
    pub fn with(mut self, key: &'static str, value: &str) -> Result<Self, LabelError> {
        if !is_value(value) {
            return Err(LabelError { key, value: value.to_owned() });
        }
        self.0.insert(key.to_owned(), value.to_owned());
        Ok(self)
    }

    /// Value of a label.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Keys and values, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// These labels but for one.
    #[must_use]
    pub fn without(mut self, key: &str) -> Self {
        self.0.remove(key);
        self
    }

    /// Adds what says which run has made it.
    pub(super) fn mark(&mut self, run: &Run) {
        self.0.insert(RUN.to_owned(), run.0.clone());
    }
}

/// Values as Hetzner takes them (`hcloud/labels.go` of hcloud-go).
fn is_value(value: &str) -> bool {
    let ends = |c: char| c.is_ascii_alphanumeric();
    let is_inner = |c: char| ends(c) || matches!(c, '-' | '_' | '.');
    value.is_empty()
        || (value.len() <= MOST
            && value.starts_with(ends)
            && value.ends_with(ends)
            && value.chars().all(is_inner))
}

/// A text that comes near to `text` and is a value: what has no place becomes `-`.
pub(super) fn near_value(text: &str) -> String {
    let replaced =
        text.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '_' | '.') { c } else { '-' });
    let text: String = replaced.take(MOST).collect();
    text.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned()
}

/// One run of a command: what it makes carries its number, and is removed by it when the run is interrupted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Run(String);

impl Run {
    /// A run with a number of its own.
    pub fn new() -> io::Result<Self> {
        let number: [u8; 8] = random()?;
        Ok(Self(format!("{:016x}", u64::from_be_bytes(number))))
    }

    /// What the run has made.
    pub fn selector(&self) -> Selector {
        Selector::equals(RUN, &self.0)
    }

    /// Whether the run has made what carries `labels`.
    pub fn has_made(&self, labels: &Labels) -> bool {
        labels.get(RUN) == Some(self.0.as_str())
    }
}

impl fmt::Display for Run {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A label selector: which resources are listed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Selector(String);

impl Selector {
    /// The label has this value.
    pub fn equals(key: &str, value: &str) -> Self {
        Self(format!("{key}={value}"))
    }

    /// The label is there.
    pub fn exists(key: &str) -> Self {
        Self(key.to_owned())
    }

    /// Both hold.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        Self(format!("{},{}", self.0, other.0))
    }

    /// All labels have these values.
    pub fn all(labels: &Labels) -> Self {
        let all: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        Self(all.join(","))
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::wanted::CLUSTER_LABEL;

    #[test]
    fn refuses_values_that_hetzner_would_refuse() {
        for value in ["", "a", "lab-1.example_org", &"a".repeat(63)] {
            let labels = Labels::default().with(CLUSTER_LABEL, value).unwrap();
            assert_eq!(labels.get(CLUSTER_LABEL), Some(value));
        }
        for value in ["-a", "a-", "a b", "a/b", "\u{e4}", &"a".repeat(64)] {
            let fault = LabelError { key: CLUSTER_LABEL, value: value.to_owned() };
            assert_eq!(Labels::default().with(CLUSTER_LABEL, value), Err(fault));
        }
    }

    #[test]
    fn any_text_comes_near_to_a_value() {
        for (text, value) in [
            ("alice@laptop.lan", "alice-laptop.lan"),
            ("-a b-", "a-b"),
            ("\u{e4}", ""),
            (&"x".repeat(99), &"x".repeat(63)),
        ] {
            assert_eq!(near_value(text), value);
            assert!(is_value(value), "{value}");
        }
    }

    #[test]
    fn selects_by_all_labels() {
        let mut labels = Labels::default().with(CLUSTER_LABEL, "lab").unwrap();
        let run = Run("0123".to_owned());
        assert!(!run.has_made(&labels));
        labels.mark(&run);
        assert!(run.has_made(&labels));
        let all = Selector::all(&labels);
        assert_eq!(all.to_string(), "imgbuild.org/cluster=lab,imgbuild.org/run=0123");
        let both = Selector::exists("a").and(&run.selector());
        assert_eq!(both.to_string(), "a,imgbuild.org/run=0123");
    }

    #[test]
    fn no_two_runs_have_one_number() {
        assert_ne!(Run::new().unwrap(), Run::new().unwrap());
    }
}
