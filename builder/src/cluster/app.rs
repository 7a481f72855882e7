//! Apps: what ArgoCD may install, by name.

use serde::Serialize;
use serde_json::{Map, Value};

/// Every app, and the app that it does not work without.
///
/// Not here is what runs in every cluster: ArgoCD, which installs the others, and what it needs for that.
pub(super) const APPS: [(&str, Option<&str>); 20] = [
    ("authentik", None),
    ("cert-manager", None),
    ("external-dns", None),
    ("gitlab", None),
    ("gitlab-runner", Some("gitlab")),
    ("guacamole", None),
    ("haproxy-ingress", None),
    ("headplane", Some("headscale")),
    ("headscale", None),
    ("hello", None),
    ("jitsi", None),
    ("longhorn", None),
    ("monitoring", None),
    ("nextcloud", None),
    ("rallly", None),
    ("renovate", None),
    ("rocketchat", None),
    ("ryax", None),
    ("xwiki", None),
    ("zulip", None),
];

/// An app.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct App {
    /// Its name, one of a fixed list.
    pub name: &'static str,
    /// Whether it is installed.
    pub enabled: bool,
    /// What its chart is told besides.
    pub values: Map<String, Value>,
}

impl App {
    /// The names of all apps, sorted.
    pub fn names() -> impl Iterator<Item = &'static str> {
        APPS.iter().map(|(name, _)| *name)
    }
}
