//! What a bundle is made of, for scanners and auditors: SPDX and CycloneDX documents.
//!
//! Both say the same of the same [`Inventory`]: Debian packages by digest, source and licence, artifacts, and the
//! node programs with the crates that they are compiled from. Times are the lock's date, identifiers are digests of what
//! they identify.

pub mod crates;
mod cyclonedx;
pub mod licence;
pub mod purl;
mod spdx;

use std::collections::BTreeMap;

use serde_json::Value;
use uuid::Uuid;

use self::licence::Licences;
use super::manifest::{Artifact, Manifest, Package};
use crate::archive::lock::{LockedArtifact, LockedPackage, Selection};
use crate::archive::mirror::{MirrorError, Mirrors};
use crate::rootfs::DebInfo;
use crate::rootfs::deb::Control;
use crate::rootfs::resolve::resolve;
use crate::tree::{Kind, Tree};
use crate::units::{Sha256, Timestamp};

pub use cyclonedx::cyclonedx;
pub use spdx::spdx;

/// Name of the SPDX document in a build folder.
pub const SPDX: &str = "sbom.spdx.json";
/// Name of the CycloneDX document in a build folder.
pub const CYCLONEDX: &str = "sbom.cdx.json";

/// Where this project lives; part of identifiers.
pub const HOME: &str = env!("CARGO_PKG_REPOSITORY");
/// This program's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Unpacked packages: what their `copyright` files and control stanzas are read from.
#[derive(Clone, Copy, Debug)]
pub struct Unpacked<'a> {
    /// Their files.
    pub tree: &'a Tree,
    /// The packages.
    pub debs: &'a [DebInfo],
}

/// A Debian package of a bundle.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Deb {
    /// Name.
    pub name: String,
    /// Debian version.
    pub version: String,
    /// `all` or the architecture.
    pub arch: String,
    /// Digest of the .deb.
    pub sha256: Sha256,
    /// Where this very file can be had for ever.
    pub url: String,
    /// Name and version of the source package it was built from.
    pub source: (String, String),
    /// What its copyright file says.
    pub licences: Licences,
    /// Whether it is part of the root; else boot files are taken from it.
    pub is_in_root: bool,
}

impl Deb {
    /// Its package URL.
    pub fn purl(&self) -> String {
        purl::debian(&self.name, &self.version, &self.arch)
    }
}

/// An artifact of a bundle.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Download {
    /// Name.
    pub name: String,
    /// Digest of the file.
    pub sha256: Sha256,
    /// Version and URL of the pinned file; none of another one, of which nobody knows what it is.
    pub pin: Option<(String, String)>,
}

impl Download {
    /// What it is to people, where no version tells.
    pub const UNPINNED: &'static str = "Unpinned: another file than the lock names.";

    /// Its package URL: only of what is known.
    pub fn purl(&self) -> Option<String> {
        let (version, url) = self.pin.as_ref()?;
        Some(purl::download(&self.name, version, url, self.sha256))
    }
}

/// What a bundle is made of.
#[derive(Clone, Debug)]
pub struct Inventory<'a> {
    /// What the rest is part of.
    pub manifest: &'a Manifest,
    /// Packages of the root and of the boot files, each once, sorted by name.
    pub debs: Vec<Deb>,
    /// Downloads in the root that are no packages, sorted by name.
    pub artifacts: Vec<Download>,
    /// Crates of the node programs.
    pub crates: &'static [crates::Crate],
}

impl<'a> Inventory<'a> {
    /// Gathers what lock, manifest and packages say.
    pub fn new(
        manifest: &'a Manifest,
        selection: &Selection,
        root: Unpacked<'_>,
        boot: Unpacked<'_>,
    ) -> Result<Self, MirrorError> {
        let mut debs = BTreeMap::new();
        // A package of both is one of the root.
        for (packages, locked, unpacked, is_in_root) in [
            (&manifest.boot_packages, &selection.boot_packages, boot, false),
            (&manifest.packages, &selection.packages, root, true),
        ] {
            for package in packages {
                let deb = describe(package, locked, unpacked, is_in_root, selection.date)?;
                debs.insert((deb.name.clone(), deb.version.clone(), deb.arch.clone()), deb);
            }
        }
        let debs = debs.into_values().collect();
        let artifacts = manifest.artifacts.iter().map(|artifact| download(artifact, selection)).collect();
        Ok(Self { manifest, debs, artifacts, crates: crates::of_node_programs() })
    }

    /// A name for people: `cloud-amd64`.
    fn name(&self) -> String {
        format!("{}-{}", self.manifest.profile, self.manifest.arch)
    }
}

fn download(artifact: &Artifact, selection: &Selection) -> Download {
    let is_its_pin =
        |locked: &&LockedArtifact| locked.name == artifact.name && locked.sha256 == artifact.sha256;
    let pin = selection.artifacts.iter().find(is_its_pin);
    Download {
        name: artifact.name.clone(),
        sha256: artifact.sha256,
        pin: pin.map(|locked| (locked.version.clone(), locked.url.clone())),
    }
}

fn describe(
    package: &Package,
    locked: &[LockedPackage],
    unpacked: Unpacked<'_>,
    is_in_root: bool,
    date: Timestamp,
) -> Result<Deb, MirrorError> {
    let deb = unpacked.debs.iter().find(|deb| deb.name == package.name);
    let source = deb.and_then(|deb| source(&deb.control));
    let url = match locked.iter().find(|locked| locked.name == package.name) {
        Some(locked) => Mirrors::snapshot(date).url(&locked.archive, &locked.path)?.to_string(),
        None => String::new(),
    };
    Ok(Deb {
        name: package.name.clone(),
        version: package.version.clone(),
        arch: package.arch.clone(),
        sha256: package.sha256,
        url,
        source: source.unwrap_or_else(|| (package.name.clone(), package.version.clone())),
        licences: copyright(unpacked.tree, &package.name)
            .map(|text| Licences::read(&text))
            .unwrap_or_default(),
        is_in_root,
    })
}

/// Name and version of the source package, where the stanza tells them from the binary's (Policy 5.6.1).
fn source(stanza: &str) -> Option<(String, String)> {
    let control = Control::parse(stanza).ok()?;
    let source = control.field("Source")?;
    let (name, version) = match source.split_once(' ') {
        Some((name, version)) => (name, version.trim().trim_start_matches('(').trim_end_matches(')')),
        None => (source, control.version.as_str()),
    };
    Some((name.to_owned(), version.to_owned()))
}

fn copyright(tree: &Tree, package: &str) -> Option<String> {
    match &resolve(tree, &format!("usr/share/doc/{package}/copyright"))?.1.kind {
        Kind::File(content) => String::from_utf8(content.to_vec()).ok(),
        _ => None,
    }
}

/// A document that bears an identifier made of its own content.
fn identified(document: impl Fn(Uuid) -> Value) -> Value {
    document(Sha256::of(document(Uuid::nil()).to_string().as_bytes()).uuid())
}

#[cfg(test)]
pub(crate) mod tests;
