//! The lock: every package by path, every artifact by URL, each with version, size and sha256; and every user
//! and group number.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::cache;
use super::index::Package;
use crate::printable;
use crate::regular_file;
use crate::units::{Arch, Bytes, Sha256, Timestamp};

/// Contents of `imgbuild.lock`.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Lock {
    /// Format of the file; 1.
    pub version: u32,
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
    /// Digest of its `InRelease` file.
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
    /// Time of everything in an image of this selection, and the moment for which the snapshot archive
    /// has all of its packages: the newest Date of its Release files.
    pub date: Timestamp,
    /// The indices the packages were chosen from.
    #[serde(rename = "suite", default)]
    pub suites: Vec<LockedSuite>,
    /// Packages of the root, sorted by name.
    #[serde(rename = "package", default)]
    pub packages: Vec<LockedPackage>,
    /// Packages that boot the machine but lie outside the root, sorted by name.
    #[serde(rename = "boot-package", default)]
    pub boot_packages: Vec<LockedPackage>,
    /// Downloads that are no packages, sorted by name.
    #[serde(rename = "artifact", default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<LockedArtifact>,
}

/// One artifact, exactly.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LockedArtifact {
    /// Its name in `artifacts.toml`.
    pub name: String,
    /// Its project's version.
    pub version: String,
    /// Where it is published.
    pub url: String,
    /// Size in bytes, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Bytes>,
    /// Digest.
    pub sha256: Sha256,
    /// Who vouches for the digest.
    pub evidence: String,
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

impl From<&Package> for LockedPackage {
    fn from(package: &Package) -> Self {
        Self {
            name: package.name.clone(),
            version: package.version.clone(),
            arch: package.arch.clone(),
            archive: package.archive.clone(),
            path: package.path.clone(),
            size: package.size,
            sha256: package.sha256,
        }
    }
}

/// The format that is written and the only one that is read.
pub const FORMAT: u32 = 1;

/// The longest that is read; a real one has some 100 KiB.
const LONGEST: Bytes = Bytes(64 << 20);

const HEADER: &str = "\
# Written by `imgbuild lock`; do not edit, but keep it in Git: the same lock gives the same images.
# Newer versions of packages and artifacts: imgbuild lock --update

";

/// What is wrong with a lock file.
#[derive(Debug, Error)]
pub enum LockError {
    /// The file cannot be read.
    #[error("reading lock `{path}`")]
    Read {
        /// Its path.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Not a lock.
    #[error("lock is malformed")]
    Malformed(#[source] Box<toml::de::Error>),
    /// It has text that would show as something else than it is.
    #[error("lock has characters in `{place}` that are not printable")]
    Unprintable {
        /// Where in it, `selection[0].package[3].name`.
        place: String,
    },
    /// Of a newer or older program.
    #[error("lock has format {found}, this program reads format {FORMAT}: use the imgbuild that wrote it")]
    Format {
        /// Its format.
        found: u32,
    },
    /// The file cannot be written.
    #[error("writing lock `{path}`")]
    Write {
        /// Its path.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}

impl Lock {
    /// A lock that holds nothing yet.
    pub fn empty() -> Self {
        Self { version: FORMAT, selections: Vec::new(), users: BTreeMap::new(), groups: BTreeMap::new() }
    }

    /// The packages chosen for a profile.
    pub fn selection(&self, profile: &str, arch: Arch) -> Option<&Selection> {
        self.selections.iter().find(|selection| selection.profile == profile && selection.arch == arch)
    }

    /// Every package locked for an architecture; one that several profiles use comes several times.
    pub fn packages(&self, arch: Arch) -> impl Iterator<Item = &LockedPackage> {
        let selections = self.selections.iter().filter(move |selection| selection.arch == arch);
        selections.flat_map(|selection| selection.packages.iter().chain(&selection.boot_packages))
    }

    /// Every artifact locked for an architecture; one that several profiles use comes several times.
    pub fn artifacts(&self, arch: Arch) -> impl Iterator<Item = &LockedArtifact> {
        self.selections.iter().filter(move |selection| selection.arch == arch).flat_map(|one| &one.artifacts)
    }

    /// The newest state of each suite that any selection was made from, by codename.
    pub fn newest_suites(&self) -> BTreeMap<&str, Timestamp> {
        let mut newest = BTreeMap::new();
        for suite in self.selections.iter().flat_map(|selection| &selection.suites) {
            let date = newest.entry(suite.name.as_str()).or_insert(suite.date);
            *date = suite.date.max(*date);
        }
        newest
    }

    /// Puts a selection in the place of the one for the same profile and architecture.
    pub fn put(&mut self, selection: Selection) {
        self.selections.retain(|old| (&old.profile, old.arch) != (&selection.profile, selection.arch));
        self.selections.push(selection);
    }

    /// Reads the lock at `path`.
    pub fn load(path: &Path) -> Result<Self, LockError> {
        let text = regular_file::read_to_string(path, LONGEST)
            .map_err(|source| LockError::Read { path: path.display().to_string(), source })?;
        Self::parse(&text)
    }

    /// Reads the text of a lock.
    pub fn parse(text: &str) -> Result<Self, LockError> {
        /// The part that every format has.
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let malformed = |error| LockError::Malformed(Box::new(error));
        let Versioned { version } = toml::from_str(text).map_err(malformed)?;
        if version != FORMAT {
            return Err(LockError::Format { found: version });
        }
        let lock: Self = toml::from_str(text).map_err(malformed)?;
        match printable::unprintable_in(&lock) {
            Ok(None) => Ok(lock),
            Ok(Some(place)) => Err(LockError::Unprintable { place }),
            Err(error) => Err(malformed(serde::de::Error::custom(error))),
        }
    }

    /// Renders it, in an order that depends on nothing but its content.
    pub fn to_text(&self) -> String {
        let mut sorted = self.clone();
        sorted.selections.sort_by(|a, b| (&a.profile, a.arch).cmp(&(&b.profile, b.arch)));
        for selection in &mut sorted.selections {
            selection.suites.sort_by(|a, b| a.name.cmp(&b.name));
            selection.packages.sort();
            selection.boot_packages.sort();
            selection.artifacts.sort();
        }
        let body = toml::to_string(&sorted).expect("a lock has string keys and plain values only");
        format!("{HEADER}{body}")
    }

    /// Puts it in the place of the file at `path`, at once.
    pub fn save(&self, path: &Path) -> Result<(), LockError> {
        cache::replace(path, self.to_text().as_bytes())
            .map_err(|source| LockError::Write { path: path.display().to_string(), source })
    }
}

#[cfg(test)]
mod tests;
