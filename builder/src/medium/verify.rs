//! Is a build folder what its manifest says, and who says so?
//!
//! Three things are told apart: *damaged*, where a file or partition is not what the manifest says; *unsigned or
//! signed by somebody else*; and *other programs*, where all is well but the image was made with other node programs
//! than the ones here, so that a build from the same lock would not be the same.

use std::fmt;
use std::fs::File;
use std::io;

use serde::Serialize;
use thiserror::Error;

use super::folder::{Folder, FolderError, start};
use crate::bundle::manifest::{DISK, FileFacts, Partition};
use crate::bundle::programs::{ProgramFacts, Programs};
use crate::bundle::signature::{self, PublicKey, SignatureError};
use crate::bundle::{provenance, sbom, seal, sparse};
use crate::format::gpt::Entry;
use crate::format::verity;
use crate::image::Role;
use crate::units::{Bytes, RootHash, SectorSize, Sha256};

/// The program in the root that the manifest knows, by its path and its name there.
const PROGRAM: (&str, &str) = ("usr/bin/firstboot", "firstboot");

/// What every build has; a manifest that leaves one out would vouch for less than it seems to.
const FILES: [&str; 6] = [seal::UKI, seal::ROOT, seal::VERITY, sbom::SPDX, sbom::CYCLONEDX, provenance::FILE];

/// A way in which a folder is not what it should be.
#[derive(Debug, Error)]
pub enum Fault {
    /// The signature does not count, or is absent though one was asked for.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// A file of the manifest is not there.
    #[error("`{name}` is missing")]
    Missing {
        /// Its name.
        name: String,
    },
    /// The manifest says nothing of a file that every build has.
    #[error("the manifest does not name `{name}`")]
    Unnamed {
        /// Its name.
        name: &'static str,
    },
    /// A file cannot be read, or is not what its name says.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A file has another length.
    #[error("`{name}` has {} bytes, the manifest says {}", found.0, expected.0)]
    Size {
        /// Its name.
        name: String,
        /// By the manifest.
        expected: Bytes,
        /// On disk.
        found: Bytes,
    },
    /// A file has other content.
    #[error("`{name}` has {kind} {found}, the manifest says {expected}")]
    Digest {
        /// Its name.
        name: String,
        /// What its digest is called: `sha256`, `fs-verity digest`.
        kind: &'static str,
        /// By the manifest.
        expected: Sha256,
        /// On disk.
        found: Sha256,
    },
    /// The root hash does not vouch for the root.
    #[error("the root hash does not vouch for `{}`", seal::ROOT)]
    Verity {
        /// The first block that is not what it should be.
        #[from]
        source: verity::VerifyError,
    },
    /// What boots would trust another root.
    #[error("the command line does not have `roothash={root_hash}`")]
    CommandLine {
        /// By the manifest.
        root_hash: RootHash,
    },
    /// The disk's table is for other sectors.
    #[error("the disk has sectors of {} bytes, the manifest says {}", found.bytes(), expected.bytes())]
    SectorSize {
        /// By the manifest.
        expected: SectorSize,
        /// On the disk.
        found: SectorSize,
    },
    /// The disk has other partitions.
    #[error("the disk's partitions are {found}, the manifest says {expected}")]
    Labels {
        /// By the manifest.
        expected: String,
        /// On the disk.
        found: String,
    },
    /// A partition is described otherwise.
    #[error("{field} of partition `{label}` is {found}, the manifest says {expected}")]
    Partition {
        /// Its label.
        label: String,
        /// What differs.
        field: &'static str,
        /// By the manifest.
        expected: String,
        /// On the disk.
        found: String,
    },
    /// A partition holds something else than the file that was laid into it.
    #[error("partition `{label}` does not hold `{name}`")]
    Content {
        /// Its label.
        label: String,
        /// The file.
        name: &'static str,
    },
    /// The root has another program than the manifest says.
    #[error("`{path}` in the root has sha256 {}, the manifest says {}", shown(*found), shown(*expected))]
    Program {
        /// Its path.
        path: &'static str,
        /// By the manifest.
        expected: Option<Sha256>,
        /// In the root.
        found: Option<Sha256>,
    },
}

fn shown(digest: Option<Sha256>) -> String {
    digest.map_or_else(|| "none".to_owned(), |digest| digest.to_string())
}

/// How the node programs of an image compare to the ones that this `imgbuild` would build with.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Comparison {
    /// They are the same.
    Same,
    /// These differ; a build here would give another image.
    Other(Vec<OtherProgram>),
    /// There are none here.
    Unknown,
}

/// A program that is not the one here.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct OtherProgram {
    /// Its name.
    pub name: String,
    /// What the manifest says of it.
    pub image: ProgramFacts,
    /// The one here.
    pub here: ProgramFacts,
}

/// With both compilers, since they are the likely reason.
impl fmt::Display for OtherProgram {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, image, here } = self;
        let by = |facts: &ProgramFacts| format!("{} by {}", facts.sha256, facts.compilers.join(", "));
        write!(formatter, "`{name}` in the image is {}, the one here {}", by(image), by(here))
    }
}

/// What was found.
#[derive(Debug)]
pub struct Verdict {
    /// Everything that is not as it should be.
    pub faults: Vec<Fault>,
    /// Who signed, where the signature counts.
    pub signer: Option<PublicKey>,
    /// Blocks of the root that the root hash vouches for.
    pub blocks: u64,
    /// How the node programs compare.
    pub programs: Comparison,
}

/// How far a folder is what its manifest says, whoever says so.
#[derive(Debug)]
pub struct Agreement {
    /// Everything that is not as the manifest says.
    pub faults: Vec<Fault>,
    /// Blocks of the root that the root hash vouches for.
    pub blocks: u64,
}

/// Checks everything, and goes on where something is wrong. `advance` is told the bytes that were read.
pub fn verify(folder: &Folder, key: Option<&PublicKey>, advance: impl Fn(u64)) -> Verdict {
    let mut faults = Vec::new();
    let signer = signature::check(&folder.path, key).unwrap_or_else(|fault| {
        faults.push(fault.into());
        None
    });
    let agreement = compare(folder, advance);
    faults.extend(agreement.faults);
    Verdict { faults, signer, blocks: agreement.blocks, programs: compare_programs(folder) }
}

/// Compares a folder with its manifest, and goes on where something is wrong. `advance` is told the bytes that were
/// read.
pub fn compare(folder: &Folder, advance: impl Fn(u64)) -> Agreement {
    let mut faults = Vec::new();
    let files = &folder.manifest.files;
    let unnamed = FILES.into_iter().filter(|name| !files.contains_key(*name));
    faults.extend(unnamed.map(|name| Fault::Unnamed { name }));
    faults.extend(check_disk(folder).err());
    for (name, expected) in files {
        faults.extend(check_file(folder, name, *expected).err());
        advance(expected.size.0);
    }
    let blocks = check_root(folder).unwrap_or_else(|fault| {
        faults.push(fault);
        0
    });
    let root_hash = folder.manifest.root_hash;
    let argument = format!("roothash={root_hash}");
    if !folder.manifest.command_line.split(' ').any(|word| word == argument) {
        faults.push(Fault::CommandLine { root_hash });
    }
    match check_table(folder) {
        Ok((sector_size, differences)) => {
            faults.extend(differences);
            for (role, name) in [(Role::RootA, seal::ROOT), (Role::RootAVerity, seal::VERITY)] {
                faults.extend(check_content(folder, sector_size, role, name).err());
            }
        }
        Err(fault) => faults.push(fault),
    }
    faults.extend(check_program(folder).err());
    Agreement { faults: without_repetition(faults), blocks }
}

/// A missing file is said once, not again by every check that wants to read it.
fn without_repetition(faults: Vec<Fault>) -> Vec<Fault> {
    let missing: Vec<String> = faults
        .iter()
        .filter_map(|fault| match fault {
            Fault::Missing { name } => Some(name.clone()),
            _ => None,
        })
        .collect();
    let is_news = |fault: &Fault| match fault {
        Fault::Folder(FolderError::Read { path, .. }) => {
            !path.file_name().is_some_and(|name| missing.iter().any(|missing| name == missing.as_str()))
        }
        _ => true,
    };
    faults.into_iter().filter(is_news).collect()
}

fn check_disk(folder: &Folder) -> Result<(), Fault> {
    let expected = folder.manifest.disk;
    let disk = present(folder, DISK, expected.size)?;
    let found = sparse::facts(&disk).map_err(|source| unreadable(folder, DISK, source))?;
    check_digest(DISK, "fs-verity digest", expected.fs_verity, found.fs_verity)
}

fn check_file(folder: &Folder, name: &str, expected: FileFacts) -> Result<(), Fault> {
    let file = present(folder, name, expected.size)?;
    let found = FileFacts::read(file).map_err(|source| unreadable(folder, name, source))?;
    check_digest(name, "sha256", expected.sha256, found.sha256)
}

fn check_digest(name: &str, kind: &'static str, expected: Sha256, found: Sha256) -> Result<(), Fault> {
    if found == expected {
        return Ok(());
    }
    Err(Fault::Digest { name: name.to_owned(), kind, expected, found })
}

/// A file that should be there, with this size: another one need not be read.
fn present(folder: &Folder, name: &str, expected: Bytes) -> Result<File, Fault> {
    let file = match folder.file(name) {
        Err(FolderError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Err(Fault::Missing { name: name.to_owned() });
        }
        other => other?,
    };
    let found = Bytes(file.metadata().map_err(|source| unreadable(folder, name, source))?.len());
    if found == expected { Ok(file) } else { Err(Fault::Size { name: name.to_owned(), expected, found }) }
}

fn unreadable(folder: &Folder, name: &str, source: io::Error) -> Fault {
    FolderError::Read { path: folder.path.join(name), source }.into()
}

fn check_root(folder: &Folder) -> Result<u64, Fault> {
    let tree = folder.content(seal::VERITY)?;
    Ok(verity::verify(folder.file(seal::ROOT)?, &tree, folder.manifest.root_hash)?)
}

/// The disk's sector size, and how its table differs from the manifest.
fn check_table(folder: &Folder) -> Result<(SectorSize, Vec<Fault>), Fault> {
    let table = folder.table()?;
    let (expected, found) = (folder.manifest.sector_size, table.sector_size);
    if expected != found {
        // All other numbers are told in sectors.
        return Ok((found, vec![Fault::SectorSize { expected, found }]));
    }
    let said = &folder.manifest.partitions;
    let labels =
        |labels: Vec<&str>| labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
    let expected = labels(said.iter().map(|partition| partition.label.as_str()).collect());
    let found = labels(table.entries.iter().map(|entry| entry.label.as_str()).collect());
    let faults = if expected == found {
        said.iter()
            .zip(&table.entries)
            .flat_map(|(said, entry)| differences(said, entry, table.sector_size))
            .collect()
    } else {
        vec![Fault::Labels { expected, found }]
    };
    Ok((table.sector_size, faults))
}

fn differences(said: &Partition, entry: &Entry, sector_size: SectorSize) -> Vec<Fault> {
    let sectors = entry.last.0.saturating_sub(entry.first.0).saturating_add(1);
    let size = sectors.saturating_mul(u64::from(sector_size.bytes()));
    [
        ("the type", said.kind.to_string(), entry.partition_type.to_string()),
        ("the PARTUUID", said.partuuid.to_string(), entry.partuuid.to_string()),
        ("the first sector", said.first.0.to_string(), entry.first.0.to_string()),
        ("the size", said.size.0.to_string(), size.to_string()),
    ]
    .into_iter()
    .filter(|(_, expected, found)| expected != found)
    .map(|(field, expected, found)| Fault::Partition { label: said.label.clone(), field, expected, found })
    .collect()
}

/// A partition begins with the file that was laid into it, and has zeros behind.
fn check_content(
    folder: &Folder,
    sector_size: SectorSize,
    role: Role,
    name: &'static str,
) -> Result<(), Fault> {
    let Some(partition) = folder.manifest.partition(role) else { return Ok(()) };
    let (disk, file) = (folder.file(DISK)?, folder.file(name)?);
    let holds = holds(&disk, start(partition, sector_size), partition.size, &file);
    if !holds.map_err(|source| unreadable(folder, DISK, source))? {
        return Err(Fault::Content { label: partition.label.clone(), name });
    }
    let length = file.metadata().map_err(|source| unreadable(folder, name, source))?.len();
    if length == partition.used.0 {
        return Ok(());
    }
    let (expected, found) = (partition.used.0.to_string(), length.to_string());
    Err(Fault::Partition { label: partition.label.clone(), field: "the size in use", expected, found })
}

fn holds(disk: &File, start: u64, size: Bytes, file: &File) -> io::Result<bool> {
    let length = file.metadata()?.len();
    if length > size.0 || sparse::first_difference((disk, start), (file, 0), length)?.is_some() {
        return Ok(false);
    }
    sparse::is_zero(disk, start.saturating_add(length)..start.saturating_add(size.0))
}

fn check_program(folder: &Folder) -> Result<(), Fault> {
    let (path, name) = PROGRAM;
    let found = folder.root()?.file(path).map(|content| Sha256::of(content));
    let expected = folder.manifest.programs.get(name).map(|facts| facts.sha256);
    if found == expected { Ok(()) } else { Err(Fault::Program { path, expected, found }) }
}

fn compare_programs(folder: &Folder) -> Comparison {
    let Ok(here) = Programs::find(folder.manifest.arch) else { return Comparison::Unknown };
    let pairs =
        [("firstboot", ProgramFacts::of(&here.firstboot)), ("stage0", ProgramFacts::of(&here.stage0))];
    let other: Vec<OtherProgram> = pairs
        .into_iter()
        .filter_map(|(name, here)| {
            let image = folder.manifest.programs.get(name)?.clone();
            (image != here).then(|| OtherProgram { name: name.to_owned(), image, here })
        })
        .collect();
    if other.is_empty() { Comparison::Same } else { Comparison::Other(other) }
}
