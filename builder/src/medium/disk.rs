//! Lays an OS bundle on a disk image (design §5).
//!
//! The image is a sparse file: partitions at multiples of 1 MiB in the order of the image file, the
//! table's backup in the last MiB. The state partition is absent; the node makes it and moves the
//! backup to the end of the real disk.

use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use uuid::Uuid;

use crate::format::fat::{self, FatError};
use crate::format::gpt::{self, GptError};
use crate::image::{Image, Partition, Role};
use crate::medium::bios::{BiosBoot, BiosError};
use crate::medium::partition_type;
use crate::units::{self, Arch, Bytes, Lba, RootHash, SectorSize, Timestamp};

/// What comes on a disk.
#[derive(Clone, Copy, Debug)]
pub struct DiskContents<'a> {
    /// Architecture of the bundle; it decides the partition types.
    pub arch: Arch,
    /// Root hash of the bundle; every GUID on the disk is derived from it.
    pub root_hash: RootHash,
    /// Time of everything on the ESP.
    pub time: Timestamp,
    /// The root file system, `root.erofs`.
    pub root: &'a Path,
    /// Its hash tree, `root.verity`.
    pub verity: &'a Path,
    /// Files of the ESP, paths with `/` and contents: `EFI/BOOT/BOOTX64.EFI`.
    pub esp: &'a [(String, bytes::Bytes)],
    /// Boot programs of BIOS machines, for the BIOS boot partition and the disk's first sector.
    pub bios: Option<&'a BiosBoot>,
}

/// What a written disk image is like, for the manifest.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct DiskLayout {
    /// Length of the image.
    pub size: Bytes,
    /// Sector size of the disk.
    pub sector_size: SectorSize,
    /// GUID of the disk.
    #[serde(serialize_with = "uuid_text")]
    pub guid: Uuid,
    /// Partitions in disk order.
    pub partitions: Vec<PlacedPartition>,
}

/// One partition of a written disk image.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PlacedPartition {
    /// What it holds.
    pub role: Role,
    /// Name in the table.
    pub label: String,
    /// Partition type GUID.
    #[serde(rename = "type", serialize_with = "uuid_text")]
    pub partition_type: Uuid,
    /// PARTUUID.
    #[serde(serialize_with = "uuid_text")]
    pub partuuid: Uuid,
    /// First sector.
    pub first: Lba,
    /// Size in bytes.
    pub size: Bytes,
}

/// serde's `serialize_with` hands out references.
fn uuid_text<S: Serializer>(uuid: &Uuid, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(uuid)
}

/// Why a disk image cannot be written.
#[derive(Debug, Error)]
pub enum DiskError {
    /// Partitions begin and end at multiples of 1 MiB.
    #[error("partition `{label}` has {} bytes, which is no positive multiple of {ALIGNMENT}", size.0)]
    Alignment {
        /// Label of the partition.
        label: &'static str,
        /// Its size.
        size: Bytes,
    },
    /// A role occurs twice.
    #[error("the image has more than one partition `{label}`")]
    Duplicate {
        /// Label of the partition.
        label: &'static str,
    },
    /// All partitions together pass 2^64 bytes.
    #[error("the partitions together are larger than a disk can be")]
    Size,
    /// The bundle leaves its successors too little room to grow, for the geometry of a disk is for life.
    #[error("{label} is {size}, which is more than 80 % of its slot of {slot}")]
    SlotFull {
        /// Label of the partition.
        label: &'static str,
        /// Size of what should lie in it.
        size: Bytes,
        /// Size of the partition.
        slot: Bytes,
    },
    /// The ESP cannot be made.
    #[error("making the ESP")]
    Esp(#[from] FatError),
    /// BIOS machines could not boot.
    #[error("making the disk bootable by BIOS machines")]
    Bios(#[from] BiosError),
    /// The table cannot be made.
    #[error("making the partition table")]
    Table(#[from] GptError),
    /// A part of the bundle cannot be read.
    #[error("reading `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A part of the bundle changed its length under our hands.
    #[error("`{}` had {expected} when the disk was laid out, then {found}", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// Its size before.
        expected: Bytes,
        /// Bytes copied.
        found: Bytes,
    },
    /// The disk image cannot be written; the half-made file is gone.
    #[error("writing `{}`", path.display())]
    Write {
        /// The disk image.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Where partitions begin, and the room for the table at either end.
const ALIGNMENT: Bytes = Bytes::MIB;
/// Label of the partitions of a slot that nothing was staged to (sysupdate.d(5)).
pub(super) const EMPTY: &str = "_empty";

/// Writes a disk image to `out`, which appears only when it is complete.
pub fn write(contents: &DiskContents<'_>, image: &Image, out: &Path) -> Result<DiskLayout, DiskError> {
    let layout = lay_out(contents, image)?;
    check_slots(contents, image)?;
    let failed = |source| DiskError::Write { path: out.to_owned(), source };
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // The file is removed when it is dropped unnamed. It is not synced: a build can be repeated.
    let mut partial = tempfile::Builder::new()
        .prefix(".disk-")
        .permissions(fs::Permissions::from_mode(0o666))
        .tempfile_in(folder)
        .map_err(failed)?;
    let file = partial.as_file_mut();
    file.set_len(layout.size.0).map_err(failed)?;
    for (partition, placed) in image.partitions.iter().zip(&layout.partitions) {
        let offset = placed.first.0.saturating_mul(u64::from(image.sector_size.bytes()));
        match partition.role {
            Role::Esp => write_esp(contents, image, partition.size, offset, file, out)?,
            Role::RootA => copy(contents.root, offset, file, out)?,
            Role::RootAVerity => copy(contents.verity, offset, file, out)?,
            Role::BiosBoot | Role::RootB | Role::RootBVerity => {}
        }
    }
    gpt::write(file, image.sector_size, layout.guid, &entries(&layout))?;
    let bios_boot = image.partitions.iter().zip(&layout.partitions);
    let bios_boot = bios_boot.filter(|(partition, _)| partition.role == Role::BiosBoot);
    for ((_, placed), bios) in bios_boot.zip(contents.bios) {
        bios.write(placed.first, placed.size, file)?;
    }
    partial.persist(out).map_err(|fault| failed(fault.error))?;
    Ok(layout)
}

/// Decides place, type and GUID of every partition.
fn lay_out(contents: &DiskContents<'_>, image: &Image) -> Result<DiskLayout, DiskError> {
    let mut partitions: Vec<PlacedPartition> = Vec::new();
    let mut roles = Vec::new();
    let mut end = ALIGNMENT.0;
    for Partition { role, size } in &image.partitions {
        let name = role.name();
        if roles.contains(role) {
            return Err(DiskError::Duplicate { label: name });
        }
        roles.push(*role);
        if size.0 == 0 || !size.0.is_multiple_of(ALIGNMENT.0) {
            return Err(DiskError::Alignment { label: name, size: *size });
        }
        partitions.push(PlacedPartition {
            role: *role,
            label: label(*role).to_owned(),
            partition_type: partition_type::of(*role, contents.arch),
            partuuid: partuuid(*role, contents.root_hash),
            first: Lba(end / u64::from(image.sector_size.bytes())),
            size: *size,
        });
        end = end.checked_add(size.0).ok_or(DiskError::Size)?;
    }
    let size = Bytes(end.checked_add(ALIGNMENT.0).ok_or(DiskError::Size)?);
    let guid = derived(contents.root_hash, "disk");
    Ok(DiskLayout { size, sector_size: image.sector_size, guid, partitions })
}

/// Refuses a bundle that fills its slot.
fn check_slots(contents: &DiskContents<'_>, image: &Image) -> Result<(), DiskError> {
    for Partition { role, size: slot } in &image.partitions {
        let path = match role {
            Role::RootA => contents.root,
            Role::RootAVerity => contents.verity,
            _ => continue,
        };
        let size = length(path)?;
        // 80 % is 4/5, reckoned without overflow.
        if size.0 > slot.0 / 5 * 4 {
            return Err(DiskError::SlotFull { label: role.name(), size, slot: *slot });
        }
    }
    Ok(())
}

fn length(path: &Path) -> Result<Bytes, DiskError> {
    let metadata = fs::metadata(path).map_err(|source| DiskError::Read { path: path.to_owned(), source })?;
    Ok(Bytes(metadata.len()))
}

/// Copies a file to `offset` of the image; the kernel shares or moves the blocks where it can.
fn copy(from: &Path, offset: u64, file: &mut File, out: &Path) -> Result<(), DiskError> {
    let unreadable = |source| DiskError::Read { path: from.to_owned(), source };
    let failed = |source| DiskError::Write { path: out.to_owned(), source };
    let mut source = File::open(from).map_err(unreadable)?;
    let expected = length(from)?;
    file.seek(SeekFrom::Start(offset)).map_err(failed)?;
    // One byte more shows that the file grew; std uses copy_file_range(2) between files.
    let limit = expected.0.saturating_add(1);
    let copied = io::copy(&mut io::Read::take(&mut source, limit), file).map_err(failed)?;
    if copied != expected.0 {
        return Err(DiskError::Changed { path: from.to_owned(), expected, found: Bytes(copied) });
    }
    Ok(())
}

fn write_esp(
    contents: &DiskContents<'_>,
    image: &Image,
    size: Bytes,
    offset: u64,
    file: &mut File,
    out: &Path,
) -> Result<(), DiskError> {
    let volume_id = u32::try_from(derived(contents.root_hash, "esp volume").as_u64_pair().0 >> 32);
    let format = fat::Format {
        size,
        sector_size: image.sector_size,
        label: "ESP",
        volume_id: volume_id.unwrap_or_default(),
        time: contents.time,
    };
    let volume = fat::build(&format, contents.esp)?;
    for (place, block) in volume.blocks() {
        file.seek(SeekFrom::Start(offset.saturating_add(place)))
            .and_then(|_| file.write_all(block))
            .map_err(|source| DiskError::Write { path: out.to_owned(), source })?;
    }
    Ok(())
}

fn entries(layout: &DiskLayout) -> Vec<gpt::Entry> {
    let sector = u64::from(layout.sector_size.bytes());
    let entry = |placed: &PlacedPartition| gpt::Entry {
        label: placed.label.clone(),
        partition_type: placed.partition_type,
        partuuid: placed.partuuid,
        first: placed.first,
        last: Lba(placed.first.0.saturating_add(placed.size.0 / sector).saturating_sub(1)),
    };
    layout.partitions.iter().map(entry).collect()
}

const fn label(role: Role) -> &'static str {
    match role {
        Role::RootB | Role::RootBVerity => EMPTY,
        used => used.name(),
    }
}

/// Root and verity are found by the root hash; the others have GUIDs of their own.
fn partuuid(role: Role, root_hash: RootHash) -> Uuid {
    match role {
        Role::RootA => root_hash.root_partuuid(),
        Role::RootAVerity => root_hash.verity_partuuid(),
        other => derived(root_hash, other.name()),
    }
}

/// A GUID of our own making (RFC 9562, version 8) from the root hash and a name.
fn derived(root_hash: RootHash, name: &str) -> Uuid {
    let digest = Sha256::new().chain_update(root_hash.0.0).chain_update(name).finalize();
    units::Sha256(digest.into()).uuid()
}

#[cfg(test)]
mod tests;
