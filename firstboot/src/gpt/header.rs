//! The GPT header: one sector, its checksum, and where the entries lie.

use crc::{CRC_32_ISO_HDLC, Crc};

use super::{Guid, Lba};

/// Bytes of the header that revision 1.0 defines; the rest of the sector is zero.
pub const HEADER_SIZE: usize = 92;
const SIGNATURE: &[u8; 8] = b"EFI PART";
const REVISION: u32 = 0x0001_0000;
/// More than any disk has; keeps a damaged header from asking for gigabytes.
const MOST_ENTRIES: u32 = 1024;

const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// CRC-32 as GPT uses it.
pub(super) fn checksum(bytes: &[u8]) -> u32 {
    CRC.checksum(bytes)
}

/// What is wrong with one copy of the table.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Fault {
    /// There is no table, or its first bytes are gone.
    #[error("no GPT signature")]
    NoSignature,
    /// A format that this program does not know.
    #[error("GPT revision is {found:#x}, supported is {REVISION:#x}")]
    Revision {
        /// From the header.
        found: u32,
    },
    /// The header's length makes no sense.
    #[error("GPT header says it has {found} bytes, the sector has {sector}")]
    HeaderSize {
        /// From the header.
        found: u32,
        /// Of the sector it lies in.
        sector: usize,
    },
    /// The header was damaged or half written.
    #[error("GPT header has checksum {found:#010x}, its bytes give {computed:#010x}")]
    HeaderChecksum {
        /// From the header.
        found: u32,
        /// Of its bytes.
        computed: u32,
    },
    /// The header lies somewhere else than it says.
    #[error("GPT header says it lies at sector {found}, it lies at {expected}")]
    Place {
        /// From the header.
        found: u64,
        /// Where it was read.
        expected: u64,
    },
    /// Entries of a kind that this program does not know.
    #[error("GPT has {count} entries of {size} bytes, supported are up to {MOST_ENTRIES} of 128")]
    EntryShape {
        /// Number of entries.
        count: u32,
        /// Bytes of each.
        size: u32,
    },
    /// The array of entries lies outside of the disk, in the partitions, or not where it is usual.
    #[error("GPT entries lie at sector {found}, expected at {expected}")]
    ArrayPlace {
        /// From the header.
        found: u64,
        /// By the specification.
        expected: u64,
    },
    /// The entries were damaged or half written.
    #[error("GPT entries have checksum {found:#010x}, their bytes give {computed:#010x}")]
    ArrayChecksum {
        /// From the header.
        found: u32,
        /// Of their bytes.
        computed: u32,
    },
    /// The range for partitions is empty or leaves the disk.
    #[error("GPT leaves sectors {first} to {last} for partitions, the disk has {sectors}")]
    UsableRange {
        /// First sector of the range.
        first: u64,
        /// Last sector of the range.
        last: u64,
        /// Number of sectors of the disk.
        sectors: u64,
    },
    /// A partition is empty or leaves the usable range.
    #[error("partition {number} spans sectors {first} to {last}, outside of the usable ones")]
    EntryRange {
        /// Number of the partition.
        number: u32,
        /// First sector.
        first: u64,
        /// Last sector.
        last: u64,
    },
    /// Two partitions share sectors.
    #[error("partitions {one} and {other} overlap")]
    Overlap {
        /// Number of the partition that starts earlier.
        one: u32,
        /// Number of the other.
        other: u32,
    },
}

/// The fields of a header.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Header {
    /// Where this copy lies.
    pub(super) at: Lba,
    /// Where the other copy lies.
    pub(super) other: Lba,
    /// First sector that partitions may use.
    pub(super) first_usable: Lba,
    /// Last sector that partitions may use.
    pub(super) last_usable: Lba,
    /// GUID of the disk.
    pub(super) disk_id: Guid,
    /// First sector of the entries.
    pub(super) array_at: Lba,
    /// Number of entries, used or not.
    pub(super) entry_count: u32,
    /// Checksum of the entries' bytes.
    pub(super) array_checksum: u32,
}

impl Header {
    /// Reads the header from the sector that lies at `at`.
    pub(super) fn parse(sector: &[u8], at: Lba) -> Result<Self, Fault> {
        if sector.len() < HEADER_SIZE || sector[..8] != *SIGNATURE {
            return Err(Fault::NoSignature);
        }
        let revision = u32_at(sector, 8);
        if revision != REVISION {
            return Err(Fault::Revision { found: revision });
        }
        let found_size = u32_at(sector, 12);
        let size = usize::try_from(found_size).unwrap_or(usize::MAX);
        if !(HEADER_SIZE..=sector.len()).contains(&size) {
            return Err(Fault::HeaderSize { found: found_size, sector: sector.len() });
        }
        let found = u32_at(sector, 16);
        let computed = own_checksum(&sector[..size]);
        if found != computed {
            return Err(Fault::HeaderChecksum { found, computed });
        }
        if u64_at(sector, 24) != at.0 {
            return Err(Fault::Place { found: u64_at(sector, 24), expected: at.0 });
        }
        let (count, entry_size) = (u32_at(sector, 80), u32_at(sector, 84));
        if entry_size != 128 || count == 0 || count > MOST_ENTRIES {
            return Err(Fault::EntryShape { count, size: entry_size });
        }
        let mut disk_id = [0; 16];
        disk_id.copy_from_slice(&sector[56..72]);
        Ok(Self {
            at,
            other: Lba(u64_at(sector, 32)),
            first_usable: Lba(u64_at(sector, 40)),
            last_usable: Lba(u64_at(sector, 48)),
            disk_id: Guid::from_disk(disk_id),
            array_at: Lba(u64_at(sector, 72)),
            entry_count: count,
            array_checksum: u32_at(sector, 88),
        })
    }

    /// The header as a sector of `sector` bytes.
    pub(super) fn encode(&self, sector: usize) -> Vec<u8> {
        let mut bytes = vec![0; sector];
        bytes[..8].copy_from_slice(SIGNATURE);
        bytes[8..12].copy_from_slice(&REVISION.to_le_bytes());
        bytes[12..16].copy_from_slice(&92_u32.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.at.0.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.other.0.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.first_usable.0.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.last_usable.0.to_le_bytes());
        bytes[56..72].copy_from_slice(&self.disk_id.to_disk());
        bytes[72..80].copy_from_slice(&self.array_at.0.to_le_bytes());
        bytes[80..84].copy_from_slice(&self.entry_count.to_le_bytes());
        bytes[84..88].copy_from_slice(&128_u32.to_le_bytes());
        bytes[88..92].copy_from_slice(&self.array_checksum.to_le_bytes());
        let own = own_checksum(&bytes[..HEADER_SIZE]);
        bytes[16..20].copy_from_slice(&own.to_le_bytes());
        bytes
    }
}

/// Checksum of a header with its own checksum field taken as zero.
fn own_checksum(header: &[u8]) -> u32 {
    let mut digest = CRC.digest();
    digest.update(&header[..16]);
    digest.update(&[0; 4]);
    digest.update(&header[20..]);
    digest.finalize()
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut field = [0; 4];
    field.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(field)
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut field = [0; 8];
    field.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(field)
}
