//! What the image lacks of its pinned artifacts: written when it is built, shown at every boot.

use serde::{Deserialize, Serialize};

/// Where it lies; part of the verified root.
pub const PATH: &str = "/usr/lib/imgbuild/artifacts.json";

/// Artifacts (k3s, tailscale, …) that are not what the image's profile pins. Both lists are sorted.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Artifacts {
    /// Format; 1.
    pub version: u32,
    /// Another file than the pinned one was given when the image was built.
    pub unpinned: Vec<String>,
    /// Left out when the image was built.
    pub absent: Vec<String>,
}
