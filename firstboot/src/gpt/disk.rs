//! What a partition table lies on, and its units.

use std::io;

/// Number of a sector, from the start of the disk.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Lba(pub u64);

/// Bytes of a sector: a power of two from 512 to 4096.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SectorSize(u16);

impl SectorSize {
    /// The size of nearly every disk.
    pub const S512: Self = Self(512);

    /// `None` for what no disk has.
    pub fn new(bytes: u64) -> Option<Self> {
        let bytes = u16::try_from(bytes).ok()?;
        (bytes.is_power_of_two() && (512..=4096).contains(&bytes)).then_some(Self(bytes))
    }

    /// In bytes, for sizes in memory.
    pub fn in_memory(self) -> usize {
        usize::from(self.0)
    }

    /// In bytes, for places on the disk.
    pub fn bytes(self) -> u64 {
        u64::from(self.0)
    }
}

/// A disk that keeps what was written before the last [`Disk::flush`], and perhaps more, when power fails.
pub trait Disk {
    /// Size of a sector, fixed.
    fn sector_size(&self) -> SectorSize;
    /// Number of sectors.
    fn sectors(&self) -> u64;
    /// Fills `buffer`, whole sectors, from `at` on.
    fn read(&self, at: Lba, buffer: &mut [u8]) -> io::Result<()>;
    /// Writes `data`, whole sectors, from `at` on.
    fn write(&mut self, at: Lba, data: &[u8]) -> io::Result<()>;
    /// Returns once everything written lies on the medium.
    fn flush(&mut self) -> io::Result<()>;
}
