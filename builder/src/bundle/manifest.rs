//! `manifest.json`: what a build folder holds; a function of the inputs only.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use super::artifacts::Supplied;
use super::programs::ProgramFacts;
use crate::regular_file;
use crate::secure_boot::SignedBy;
use crate::units::{Arch, Bytes, Lba, RootHash, SectorSize, Sha256, Timestamp};

/// The format this program writes.
pub const FORMAT: u32 = 1;
/// Its file name.
pub const FILE: &str = "manifest.json";
/// The longest that is read; a real one has some 40 KiB.
const LONGEST: Bytes = Bytes(64 << 20);

/// Why a manifest cannot be read.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// There is none, or it is not readable.
    #[error("reading manifest `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no JSON, or lacks what a manifest has.
    #[error("manifest `{}` is malformed", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// It is of another format.
    #[error("manifest `{}` has format {found}, this program reads {FORMAT}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// It names a file that would lie elsewhere.
    #[error("manifest `{}` names the file `{}`, which is no name in a folder", path.display(), name.escape_debug())]
    Name {
        /// The manifest.
        path: PathBuf,
        /// What it names.
        name: String,
    },
}

impl Manifest {
    /// The partition of `disk.raw` called `label`.
    pub fn partition(&self, label: &str) -> Option<&Partition> {
        self.partitions.iter().find(|partition| partition.label == label)
    }

    /// Reads the manifest of a build folder.
    pub fn load(folder: &Path) -> Result<Self, ManifestError> {
        /// The part that every format has.
        #[derive(Deserialize)]
        struct Versioned {
            format: u32,
        }
        let path = folder.join(FILE);
        let text = regular_file::read(&path, LONGEST)
            .map_err(|source| ManifestError::Read { path: path.clone(), source })?;
        let malformed = |source| ManifestError::Malformed { path: path.clone(), source };
        let Versioned { format } = serde_json::from_slice(&text).map_err(malformed)?;
        if format != FORMAT {
            return Err(ManifestError::Format { path, found: format });
        }
        let manifest: Self = serde_json::from_slice(&text).map_err(malformed)?;
        if let Some(name) = manifest.files.keys().find(|name| !is_file_name(name)) {
            return Err(ManifestError::Name { path, name: name.clone() });
        }
        Ok(manifest)
    }
}

/// Whether a name stays in its folder, and shows as it is.
fn is_file_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(|letter: char| letter == '/' || letter.is_control())
}

/// The manifest.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Format; 1.
    pub format: u32,
    /// Profile the bundle was made from.
    pub profile: String,
    /// Image it was laid on.
    pub image: String,
    /// Architecture.
    pub arch: Arch,
    /// Whether people can log in.
    pub debug: bool,
    /// Time of everything inside.
    pub date: Timestamp,
    /// Root hash of the root file system.
    pub root_hash: RootHash,
    /// Release of the kernel.
    pub kernel: String,
    /// Kernel arguments in the UKI.
    pub command_line: String,
    /// Kernel arguments that the medium adds, in an add-on beside the UKI.
    pub image_command_line: String,
    /// Whose signature the boot programs have: `unsigned`, or `signed-by` and the SHA-256 of the certificate.
    pub secure_boot: SignedBy,
    /// Size of the initrd inside the UKI.
    pub initrd_size: Bytes,
    /// Size of the microcode inside the UKI; 0 where there is none.
    #[serde(default)]
    pub microcode_size: Bytes,
    /// Files of the folder by name.
    pub files: BTreeMap<String, FileFacts>,
    /// Bytes of a sector of `disk.raw`.
    #[serde(default)]
    pub sector_size: SectorSize,
    /// Partitions of `disk.raw`, in disk order.
    pub partitions: Vec<Partition>,
    /// Packages of the root, sorted by name.
    pub packages: Vec<Package>,
    /// Packages that the boot files come from, sorted by name.
    pub boot_packages: Vec<Package>,
    /// Downloads in the root that are no packages, sorted by name.
    #[serde(default)]
    pub artifacts: Vec<Artifact>,
    /// Names of artifacts that are other files than the pinned ones.
    #[serde(default)]
    pub unpinned: Vec<String>,
    /// Names of artifacts that were left out.
    #[serde(default)]
    pub absent: Vec<String>,
    /// Our programs by name.
    pub programs: BTreeMap<String, ProgramFacts>,
}

/// A file of the folder.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct FileFacts {
    /// Size in bytes.
    pub size: Bytes,
    /// Digest.
    pub sha256: Sha256,
}

/// A partition of `disk.raw`.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Partition {
    /// Label.
    pub label: String,
    /// Partition type GUID.
    #[serde(rename = "type")]
    pub kind: Uuid,
    /// PARTUUID.
    pub partuuid: Uuid,
    /// First sector.
    pub first: Lba,
    /// Size in bytes.
    pub size: Bytes,
    /// Bytes in use by the file system or file inside.
    pub used: Bytes,
}

/// A package.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Package {
    /// Name.
    pub name: String,
    /// Debian version.
    pub version: String,
    /// `all` or the architecture.
    pub arch: String,
    /// Digest of the .deb.
    pub sha256: Sha256,
    /// Bytes of its files in the root, before the file system packs them.
    pub installed: Bytes,
}

/// An artifact.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Artifact {
    /// Name.
    pub name: String,
    /// The pinned version; none where the file is another one, whose version nobody knows.
    pub version: Option<String>,
    /// Digest of the file, before anything in it is unpacked.
    pub sha256: Sha256,
    /// Its size in bytes.
    pub size: Bytes,
    /// Whether it is the pinned file.
    pub pinned: bool,
    /// Where it lies in the root: files, and folders with all that is in them.
    #[serde(default)]
    pub places: Vec<String>,
}

impl From<&Supplied> for Artifact {
    fn from(artifact: &Supplied) -> Self {
        Self {
            name: artifact.name.clone(),
            version: artifact.version.clone(),
            sha256: artifact.sha256,
            size: Bytes::of(&artifact.content),
            pinned: artifact.is_pinned(),
            places: artifact.places(),
        }
    }
}
