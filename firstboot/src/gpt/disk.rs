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
    /// The size of some solid state disks.
    pub const S4096: Self = Self(4096);

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

impl<D: Disk> Disk for &mut D {
    fn sector_size(&self) -> SectorSize {
        (**self).sector_size()
    }

    fn sectors(&self) -> u64 {
        (**self).sectors()
    }

    fn read(&self, at: Lba, buffer: &mut [u8]) -> io::Result<()> {
        (**self).read(at, buffer)
    }

    fn write(&mut self, at: Lba, data: &[u8]) -> io::Result<()> {
        (**self).write(at, data)
    }

    fn flush(&mut self) -> io::Result<()> {
        (**self).flush()
    }
}

/// A partition of a disk, as a disk of its own.
#[derive(Debug)]
pub struct Window<D> {
    disk: D,
    first: Lba,
    sectors: u64,
}

impl<D: Disk> Window<D> {
    /// The `sectors` sectors of `disk` from `first` on.
    pub fn new(disk: D, first: Lba, sectors: u64) -> Self {
        Self { disk, first, sectors }
    }

    /// Where sectors of the window lie on the disk; the window has no others.
    fn place(&self, at: Lba, bytes: usize) -> io::Result<Lba> {
        let length = u64::try_from(bytes).unwrap_or(u64::MAX).div_ceil(self.sector_size().bytes());
        let end = at.0.checked_add(length).filter(|end| *end <= self.sectors);
        let place = end.and_then(|_| self.first.0.checked_add(at.0));
        place.map(Lba).ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }
}

impl<D: Disk> Disk for Window<D> {
    fn sector_size(&self) -> SectorSize {
        self.disk.sector_size()
    }

    fn sectors(&self) -> u64 {
        self.sectors
    }

    fn read(&self, at: Lba, buffer: &mut [u8]) -> io::Result<()> {
        self.disk.read(self.place(at, buffer.len())?, buffer)
    }

    fn write(&mut self, at: Lba, data: &[u8]) -> io::Result<()> {
        self.disk.write(self.place(at, data.len())?, data)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.disk.flush()
    }
}
