//! GUID partition tables through the crate `gpt`, the same on every run: every GUID is given.
//!
//! The crate draws a random GUID only where none is given. It checks nothing about the entries it is
//! handed, so overlaps and bounds are checked here (UEFI 2.10, 5.3).

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::{self, Read, Seek, Write};

use gpt::disk::LogicalBlockSize;
use gpt::mbr::ProtectiveMBR;
use gpt::partition_types::{OperatingSystem, Type};
use thiserror::Error;
use uuid::Uuid;

use crate::units::{Lba, SectorSize};

/// One entry of the table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// Name, at most 36 UTF-16 units.
    pub label: String,
    /// Partition type GUID.
    pub partition_type: Uuid,
    /// PARTUUID.
    pub partuuid: Uuid,
    /// First sector.
    pub first: Lba,
    /// Last sector, itself part of the partition.
    pub last: Lba,
}

/// Why a table cannot be written.
#[derive(Debug, Error)]
pub enum GptError {
    /// The name does not fit its field.
    #[error("partition label `{label}` has {length} UTF-16 units, at most 36 fit")]
    Label {
        /// The label as given.
        label: String,
        /// Its length.
        length: usize,
    },
    /// More entries than the table has.
    #[error("{count} partitions, the table has room for {ENTRIES}")]
    Count {
        /// Number of entries given.
        count: usize,
    },
    /// A partition ends before it begins or lies on the table itself.
    #[error("partition `{label}` has sectors {} to {}, usable are {} to {}", first.0, last.0, usable.0.0, usable.1.0)]
    Outside {
        /// The label as given.
        label: String,
        /// First sector.
        first: Lba,
        /// Last sector.
        last: Lba,
        /// First and last sector that partitions may use.
        usable: (Lba, Lba),
    },
    /// Two partitions share sectors.
    #[error("partitions `{first}` and `{second}` overlap")]
    Overlap {
        /// Label of the one that begins earlier.
        first: String,
        /// Label of the other.
        second: String,
    },
    /// The length of the disk cannot be found.
    #[error("measuring the disk")]
    Measure {
        /// What the system said.
        source: io::Error,
    },
    /// The protective MBR cannot be written.
    #[error("writing the protective MBR")]
    ProtectiveMbr {
        /// What the crate or the system said.
        source: gpt::mbr::MBRError,
    },
    /// The table or its backup cannot be written.
    #[error("writing the partition table")]
    Table {
        /// What the crate or the system said.
        source: gpt::GptError,
    },
}

/// Why a table cannot be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// No header where one should be.
    #[error("there is no GUID partition table, for neither 512 nor 4096 bytes per sector")]
    Absent,
    /// The system refused.
    #[error("reading the disk")]
    Read {
        /// What the system said.
        source: io::Error,
    },
    /// The table or its backup is damaged.
    #[error("reading the partition table and its backup")]
    Table {
        /// What the crate says of it.
        source: gpt::GptError,
    },
}

/// How a header begins (UEFI 2.10, table 5.5).
const SIGNATURE: &[u8; 8] = b"EFI PART";

/// Entries of a table, the least that UEFI allows.
const ENTRIES: usize = 128;
/// Bytes of all entries.
const ENTRIES_SIZE: u64 = 128 * 128;
/// Sectors before the first usable one besides the entries: MBR and header.
const MBR_AND_HEADER: u64 = 2;

/// Writes protective MBR, table and backup to `disk`, whose length is a multiple of the sector size.
/// Entries are numbered in the order given.
pub fn write<D>(
    disk: &mut D,
    sector_size: SectorSize,
    disk_guid: Uuid,
    entries: &[Entry],
) -> Result<(), GptError>
where
    D: Read + Write + Seek + Debug,
{
    let failed = |source| GptError::Table { source };
    let bytes = disk.seek(io::SeekFrom::End(0)).map_err(|source| GptError::Measure { source })?;
    let sectors = bytes / u64::from(sector_size.bytes());
    check(entries, sectors, sector_size)?;

    // UEFI 2.10, table 5.4: all but the MBR itself, or the largest number if that is more.
    let protected = u32::try_from(sectors.saturating_sub(1)).unwrap_or(u32::MAX);
    ProtectiveMBR::with_lb_size(protected)
        .overwrite_lba0(disk)
        .map_err(|source| GptError::ProtectiveMbr { source })?;

    let mut table = gpt::GptConfig::new()
        .writable(true)
        .logical_block_size(block_size(sector_size))
        .create_from_device(disk, Some(disk_guid))
        .map_err(failed)?;
    let partitions: BTreeMap<u32, _> = (1..).zip(entries.iter().map(partition)).collect();
    table.update_partitions(partitions).map_err(failed)?;
    table.write().map_err(failed)?;
    Ok(())
}

/// A table as it lies on a disk.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Table {
    /// Sector size that the table was written for.
    pub sector_size: SectorSize,
    /// Entries in use, by number.
    pub entries: Vec<Entry>,
}

/// Reads the table of `disk`; both copies must be whole.
pub fn read<D>(disk: &mut D) -> Result<Table, ReadError>
where
    D: Read + Write + Seek + Debug,
{
    let sector_size = sector_size(disk).map_err(|source| ReadError::Read { source })?;
    let sector_size = sector_size.ok_or(ReadError::Absent)?;
    let table = gpt::GptConfig::new()
        .writable(false)
        .only_valid_headers(true)
        .logical_block_size(block_size(sector_size))
        .open_from_device(disk)
        .map_err(|source| ReadError::Table { source })?;
    let entry = |partition: &gpt::partition::Partition| Entry {
        label: partition.name.clone(),
        partition_type: partition.part_type_guid.guid,
        partuuid: partition.part_guid,
        first: Lba(partition.first_lba),
        last: Lba(partition.last_lba),
    };
    Ok(Table { sector_size, entries: table.partitions().values().map(entry).collect() })
}

/// The sector size by which the second sector is a table's header.
fn sector_size(disk: &mut (impl Read + Seek)) -> io::Result<Option<SectorSize>> {
    for size in [SectorSize::B512, SectorSize::B4096] {
        let mut signature = [0; SIGNATURE.len()];
        disk.seek(io::SeekFrom::Start(u64::from(size.bytes())))?;
        match disk.read_exact(&mut signature) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other?,
        }
        if signature == *SIGNATURE {
            return Ok(Some(size));
        }
    }
    Ok(None)
}

const fn block_size(sector_size: SectorSize) -> LogicalBlockSize {
    match sector_size {
        SectorSize::B512 => LogicalBlockSize::Lb512,
        SectorSize::B4096 => LogicalBlockSize::Lb4096,
    }
}

fn partition(entry: &Entry) -> gpt::partition::Partition {
    gpt::partition::Partition {
        part_type_guid: Type { guid: entry.partition_type, os: OperatingSystem::None },
        part_guid: entry.partuuid,
        first_lba: entry.first.0,
        last_lba: entry.last.0,
        flags: 0,
        name: entry.label.clone(),
    }
}

fn check(entries: &[Entry], sectors: u64, sector_size: SectorSize) -> Result<(), GptError> {
    if entries.len() > ENTRIES {
        return Err(GptError::Count { count: entries.len() });
    }
    let table = ENTRIES_SIZE / u64::from(sector_size.bytes());
    let usable = (
        Lba(MBR_AND_HEADER.saturating_add(table)),
        Lba(sectors.saturating_sub(table).saturating_sub(MBR_AND_HEADER)),
    );
    for Entry { label, first, last, .. } in entries {
        let length = label.encode_utf16().count();
        if length > 36 {
            return Err(GptError::Label { label: label.clone(), length });
        }
        if first > last || *first < usable.0 || *last > usable.1 {
            return Err(GptError::Outside { label: label.clone(), first: *first, last: *last, usable });
        }
    }
    let mut sorted: Vec<&Entry> = entries.iter().collect();
    sorted.sort_by_key(|entry| entry.first);
    for pair in sorted.windows(2) {
        if let [first, second] = pair
            && second.first <= first.last
        {
            return Err(GptError::Overlap { first: first.label.clone(), second: second.label.clone() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
