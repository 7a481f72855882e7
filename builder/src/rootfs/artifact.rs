//! Artifacts in the root: a file laid as it is, programs out of a tar archive, an unpacked k3s release, the objects of
//! a Kubernetes manifest.
//!
//! Files are of root; of the permission bits those stay that let others read and run. Where a package or
//! another artifact has put something already, nothing is replaced.

mod k3s;
mod kubernetes;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use globset::{GlobBuilder, GlobMatcher};
use thiserror::Error;

use super::stream::{Compression, Stream, StreamFault};
use super::tarball::{self, ReadFault, Selection, TarFault};
use crate::diagnostic::listed;
use crate::format::k3s::K3sError;
use crate::profile::{Member, Placement};
use crate::tree::{Entry, Kind, Metadata, Tree, TreeError};
use crate::units::{self, Sha256};

pub use kubernetes::ManifestError;

/// Most that an archive may unpack to: k3s is about 250 MiB.
const LIMIT: units::Bytes = units::Bytes(1 << 30);
/// Permission bits that files of an archive keep.
const MODE: u16 = 0o755;
/// Hexadecimal digits of a digest in a path: 64 bits tell files apart, though they vouch for nothing.
const DIGITS: usize = 16;

/// Why an artifact has no place in the root.
#[derive(Debug, Error)]
pub enum ArtifactError {
    /// No k3s release.
    #[error(transparent)]
    K3s(#[from] K3sError),
    /// No Kubernetes manifest.
    #[error("reading the manifest")]
    Manifest(#[from] ManifestError),
    /// An archive can't be decompressed.
    #[error("decompressing the archive")]
    Stream(#[source] StreamFault),
    /// An archive is not acceptable.
    #[error("reading the archive")]
    Tar(#[source] TarFault),
    /// k3s carries something unknown.
    #[error("it carries `{path}`, which is neither below `bin` nor below `etc`")]
    Outside {
        /// The path in the archive.
        path: String,
    },
    /// A link that would lead somewhere else in the root.
    #[error("it carries the link `{path}` to `{target}`, which leads out of the archive")]
    Link {
        /// The link in the archive.
        path: String,
        /// Its target.
        target: String,
    },
    /// There is no k3s in it.
    #[error("it carries no program `{path}`")]
    NoProgram {
        /// Where k3s has it.
        path: &'static str,
    },
    /// Not compressed as its name says.
    #[error("it does not begin like a file compressed by {0}")]
    NotCompressed(&'static str),
    /// Not exactly one file of an archive fits.
    #[error("{count} files of the archive fit `{pattern}`, and one must")]
    Member {
        /// What was looked for.
        pattern: String,
        /// How many there are.
        count: usize,
    },
    /// Somebody else has the path.
    #[error("`{path}` is in the root already")]
    Occupied {
        /// The path below the root.
        path: String,
    },
    /// The path has no place.
    #[error(transparent)]
    Place(#[from] TreeError),
}

impl ArtifactError {
    /// Whether the artifact itself is at fault, and not what lies in its place.
    pub const fn is_of_content(&self) -> bool {
        !matches!(self, Self::Occupied { .. } | Self::Place(_))
    }
}

impl From<ReadFault> for ArtifactError {
    fn from(fault: ReadFault) -> Self {
        match fault {
            ReadFault::Stream(fault) => Self::Stream(fault),
            ReadFault::Tar(fault) => Self::Tar(fault),
        }
    }
}

/// Puts an artifact into the root.
pub fn place(tree: &mut Tree, content: &Bytes, placement: &Placement) -> Result<(), ArtifactError> {
    match placement {
        Placement::Whole { path, mode } => {
            if let Some((name, _, magic)) = compression(path)
                && !content.starts_with(magic)
            {
                return Err(ArtifactError::NotCompressed(name));
            }
            let entry = Entry { metadata: Metadata::root(*mode), kind: Kind::File(content.clone()) };
            add(tree, &whole_path(path, Sha256::of(content)), entry)
        }
        Placement::Members { members } => place_members(tree, content, members),
        Placement::K3s { folder } => k3s::place(tree, content, folder),
        Placement::Manifest { path, namespace } => {
            let objects = kubernetes::convert(content, namespace)?;
            add(tree, path, Entry { metadata: Metadata::FILE, kind: Kind::File(objects) })
        }
    }
}

/// How a file is compressed by the end of its name, and how it then begins (RFC 1952, 2.3.1; RFC 8878, 3.1.1; the
/// .xz file format 1.2.1, 2.1.1.1).
fn compression(path: &str) -> Option<(&'static str, &'static str, &'static [u8])> {
    const KNOWN: [(&str, &str, &[u8]); 4] = [
        ("gzip", ".gz", b"\x1f\x8b"),
        ("gzip", ".tgz", b"\x1f\x8b"),
        ("zstd", ".zst", b"\x28\xb5\x2f\xfd"),
        ("xz", ".xz", b"\xfd7zXZ\0"),
    ];
    KNOWN.into_iter().find(|(_, suffix, _)| path.ends_with(suffix))
}

/// What an artifact of this placement is, in words.
pub fn expected(placement: &Placement) -> String {
    match placement {
        Placement::Whole { path, .. } => match compression(path) {
            Some((name, ..)) => format!("a file compressed by {name}"),
            None => "a file".to_owned(),
        },
        Placement::Members { members } => {
            let patterns = listed(members.iter().map(|member| member.pattern.as_str()));
            format!("a tar archive, compressed by gzip, with {patterns}")
        }
        Placement::Manifest { .. } => "a Kubernetes manifest in YAML".to_owned(),
        Placement::K3s { .. } => "k3s' release for Linux: an ELF program with an archive inside".to_owned(),
    }
}

/// Where an artifact with this digest lies in the root: files, and folders with all that is in them.
pub fn places(sha256: Sha256, placement: &Placement) -> Vec<String> {
    match placement {
        Placement::Whole { path, .. } => vec![whole_path(path, sha256)],
        Placement::Members { members } => members.iter().map(|member| member.path.clone()).collect(),
        Placement::Manifest { path, .. } => vec![path.clone()],
        Placement::K3s { folder } => vec![folder.clone()],
    }
}

fn whole_path(path: &str, sha256: Sha256) -> String {
    path.replace("{digest}", &sha256.to_string()[..DIGITS])
}

fn place_members(tree: &mut Tree, content: &Bytes, members: &[Member]) -> Result<(), ArtifactError> {
    let patterns: Vec<GlobMatcher> = members.iter().map(|member| pattern(&member.pattern)).collect();
    let keep = |path: &str| patterns.iter().any(|pattern| pattern.is_match(path));
    let entries = unpack(content, Compression::Gzip, &keep)?;
    for (member, pattern) in members.iter().zip(&patterns) {
        let files: Vec<&(String, Entry)> = entries
            .iter()
            .filter(|(path, entry)| matches!(entry.kind, Kind::File(_)) && pattern.is_match(path))
            .collect();
        let [(_, entry)] = files.as_slice() else {
            return Err(ArtifactError::Member { pattern: member.pattern.clone(), count: files.len() });
        };
        add(tree, &member.path, plain(entry))?;
    }
    Ok(())
}

/// The form of the pattern was checked when the settings were read.
fn pattern(text: &str) -> GlobMatcher {
    let glob = GlobBuilder::new(text).literal_separator(true).build();
    glob.expect("settings hold valid patterns only").compile_matcher()
}

fn unpack(
    content: &[u8],
    compression: Compression,
    keep: &dyn Fn(&str) -> bool,
) -> Result<Vec<(String, Entry)>, ArtifactError> {
    let stream = || Stream::new(content, compression, LIMIT).map_err(ArtifactError::Stream);
    let mut selection = Selection::new(keep);
    let entries = tarball::read(stream()?, &mut selection)?;
    let wanted = std::mem::take(&mut selection.wanted);
    if wanted.is_empty() {
        return Ok(entries);
    }
    // A kept hard link leads to a file that was not kept.
    selection.retained = wanted;
    Ok(tarball::read(stream()?, &mut selection)?)
}

/// The entry as a file of root, whoever made the archive.
fn plain(entry: &Entry) -> Entry {
    let metadata = match entry.kind {
        Kind::Directory => Metadata::DIRECTORY,
        Kind::File(_) => Metadata::root(entry.metadata.mode & MODE),
        Kind::Symlink(_) => Metadata::root(0o777),
    };
    Entry { metadata, kind: entry.kind.clone() }
}

fn add(tree: &mut Tree, path: &str, entry: Entry) -> Result<(), ArtifactError> {
    match tree.get(path).map(|entry| &entry.kind) {
        Some(Kind::Directory) if entry.kind == Kind::Directory => return Ok(()),
        Some(_) => return Err(ArtifactError::Occupied { path: path.to_owned() }),
        None => {}
    }
    Ok(tree.insert(path, entry)?)
}
