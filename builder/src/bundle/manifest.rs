//! `manifest.json`: what a build folder holds; a function of the inputs only.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use thiserror::Error;
use uuid::Uuid;

use super::artifacts::Supplied;
use super::programs::ProgramFacts;
use super::{seal, sizes};
use crate::image::Role;
use crate::printable;
use crate::regular_file;
use crate::secure_boot::SignedBy;
use crate::units::{Arch, Bytes, Lba, RootHash, SectorSize, Sha256, Timestamp};

/// The format this program writes.
pub const FORMAT: u32 = 2;
/// Its file name.
pub const FILE: &str = "manifest.json";
/// The disk image's.
pub const DISK: &str = "disk.raw";
/// Bytes of a file that are hashed at a time.
const BUFFER: usize = 256 << 10;
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
        source: io::Error,
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
    /// It has text that would show as something else than it is.
    #[error("manifest `{}` has characters in `{place}` that are not printable", path.display())]
    Unprintable {
        /// The file.
        path: PathBuf,
        /// Where in it, `packages[3].name`.
        place: String,
    },
    /// It says that something is larger than what it is in.
    #[error("manifest `{}` has {found} bytes in `{place}`, which has room for {limit}", path.display())]
    Room {
        /// The file.
        path: PathBuf,
        /// Where in it, `partitions[2].used`.
        place: String,
        /// What stands there.
        found: u64,
        /// The most that can.
        limit: u64,
    },
    /// It names a file that would lie elsewhere.
    #[error("manifest `{}` names the file `{}`, which is no name in a folder", path.display(), printable::text(name))]
    Name {
        /// The manifest.
        path: PathBuf,
        /// What it names.
        name: String,
    },
}

impl Manifest {
    /// The partition of `disk.raw` that is in use as `role`.
    pub fn partition(&self, role: Role) -> Option<&Partition> {
        self.partitions.iter().find(|partition| partition.label == role.name())
    }

    /// Bytes of all files of the folder but the disk, which is mostly a hole, as far as they can be counted.
    pub fn total(&self) -> Bytes {
        sizes::sum(self.files.values().map(|facts| facts.size))
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
        if let Some(place) = printable::unprintable_in(&manifest).map_err(malformed)? {
            return Err(ManifestError::Unprintable { path, place });
        }
        match manifest.overfull() {
            Some((place, found, limit)) => Err(ManifestError::Room { path, place, found, limit }),
            None => Ok(manifest),
        }
    }

    /// What is said to be larger than what it is in: where, and both sizes.
    fn overfull(&self) -> Option<(String, u64, u64)> {
        let used = |(index, partition): (usize, &Partition)| {
            (format!("partitions[{index}].used"), partition.used.0, partition.size.0)
        };
        let uki = self.files.get(seal::UKI).map(|uki| {
            let parts = sizes::sum([self.initrd_size, self.microcode_size].into_iter());
            ("initrd_size and microcode_size".to_owned(), parts.0, uki.size.0)
        });
        let mut all = self.partitions.iter().enumerate().map(used).chain(uki);
        all.find(|(_, found, limit)| found > limit)
    }
}

/// Whether a name stays in its folder, and shows as it is.
fn is_file_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && name.chars().all(|letter| letter != '/' && printable::is_printable(letter))
}

/// The manifest.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Format; 2.
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
    /// The disk image, `disk.raw`.
    pub disk: DiskFacts,
    /// The other files of the folder by name.
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

/// The disk image.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskFacts {
    /// Size in bytes.
    pub size: Bytes,
    /// Digest as fs-verity computes it, with SHA-256 and blocks of 4096 bytes: `fsverity digest disk.raw` prints it.
    pub fs_verity: Sha256,
}

/// Another file of the folder.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileFacts {
    /// Size in bytes.
    pub size: Bytes,
    /// Digest.
    pub sha256: Sha256,
}

impl FileFacts {
    /// Reads `file` to its end.
    pub fn read(file: impl Read) -> io::Result<Self> {
        let mut hasher = sha2::Sha256::new();
        let size = Bytes(io::copy(&mut BufReader::with_capacity(BUFFER, file), &mut hasher)?);
        Ok(Self { size, sha256: Sha256(hasher.finalize().into()) })
    }
}

/// A partition of `disk.raw`.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
#[serde(deny_unknown_fields)]
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
#[serde(deny_unknown_fields)]
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::bundle::sbom;
    use crate::diagnostic::chain;

    /// What loading says of a manifest with this in place of what stands at `pointer` (RFC 6901).
    fn fault(pointer: &str, put: Value) -> String {
        let folder = tempfile::tempdir().unwrap();
        let partition = Partition {
            label: "root-a".to_owned(),
            kind: Uuid::nil(),
            partuuid: Uuid::nil(),
            first: Lba(2048),
            size: Bytes(4096),
            used: Bytes(4096),
        };
        let facts = FileFacts { size: Bytes(100), sha256: Sha256::of(b"") };
        let whole = Manifest {
            partitions: vec![partition],
            files: [(seal::UKI.to_owned(), facts)].into(),
            ..sbom::tests::manifest()
        };
        let load = |document: &Value| {
            std::fs::write(folder.path().join(FILE), serde_json::to_vec_pretty(document).unwrap()).unwrap();
            Manifest::load(folder.path())
        };
        let mut document = serde_json::to_value(&whole).unwrap();
        assert_eq!(load(&document).unwrap(), whole);
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        document.pointer_mut(parent).unwrap()[name] = put;
        chain(&load(&document).unwrap_err()).replace(folder.path().to_str().unwrap(), "out")
    }

    #[test]
    fn refuses_what_it_does_not_know_and_says_where() {
        for pointer in [
            "/uesd",
            "/disk/uesd",
            "/partitions/0/uesd",
            "/packages/1/uesd",
            "/files/os.efi/uesd",
            "/programs/stage0/uesd",
        ] {
            let said = fault(pointer, json!(1));
            let start = "manifest `out/manifest.json` is malformed: unknown field `uesd`, expected ";
            assert!(said.starts_with(start) && said.contains(" at line "), "{pointer}: {said}");
        }
    }

    #[test]
    fn refuses_a_manifest_of_another_format_and_one_without_a_disk() {
        let said = fault("/format", json!(1));
        assert_eq!(said, "manifest `out/manifest.json` has format 1, this program reads 2");
        let said = fault("/disk", Value::Null);
        assert!(said.starts_with("manifest `out/manifest.json` is malformed: invalid type: null"), "{said}");
    }

    #[test]
    fn refuses_what_is_larger_than_what_it_is_in() {
        assert_eq!(
            fault("/partitions/0/used", json!(u64::MAX)),
            "manifest `out/manifest.json` has 18446744073709551615 bytes in `partitions[0].used`, \
             which has room for 4096"
        );
        assert_eq!(
            fault("/initrd_size", json!(101)),
            "manifest `out/manifest.json` has 101 bytes in `initrd_size and microcode_size`, \
             which has room for 100"
        );
    }

    #[test]
    fn refuses_names_that_would_show_as_something_else() {
        for (pointer, place, name) in [
            ("/packages/0/name", "packages[0].name", "\x1b[2J"),
            ("/partitions/0/label", "partitions[0].label", "a\nerror: forged"),
            ("/kernel", "kernel", "6.12\u{202e}"),
        ] {
            let expected =
                format!("manifest `out/manifest.json` has characters in `{place}` that are not printable");
            assert_eq!(fault(pointer, json!(name)), expected);
        }
        let said = fault("/files/os\u{9b}.efi", json!({ "size": 1, "sha256": Sha256::of(b"") }));
        assert_eq!(
            said,
            "manifest `out/manifest.json` names the file `os\\u{9b}.efi`, which is no name in a folder"
        );
    }
}
