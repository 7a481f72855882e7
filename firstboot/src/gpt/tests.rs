//! A disk in memory that loses power, and what the table's copies look like afterwards.

use std::collections::BTreeMap;
use std::io;

use super::*;

/// A disk that remembers each write since the last flush, so that a test can cut its power.
#[derive(Clone, Debug)]
pub(crate) struct MemoryDisk {
    sector_size: SectorSize,
    sectors: u64,
    /// What is surely on the medium; sectors that are not here are zero.
    durable: BTreeMap<u64, Vec<u8>>,
    /// Sectors written since the last flush, oldest first; any of them may be lost.
    pending: Vec<(u64, Vec<u8>)>,
    /// Writes and flushes that still succeed; `None` is for ever.
    pub(crate) operations_left: Option<usize>,
}

impl MemoryDisk {
    pub(crate) fn new(sector_size: SectorSize, sectors: u64) -> Self {
        Self { sector_size, sectors, durable: BTreeMap::new(), pending: Vec::new(), operations_left: None }
    }

    /// The disk after a power cut: of each sector written since the last flush, `fate` says what became of it.
    pub(crate) fn cut(&self, mut fate: impl FnMut(usize) -> Fate) -> Self {
        let mut durable = self.durable.clone();
        for (index, (at, sector)) in self.pending.iter().enumerate() {
            let target = durable.entry(*at).or_insert_with(|| vec![0; sector.len()]);
            match fate(index) {
                Fate::Lost => {}
                Fate::Written => target.copy_from_slice(sector),
                Fate::Torn => {
                    let half = sector.len() / 2;
                    target[..half].copy_from_slice(&sector[..half]);
                }
            }
        }
        Self { durable, pending: Vec::new(), operations_left: None, ..self.clone() }
    }

    /// The same disk with more room at its end.
    pub(crate) fn grown_to(&self, sectors: u64) -> Self {
        Self { sectors, ..self.cut(|_| Fate::Written) }
    }

    pub(crate) fn flip(&mut self, byte: u64) {
        let size = self.sector_size;
        let sector = self.durable.entry(byte / size.bytes()).or_insert_with(|| vec![0; size.in_memory()]);
        sector[usize::try_from(byte % size.bytes()).unwrap()] ^= 0x40;
    }

    fn spend(&mut self) -> io::Result<()> {
        match &mut self.operations_left {
            Some(0) => Err(io::Error::other("power cut")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// What a power cut did to one written sector.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    Lost,
    Written,
    Torn,
}

impl Fate {
    pub(crate) const ALL: [Self; 3] = [Self::Lost, Self::Written, Self::Torn];
}

/// The same numbers in every run (Knuth's MMIX generator), to draw fates from.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    pub(crate) fn fate(&mut self) -> Fate {
        Fate::ALL[usize::try_from(self.below(3)).unwrap()]
    }
}

impl Disk for MemoryDisk {
    fn sector_size(&self) -> SectorSize {
        self.sector_size
    }

    fn sectors(&self) -> u64 {
        self.sectors
    }

    fn read(&self, at: Lba, buffer: &mut [u8]) -> io::Result<()> {
        for (number, part) in (at.0..).zip(buffer.chunks_exact_mut(self.sector_size.in_memory())) {
            assert!(number < self.sectors, "sector {number} lies behind the disk");
            let written = self.pending.iter().rev().find(|(at, _)| *at == number).map(|(_, sector)| sector);
            match written.or_else(|| self.durable.get(&number)) {
                Some(sector) => part.copy_from_slice(sector),
                None => part.fill(0),
            }
        }
        Ok(())
    }

    fn write(&mut self, at: Lba, data: &[u8]) -> io::Result<()> {
        assert!(data.len().is_multiple_of(self.sector_size.in_memory()), "whole sectors");
        // A write that power cuts short leaves its sectors pending too: each may be lost, whole or torn.
        let outcome = self.spend();
        for (number, sector) in (at.0..).zip(data.chunks(self.sector_size.in_memory())) {
            assert!(number < self.sectors, "sector {number} lies behind the disk");
            self.pending.push((number, sector.to_vec()));
        }
        outcome
    }

    fn flush(&mut self) -> io::Result<()> {
        self.spend()?;
        *self = Self { operations_left: self.operations_left, ..self.cut(|_| Fate::Written) };
        Ok(())
    }
}

pub(crate) const MIB: u64 = 1 << 20;

/// Sectors of `mebibytes`.
pub(crate) fn mib(mebibytes: u64, size: SectorSize) -> u64 {
    mebibytes * MIB / size.bytes()
}

pub(crate) fn entry(name: &str, id: u128, kind: Guid, first: u64, last: u64) -> Entry {
    Entry {
        kind,
        id: Guid::from_u128(id),
        extent: Extent { first: Lba(first), last: Lba(last) },
        attributes: 0,
        name: Name::new(name),
    }
}

/// An image of 8 MiB with an ESP, a root and its hash tree, as the builder lays it out.
pub(crate) fn image(size: SectorSize) -> MemoryDisk {
    let mut disk = MemoryDisk::new(size, mib(8, size));
    let mut table = Table::new(Guid::from_u128(0xd15c), size, disk.sectors()).unwrap();
    let at = |from: u64, to: u64| (mib(from, size), mib(to, size) - 1);
    for (name, id, kind, (first, last)) in [
        ("esp", 0xe5, Guid::ESP, at(1, 3)),
        ("root-a", 0xa0, Guid::LINUX_DATA, at(3, 5)),
        ("root-a-verity", 0xa1, Guid::LINUX_DATA, at(5, 6)),
    ] {
        table.add(entry(name, id, kind, first, last)).unwrap();
    }
    write(&mut disk, &table).unwrap();
    disk
}

const SIZES: [u64; 2] = [512, 4096];

#[test]
fn what_was_written_is_read_back_from_both_copies() {
    for size in SIZES.map(|size| SectorSize::new(size).unwrap()) {
        let disk = image(size);
        let copies = read(&disk).unwrap();
        assert_eq!((&copies.primary, &copies.backup), (&CopyState::Good, &CopyState::Good));
        let names: Vec<_> = copies.table.entries().map(|(n, entry)| format!("{n} {}", entry.name)).collect();
        assert_eq!(names, ["1 esp", "2 root-a", "3 root-a-verity"]);
    }
}

#[test]
fn every_flipped_byte_of_the_primary_is_noticed_and_the_backup_taken() {
    let good = image(SectorSize::S512);
    let table = read(&good).unwrap().table;
    // Bytes of the header that carry meaning, and a sample of the array: each is under a checksum.
    for byte in (512..604).chain((1024..1024 + 128 * 128).step_by(61)) {
        let mut disk = good.clone();
        disk.flip(byte);
        let copies = read(&disk).unwrap();
        assert!(matches!(copies.primary, CopyState::Damaged(_)), "byte {byte}: {:?}", copies.primary);
        assert_eq!(copies.table, table, "byte {byte}");
        assert!(repair(&mut disk, &copies).unwrap());
        assert_eq!(read(&disk).unwrap().primary, CopyState::Good, "byte {byte}");
    }
}

#[test]
fn a_damaged_backup_is_written_anew() {
    let mut disk = image(SectorSize::S512);
    disk.flip(8 * MIB - 512 + 60);
    let copies = read(&disk).unwrap();
    assert!(matches!(copies.backup, CopyState::Damaged(Fault::HeaderChecksum { .. })));
    repair(&mut disk, &copies).unwrap();
    assert!(!repair(&mut disk, &read(&image(SectorSize::S512)).unwrap()).unwrap());
    assert_eq!(read(&disk).unwrap().backup, CopyState::Good);
}

#[test]
fn both_copies_damaged_name_both_faults() {
    let mut disk = image(SectorSize::S512);
    disk.flip(512);
    disk.flip(8 * MIB - 512 - 128 * 128);
    let text = read(&disk).unwrap_err().to_string();
    assert!(text.contains("at the start: no GPT signature; at the end: GPT entries have checksum"), "{text}");
}

#[test]
fn an_empty_or_tiny_disk_has_no_table() {
    for sectors in [0, 1, 5, 6, 2048] {
        let disk = MemoryDisk::new(SectorSize::S512, sectors);
        let fault = Fault::NoSignature;
        match read(&disk).unwrap_err() {
            Error::NoTable { primary, backup } => assert_eq!((primary, backup), (fault.clone(), fault)),
            other @ Error::Read { .. } => panic!("{sectors} sectors: {other}"),
        }
    }
}

#[test]
fn refuses_entries_that_overlap_or_leave_the_disk() {
    let base = read(&image(SectorSize::S512)).unwrap().table;
    for (first, last, fault) in [
        (6144, 12288, Fault::Overlap { one: 2, other: 4 }),
        (12288, 16384, Fault::EntryRange { number: 4, first: 12288, last: 16384 }),
        (3, 40, Fault::EntryRange { number: 4, first: 3, last: 40 }),
        (14000, 13999, Fault::EntryRange { number: 4, first: 14000, last: 13999 }),
    ] {
        let mut disk = image(SectorSize::S512);
        let mut table = base.clone();
        table.add(entry("x", 9, Guid::LINUX_DATA, first, last));
        write(&mut disk, &table).unwrap();
        match read(&disk).unwrap_err() {
            Error::NoTable { primary, .. } => assert_eq!(primary, fault),
            other @ Error::Read { .. } => panic!("{other}"),
        }
    }
}

#[test]
fn free_space_is_aligned_and_ends_before_the_backup() {
    let mut disk = image(SectorSize::S512);
    let mut table = read(&disk).unwrap().table;
    // 6 MiB to 7 MiB: the last mebibyte holds the backup.
    assert_eq!(table.largest_free(), Some(Extent { first: Lba(12288), last: Lba(14335) }));
    assert_eq!(table.room_to_grow(3), Some(Lba(14335)));
    assert_eq!(table.room_to_grow(2), None, "the hash tree follows");
    disk = disk.grown_to(mib(20, SectorSize::S512));
    assert!(table.is_misfit(disk.sectors()));
    table.fit(disk.sectors()).unwrap();
    assert!(!table.is_misfit(disk.sectors()));
    assert_eq!(table.largest_free(), Some(Extent { first: Lba(12288), last: Lba(19 * 2048 - 1) }));
    let shrunk = table.fit(mib(5, SectorSize::S512));
    assert_eq!(shrunk, Err(Fault::EntryRange { number: 2, first: 6144, last: 10239 }));
    // Nothing lies beyond the end of such a disk, and there is no room all the same.
    let mut empty = Table::new(table.disk_id, SectorSize::S512, 2048).unwrap();
    assert_eq!(empty.fit(68).map(|()| empty.last_usable()), Ok(Lba(34)));
    assert_eq!(empty.fit(67), Err(Fault::UsableRange { first: 34, last: 33, sectors: 67 }));
}

#[test]
fn names_keep_36_units_and_compare_with_text() {
    assert!(Name::new("state") == *"state");
    assert!(Name::new("state-new") != *"state");
    assert_eq!(Name::new(&"é".repeat(40)).to_string(), "é".repeat(36));
}

/// A cut at every operation, and every fate of what was pending, leaves the old or the new table.
#[test]
fn a_power_cut_while_replacing_the_table_leaves_the_old_or_the_new_one() {
    let start = image(SectorSize::S512).grown_to(mib(12, SectorSize::S512));
    let old = read(&start).unwrap().table;
    let mut new = old.clone();
    new.fit(start.sectors()).unwrap();
    new.disk_id = Guid::from_u128(0xbeef);
    new.add(entry("state-new", 0x57, Guid::LINUX_DATA, 12288, 14335));
    let mut dice = Dice(1);
    let mut seen = [0; 2];
    for operations in 0..9 {
        for round in 0..200 {
            let mut disk = start.clone();
            disk.operations_left = Some(operations);
            let copies = read(&disk).unwrap();
            let _cut = repair(&mut disk, &copies).and_then(|_| write(&mut disk, &new));
            // The first rounds are the extremes, the others mixtures.
            let after = disk.cut(|_| if round < 3 { Fate::ALL[round] } else { dice.fate() });
            let found = read(&after).unwrap().table;
            assert!(found == old || found == new, "after {operations} operations, round {round}");
            seen[usize::from(found == new)] += 1;
        }
    }
    assert!(seen[0] > 400 && seen[1] > 200, "both outcomes occur: {seen:?}");
}

#[test]
fn any_damage_to_the_primary_leaves_the_backup() {
    let mut dice = Dice(7);
    for _ in 0..2000 {
        let mut disk = image(SectorSize::S512);
        for _ in 0..=dice.below(6) {
            disk.flip(512 + dice.below(16_900));
        }
        let copies = read(&disk).unwrap();
        assert_eq!(copies.table.entries().count(), 3);
    }
}
