//! Packages indices: every package of a suite for one architecture.

use std::io::{BufReader, Read as _};
use std::path::Path;

use thiserror::Error;

use super::deb822::{Deb822Error, Stanza, stanzas};
use crate::printable;
use crate::units::{Bytes, Sha256};
use crate::xz;

/// No index unpacks to more; trixie's main has 52 MiB.
const UNPACKED_LIMIT: Bytes = Bytes(1 << 30);

/// One binary package as its index describes it; relations are kept as written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Package {
    /// Package name.
    pub name: String,
    /// Debian version.
    pub version: String,
    /// `all` or the architecture.
    pub arch: String,
    /// Codename of the suite it is in: `trixie`, `trixie-security`.
    pub suite: String,
    /// `debian` or `debian-security`.
    pub archive: String,
    /// Path below the archive's mirror (field Filename).
    pub path: String,
    /// Size of the .deb.
    pub size: Bytes,
    /// Digest of the .deb.
    pub sha256: Sha256,
    /// Depends; like all relation fields as written, and empty if absent.
    pub depends: String,
    /// Pre-Depends.
    pub pre_depends: String,
    /// Provides.
    pub provides: String,
    /// Conflicts.
    pub conflicts: String,
    /// Breaks.
    pub breaks: String,
    /// Recommends; like the next three it decides nothing, but apt ranks names by first mention.
    pub recommends: String,
    /// Suggests.
    pub suggests: String,
    /// Replaces.
    pub replaces: String,
    /// Enhances.
    pub enhances: String,
    /// `same`, `foreign`, `allowed` or empty.
    pub multi_arch: String,
    /// Whether dpkg refuses to remove it.
    pub essential: bool,
    /// `required`, `important`, `standard`, `optional` or `extra`.
    pub priority: String,
}

/// All packages of one or several indices, in file order.
pub type PackageIndex = Vec<Package>;

/// Where an index comes from; copied into each of its packages.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Origin {
    /// Codename of the suite.
    pub suite: String,
    /// `debian` or `debian-security`.
    pub archive: String,
}

/// What is wrong with an index.
#[derive(Debug, Error)]
pub enum IndexError {
    /// Not readable, or not xz.
    #[error("unpacking index `{path}`")]
    Unpack {
        /// File in the cache.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Larger than any index is.
    #[error("index `{path}` unpacks to more than {}", UNPACKED_LIMIT)]
    TooLarge {
        /// File in the cache.
        path: String,
    },
    /// Not stanzas.
    #[error("Packages index is malformed")]
    Malformed(#[from] Deb822Error),
    /// A package lacks a field or has a wrong one.
    #[error("Packages index, line {line}: package `{package}` has {} field `{field}`",
        if *.is_missing { "no" } else { "a wrong" })]
    Field {
        /// First line of the stanza.
        line: usize,
        /// Package name, or `?`.
        package: String,
        /// Field name.
        field: &'static str,
        /// Whether it is missing.
        is_missing: bool,
    },
}

/// Unpacks and parses a `Packages.xz`.
pub fn load(path: &Path, origin: &Origin) -> Result<PackageIndex, IndexError> {
    let shown = || path.display().to_string();
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| xz::decoder(BufReader::new(file)))
        .and_then(|unpacked| unpacked.take(UNPACKED_LIMIT.0 + 1).read_to_string(&mut text))
        .map_err(|source| IndexError::Unpack { path: shown(), source })?;
    if Bytes::of(text.as_bytes()) > UNPACKED_LIMIT {
        return Err(IndexError::TooLarge { path: shown() });
    }
    parse(&text, origin)
}

/// Parses the text of a Packages index.
pub fn parse(text: &str, origin: &Origin) -> Result<PackageIndex, IndexError> {
    stanzas(text).map(|stanza| package(&stanza?, origin)).collect()
}

fn package(stanza: &Stanza<'_>, origin: &Origin) -> Result<Package, IndexError> {
    let fault = |field, is_missing| IndexError::Field {
        line: stanza.line(),
        package: printable::text(stanza.get("Package").unwrap_or("?")).into_owned(),
        field,
        is_missing,
    };
    let required =
        |field| stanza.get(field).filter(|value| !value.is_empty()).ok_or_else(|| fault(field, true));
    // What names the package goes into the lock, the manifest and people's terminals.
    let plain = |field| {
        let value = required(field)?;
        if value.chars().all(printable::is_printable) { Ok(value) } else { Err(fault(field, false)) }
    };
    let optional = |field| stanza.get(field).unwrap_or_default().to_owned();
    let path = plain("Filename")?;
    // The path becomes part of an URL: it must stay below the mirror.
    if path.starts_with('/') || path.contains(['?', '#', '\\']) || path.split('/').any(|part| part == "..") {
        return Err(fault("Filename", false));
    }
    Ok(Package {
        name: plain("Package")?.to_owned(),
        version: plain("Version")?.to_owned(),
        arch: plain("Architecture")?.to_owned(),
        suite: origin.suite.clone(),
        archive: origin.archive.clone(),
        path: path.to_owned(),
        size: Bytes(required("Size")?.parse().map_err(|_| fault("Size", false))?),
        sha256: required("SHA256")?.parse().map_err(|_| fault("SHA256", false))?,
        depends: optional("Depends"),
        pre_depends: optional("Pre-Depends"),
        provides: optional("Provides"),
        conflicts: optional("Conflicts"),
        breaks: optional("Breaks"),
        recommends: optional("Recommends"),
        suggests: optional("Suggests"),
        replaces: optional("Replaces"),
        enhances: optional("Enhances"),
        multi_arch: optional("Multi-Arch"),
        essential: stanza.get("Essential") == Some("yes"),
        priority: optional("Priority"),
    })
}
