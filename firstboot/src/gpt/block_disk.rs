//! A disk that is a file.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt;

use super::disk::{Disk, Lba, SectorSize};

/// An open disk, partition or disk image.
#[derive(Debug)]
pub struct BlockDisk {
    file: File,
    sector_size: SectorSize,
    sectors: u64,
}

impl BlockDisk {
    /// The disk in `file`, as large as that is.
    pub fn over(mut file: File, sector_size: SectorSize) -> io::Result<Self> {
        // Devices tell their size by it too.
        let size = file.seek(SeekFrom::End(0))?;
        Ok(Self { file, sector_size, sectors: size / sector_size.bytes() })
    }

    /// What it lies in, for what is asked of the kernel.
    pub fn file(&self) -> &File {
        &self.file
    }

    fn offset(&self, at: Lba) -> io::Result<u64> {
        at.0.checked_mul(self.sector_size.bytes()).ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }
}

impl Disk for BlockDisk {
    fn sector_size(&self) -> SectorSize {
        self.sector_size
    }

    fn sectors(&self) -> u64 {
        self.sectors
    }

    fn read(&self, at: Lba, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, self.offset(at)?)
    }

    fn write(&mut self, at: Lba, data: &[u8]) -> io::Result<()> {
        self.file.write_all_at(data, self.offset(at)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.sync_all()
    }
}
