//! A partition table as stage0 reads it, the header's checksums made right so that the rest is reached.

#![no_main]

use std::io;

use firstboot::gpt::{self, Disk, Lba, SectorSize};

const SECTORS: usize = 80;
const SECTOR: usize = 512;

struct Memory(Vec<u8>);

impl Memory {
    fn range(&self, at: Lba, length: usize) -> io::Result<std::ops::Range<usize>> {
        let start = usize::try_from(at.0).ok().and_then(|at| at.checked_mul(SECTOR));
        start
            .and_then(|start| Some(start..start.checked_add(length)?))
            .filter(|range| range.end <= self.0.len())
            .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

impl Disk for Memory {
    fn sector_size(&self) -> SectorSize {
        SectorSize::S512
    }

    fn sectors(&self) -> u64 {
        (self.0.len() / SECTOR) as u64
    }

    fn read(&self, at: Lba, buffer: &mut [u8]) -> io::Result<()> {
        let range = self.range(at, buffer.len())?;
        buffer.copy_from_slice(&self.0[range]);
        Ok(())
    }

    fn write(&mut self, at: Lba, data: &[u8]) -> io::Result<()> {
        let range = self.range(at, data.len())?;
        self.0[range].copy_from_slice(data);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Makes both checksums of the primary header right (UEFI 2.10, 5.3.2).
fn seal(disk: &mut [u8]) {
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
    let (headers, entries) = disk.split_at_mut(2 * SECTOR);
    let header = &mut headers[SECTOR..];
    let number = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let length = (number(80) as usize).saturating_mul(number(84) as usize);
    let size = (number(12) as usize).clamp(92, SECTOR);
    if let Some(entries) = entries.get(..length) {
        header[88..92].copy_from_slice(&crc.checksum(entries).to_le_bytes());
    }
    header[16..20].fill(0);
    let sum = crc.checksum(&header[..size]);
    header[16..20].copy_from_slice(&sum.to_le_bytes());
}

// Input: the header, then entries.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut disk = vec![0; SECTORS * SECTOR];
    let header = &data[..data.len().min(92)];
    disk[SECTOR..SECTOR + header.len()].copy_from_slice(header);
    let entries = &data[header.len()..data.len().min(30 * SECTOR)];
    disk[2 * SECTOR..2 * SECTOR + entries.len()].copy_from_slice(entries);
    seal(&mut disk);
    let mut disk = Memory(disk);
    let Ok(mut copies) = gpt::read(&disk) else { return };
    let _ = copies.table.largest_free();
    for number in 1..=128 {
        let _ = copies.table.room_to_grow(number);
    }
    if copies.table.fit(disk.sectors()).is_ok() && gpt::write(&mut disk, &copies.table).is_ok() {
        // What was written is read back as the same table.
        assert_eq!(gpt::read(&disk).unwrap().table, copies.table);
    }
});
