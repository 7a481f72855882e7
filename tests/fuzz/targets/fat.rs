//! A FAT32 volume that is all zeros but for some sectors: read, changed, and read again.
//!
//! Input: a big-endian sector number of two bytes and 512 bytes, repeated.

#![no_main]

use std::collections::BTreeMap;
use std::io;

use firstboot::fat::{Fat, Stamp};
use firstboot::gpt::{Disk, Lba, SectorSize};

const SECTOR: usize = 512;
/// Enough for FAT32 with clusters of one sector.
const SECTORS: u64 = 67_600;

#[derive(Clone)]
struct Sparse(BTreeMap<u64, [u8; SECTOR]>);

impl Sparse {
    fn parse(data: &[u8]) -> Self {
        let sectors = data.chunks_exact(2 + SECTOR).filter_map(|chunk| {
            let (number, content) = chunk.split_first_chunk::<2>()?;
            Some((u64::from(u16::from_be_bytes(*number)), content.try_into().ok()?))
        });
        Self(sectors.collect())
    }

    fn check(at: Lba, length: usize) -> io::Result<()> {
        let end = at.0.checked_add((length / SECTOR) as u64);
        end.filter(|end| *end <= SECTORS).map(drop).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

impl Disk for Sparse {
    fn sector_size(&self) -> SectorSize {
        SectorSize::S512
    }

    fn sectors(&self) -> u64 {
        SECTORS
    }

    fn read(&self, at: Lba, buffer: &mut [u8]) -> io::Result<()> {
        Self::check(at, buffer.len())?;
        for (number, sector) in (at.0..).zip(buffer.chunks_exact_mut(SECTOR)) {
            sector.copy_from_slice(self.0.get(&number).unwrap_or(&[0; SECTOR]));
        }
        Ok(())
    }

    fn write(&mut self, at: Lba, data: &[u8]) -> io::Result<()> {
        Self::check(at, data.len())?;
        for (number, sector) in (at.0..).zip(data.chunks_exact(SECTOR)) {
            self.0.insert(number, sector.try_into().expect("a whole sector"));
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(mut fat) = Fat::open(Sparse::parse(data), Stamp::from_unix(1_790_000_000)) else { return };
    for folder in ["", "EFI/Linux"] {
        for item in fat.list(folder).ok().flatten().into_iter().flatten() {
            let path = if folder.is_empty() { item.name } else { format!("{folder}/{}", item.name) };
            let _ = fat.read(&path);
        }
    }
    let content = [1; 1000];
    if fat.create("EFI/Linux/Once more.efi", &content).is_ok() {
        let read = |fat: &Fat<Sparse>, name: &str| fat.read(&format!("EFI/Linux/{name}")).ok().flatten();
        assert_eq!(read(&fat, "Once more.efi").as_deref(), Some(&content[..]));
        if fat.rename("EFI/Linux", "Once more.efi", "again.efi").is_ok() {
            assert_eq!(read(&fat, "again.efi").as_deref(), Some(&content[..]));
        }
    }
    let _ = fat.replace("EFI/Linux/os_1.efi", &content);
    let _ = fat.remove("EFI/Linux/os_1.efi");
    let _ = fat.reclaim();
    let _ = fat.finish();
});
