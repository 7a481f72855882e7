//! The lock: every package by path, version, size and sha256, and every user and group number.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::units::{Arch, Bytes, Sha256, Timestamp};

/// Contents of `imgbuild.lock`.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Lock {
    /// Format of the file; 1.
    pub version: u32,
    /// Time of everything in an image: the newest Date of the locked Release files.
    pub date: Timestamp,
    /// The indices the packages were chosen from.
    #[serde(rename = "suite", default)]
    pub suites: Vec<LockedSuite>,
    /// What was chosen, by profile and architecture.
    #[serde(rename = "selection", default)]
    pub selections: Vec<Selection>,
    /// Numbers of users, never reused: `/var` outlives roots.
    #[serde(default)]
    pub users: BTreeMap<String, u32>,
    /// Numbers of groups, never reused.
    #[serde(default)]
    pub groups: BTreeMap<String, u32>,
}

/// A signed index that packages were chosen from.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LockedSuite {
    /// `trixie`, `trixie-updates`, `trixie-security`.
    pub name: String,
    /// Date field of its Release file.
    pub date: Timestamp,
    /// Digest of its InRelease file.
    pub sha256: Sha256,
    /// Fingerprint of the archive key whose signature was accepted, in hexadecimal.
    pub signed_by: String,
}

/// The packages of one profile on one architecture.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Selection {
    /// Profile name.
    pub profile: String,
    /// Architecture.
    pub arch: Arch,
    /// Digest of the selection's inputs (the profile's package lists), to see that they changed.
    pub inputs: Sha256,
    /// Packages of the root, sorted by name.
    #[serde(rename = "package", default)]
    pub packages: Vec<LockedPackage>,
    /// Packages that boot the machine but lie outside the root, sorted by name.
    #[serde(rename = "boot-package", default)]
    pub boot_packages: Vec<LockedPackage>,
}

/// One package, exactly.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LockedPackage {
    /// Package name.
    pub name: String,
    /// Debian version.
    pub version: String,
    /// `all` or the architecture.
    pub arch: String,
    /// Which archive: `debian` or `debian-security`.
    pub archive: String,
    /// Path below the archive's mirror (the index's Filename).
    pub path: String,
    /// Size of the .deb in bytes.
    pub size: Bytes,
    /// Digest of the .deb.
    pub sha256: Sha256,
}
