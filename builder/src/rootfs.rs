//! The root file system as a tree: unpacking packages, declared setup, exclusions.

pub mod review;
pub mod setup;

use std::collections::BTreeMap;

/// What setup needs to know of a package beyond its files.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DebInfo {
    /// Package name.
    pub name: String,
    /// Debian version.
    pub version: String,
    /// `all` or the architecture.
    pub arch: String,
    /// The stanza of its `control` file as shipped.
    pub control: String,
    /// Maintainer scripts by name: `preinst`, `postinst`, `prerm`, `postrm`, `config`, `triggers`.
    pub scripts: BTreeMap<String, Vec<u8>>,
    /// Absolute paths of its configuration files.
    pub conffiles: Vec<String>,
}
