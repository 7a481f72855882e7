//! Packages as an index (`Packages`) lists them.

use crate::units::{Bytes, Sha256};

/// One stanza of a Packages index; relation fields are raw and empty where absent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Package {
    /// Package name.
    pub name: String,
    /// Debian version.
    pub version: String,
    /// `all` or the architecture.
    pub arch: String,
    /// Suite of the index: `trixie`.
    pub suite: String,
    /// Archive of the index: `debian`, `debian-security`.
    pub archive: String,
    /// Path below the archive's mirror (Filename).
    pub path: String,
    /// Size of the .deb.
    pub size: Bytes,
    /// Digest of the .deb.
    pub sha256: Sha256,
    /// Depends.
    pub depends: String,
    /// Pre-Depends.
    pub pre_depends: String,
    /// Provides.
    pub provides: String,
    /// Conflicts.
    pub conflicts: String,
    /// Breaks.
    pub breaks: String,
    /// Recommends; never followed, see [`super::solver`] for why it is kept.
    pub recommends: String,
    /// Suggests; never followed.
    pub suggests: String,
    /// Replaces; never followed.
    pub replaces: String,
    /// Enhances; never followed.
    pub enhances: String,
    /// Priority: `required`, `important`, `standard`, `optional`, `extra`.
    pub priority: String,
    /// Multi-Arch: `same`, `foreign`, `allowed`, or empty.
    pub multi_arch: String,
    /// Essential: yes.
    pub essential: bool,
}
