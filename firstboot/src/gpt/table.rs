//! The table itself: entries, free space and changes, all in memory.

use std::fmt;

use super::header::{Fault, Header, checksum, u64_at};
use super::{Guid, Lba, SectorSize};

/// Bytes of an entry.
pub const ENTRY_SIZE: usize = 128;
/// Where partitions begin and end for the sake of flash and RAID, in bytes.
const ALIGNMENT: u64 = 1 << 20;

/// A partition's name: 36 UTF-16 units, kept as they are.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Name([u16; 36]);

impl Name {
    /// Takes at most 36 UTF-16 units of `text`.
    pub fn new(text: &str) -> Self {
        let mut units = [0; 36];
        for (unit, value) in units.iter_mut().zip(text.encode_utf16()) {
            *unit = value;
        }
        Self(units)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.0.iter().position(|unit| *unit == 0).unwrap_or(self.0.len());
        f.write_str(&String::from_utf16_lossy(&self.0[..end]))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        *self == Self::new(other)
    }
}

/// Sectors from `first` to `last`, both included.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Extent {
    /// First sector.
    pub first: Lba,
    /// Last sector.
    pub last: Lba,
}

impl Extent {
    /// Number of sectors; 0 where `last` lies before `first`.
    pub fn sectors(self) -> u64 {
        (self.last.0 + 1).saturating_sub(self.first.0)
    }

    fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// One partition.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// What it is for.
    pub kind: Guid,
    /// PARTUUID.
    pub id: Guid,
    /// Where it lies.
    pub extent: Extent,
    /// Flags, opaque here.
    pub attributes: u64,
    /// What people call it.
    pub name: Name,
}

impl Entry {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let guid = |at: usize| {
            let mut field = [0; 16];
            field.copy_from_slice(&bytes[at..at + 16]);
            Guid::from_disk(field)
        };
        if guid(0) == Guid::UNUSED {
            return None;
        }
        let mut units = [0; 36];
        for (unit, pair) in units.iter_mut().zip(bytes[56..ENTRY_SIZE].chunks_exact(2)) {
            *unit = u16::from_le_bytes([pair[0], pair[1]]);
        }
        Some(Self {
            kind: guid(0),
            id: guid(16),
            extent: Extent { first: Lba(u64_at(bytes, 32)), last: Lba(u64_at(bytes, 40)) },
            attributes: u64_at(bytes, 48),
            name: Name(units),
        })
    }

    fn encode(&self, bytes: &mut [u8]) {
        bytes[..16].copy_from_slice(&self.kind.to_disk());
        bytes[16..32].copy_from_slice(&self.id.to_disk());
        bytes[32..40].copy_from_slice(&self.extent.first.0.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.extent.last.0.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.attributes.to_le_bytes());
        for (pair, unit) in bytes[56..ENTRY_SIZE].chunks_exact_mut(2).zip(self.name.0) {
            pair.copy_from_slice(&unit.to_le_bytes());
        }
    }
}

/// A whole table, free of the places where its copies lie.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Table {
    /// GUID of the disk.
    pub disk_id: Guid,
    sector_size: SectorSize,
    first_usable: Lba,
    last_usable: Lba,
    slots: Vec<Option<Entry>>,
}

/// A table as the bytes of both copies.
pub(super) struct Encoded {
    pub(super) array: Vec<u8>,
    pub(super) backup_array_at: Lba,
    pub(super) backup_header: Vec<u8>,
    pub(super) primary_header: Vec<u8>,
}

impl Table {
    /// An empty table with 128 entries, for a disk of `sectors` sectors.
    ///
    /// `None` where the disk is too small to hold both copies and a partition.
    pub fn new(disk_id: Guid, sector_size: SectorSize, sectors: u64) -> Option<Self> {
        let slots = vec![None; 128];
        let array = array_sectors(slots.len(), sector_size);
        let last_usable = Lba(sectors.checked_sub(array + 2)?);
        let first_usable = Lba(2 + array);
        (first_usable <= last_usable).then_some(Self {
            disk_id,
            sector_size,
            first_usable,
            last_usable,
            slots,
        })
    }

    /// Joins a header and its entries' bytes, and checks both.
    pub(super) fn assemble(
        header: &Header,
        array: &[u8],
        sector_size: SectorSize,
        sectors: u64,
    ) -> Result<Self, Fault> {
        let computed = checksum(array);
        if computed != header.array_checksum {
            return Err(Fault::ArrayChecksum { found: header.array_checksum, computed });
        }
        let slots: Vec<_> = array.chunks_exact(ENTRY_SIZE).map(Entry::parse).collect();
        let (first, last) = (header.first_usable, header.last_usable);
        if first > last || last.0 >= sectors || first.0 < 2 + array_sectors(slots.len(), sector_size) {
            return Err(Fault::UsableRange { first: first.0, last: last.0, sectors });
        }
        let table =
            Self { disk_id: header.disk_id, sector_size, first_usable: first, last_usable: last, slots };
        table.check_entries()?;
        Ok(table)
    }

    fn check_entries(&self) -> Result<(), Fault> {
        let mut sorted: Vec<_> = self.entries().collect();
        sorted.sort_by_key(|(_, entry)| entry.extent.first);
        for (number, Entry { extent, .. }) in &sorted {
            if extent.first > extent.last
                || extent.first < self.first_usable
                || extent.last > self.last_usable
            {
                return Err(Fault::EntryRange {
                    number: *number,
                    first: extent.first.0,
                    last: extent.last.0,
                });
            }
        }
        for pair in sorted.windows(2) {
            if pair[0].1.extent.overlaps(pair[1].1.extent) {
                return Err(Fault::Overlap { one: pair[0].0, other: pair[1].0 });
            }
        }
        Ok(())
    }

    /// Size of a sector.
    pub fn sector_size(&self) -> SectorSize {
        self.sector_size
    }

    /// Last sector that partitions may use.
    pub fn last_usable(&self) -> Lba {
        self.last_usable
    }

    /// Partitions with their numbers, from 1.
    pub fn entries(&self) -> impl Iterator<Item = (u32, &Entry)> {
        (1..).zip(&self.slots).filter_map(|(number, slot)| Some((number, slot.as_ref()?)))
    }

    /// Partition `number`.
    pub fn entry(&self, number: u32) -> Option<&Entry> {
        self.slots.get(slot_index(number)?)?.as_ref()
    }

    /// Partition `number`, to change it.
    pub fn entry_mut(&mut self, number: u32) -> Option<&mut Entry> {
        self.slots.get_mut(slot_index(number)?)?.as_mut()
    }

    /// Takes partition `number` out.
    pub fn remove(&mut self, number: u32) -> Option<Entry> {
        self.slots.get_mut(slot_index(number)?)?.take()
    }

    /// Adds a partition behind the highest number in use and returns its number; `None` in a full table.
    pub fn add(&mut self, entry: Entry) -> Option<u32> {
        let number = self.entries().map(|(number, _)| number).max().unwrap_or(0) + 1;
        *self.slots.get_mut(slot_index(number)?)? = Some(entry);
        Some(number)
    }

    /// Makes the table fit a disk of `sectors` sectors, larger or smaller than the one it was made for.
    ///
    /// `Fault::EntryRange` where a partition would then leave the disk, `Fault::UsableRange` where there is no room for
    /// any.
    pub fn fit(&mut self, sectors: u64) -> Result<(), Fault> {
        let behind = array_sectors(self.slots.len(), self.sector_size) + 2;
        let (first, last) = (self.first_usable.0, sectors.saturating_sub(behind));
        if first > last {
            return Err(Fault::UsableRange { first, last, sectors });
        }
        self.last_usable = Lba(last);
        self.check_entries()
    }

    /// Whether the table was made for a disk of another size than `sectors`.
    pub fn is_misfit(&self, sectors: u64) -> bool {
        let behind = array_sectors(self.slots.len(), self.sector_size) + 2;
        self.last_usable.0 != sectors.saturating_sub(behind)
    }

    /// The largest stretch without a partition, both ends on whole mebibytes.
    pub fn largest_free(&self) -> Option<Extent> {
        let mut taken: Vec<_> = self.entries().map(|(_, entry)| entry.extent).collect();
        taken.sort_by_key(|extent| extent.first);
        let mut free = Vec::new();
        let mut from = self.first_usable;
        for extent in taken {
            free.extend(self.aligned(from, extent.first.0));
            from = Lba(extent.last.0 + 1);
        }
        free.extend(self.aligned(from, self.last_usable.0 + 1));
        free.into_iter().max_by_key(|extent| extent.sectors())
    }

    /// How far partition `number` could reach without touching another, to a whole mebibyte.
    pub fn room_to_grow(&self, number: u32) -> Option<Lba> {
        let own = self.entry(number)?.extent;
        let next =
            self.entries().map(|(_, entry)| entry.extent.first).filter(|first| *first > own.last).min();
        let end = next.map_or(self.last_usable.0 + 1, |first| first.0);
        let aligned = end - end % self.alignment();
        (aligned > own.last.0 + 1).then(|| Lba(aligned - 1))
    }

    fn alignment(&self) -> u64 {
        ALIGNMENT / self.sector_size.bytes()
    }

    fn aligned(&self, from: Lba, end: u64) -> Option<Extent> {
        let first = from.0.next_multiple_of(self.alignment());
        let end = end - end % self.alignment();
        (first < end).then(|| Extent { first: Lba(first), last: Lba(end - 1) })
    }

    /// Both copies for a disk of `sectors` sectors, which the table must fit.
    pub(super) fn encode(&self, sectors: u64) -> Encoded {
        let mut array = vec![0; self.slots.len() * ENTRY_SIZE];
        for (slot, bytes) in self.slots.iter().zip(array.chunks_exact_mut(ENTRY_SIZE)) {
            if let Some(entry) = slot {
                entry.encode(bytes);
            }
        }
        let backup_at = Lba(sectors - 1);
        let backup_array_at = Lba(backup_at.0 - array_sectors(self.slots.len(), self.sector_size));
        let primary = Header {
            at: Lba(1),
            other: backup_at,
            first_usable: self.first_usable,
            last_usable: self.last_usable,
            disk_id: self.disk_id,
            array_at: Lba(2),
            entry_count: u32::try_from(self.slots.len()).unwrap_or(u32::MAX),
            array_checksum: checksum(&array),
        };
        let backup = Header { at: backup_at, other: Lba(1), array_at: backup_array_at, ..primary.clone() };
        let sector = self.sector_size.in_memory();
        let whole_sectors = array.len().next_multiple_of(sector);
        array.resize(whole_sectors, 0);
        Encoded {
            array,
            backup_array_at,
            backup_header: backup.encode(sector),
            primary_header: primary.encode(sector),
        }
    }
}

/// Sectors that an array of `count` entries fills.
pub(super) fn array_sectors(count: usize, sector_size: SectorSize) -> u64 {
    let sectors = (count * ENTRY_SIZE).div_ceil(sector_size.in_memory());
    u64::try_from(sectors).unwrap_or(u64::MAX)
}

fn slot_index(number: u32) -> Option<usize> {
    usize::try_from(number).ok()?.checked_sub(1)
}
