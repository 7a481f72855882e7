//! What a stick gets: a disk image with changes of its own, which are kept in memory.
//!
//! The image is shared by all sticks and is not changed. What a node is given, and the second copy of the partition table
//! at the end of this very stick, are laid over it, sector by sector: so there is one content, written in one go and
//! compared as a whole.
//!
//! An image is sparse, and a hole means zeros. A stick has what was on it before in that place: where the zeros are part
//! of something, as in a file allocation table, they are written; where nothing is, they are not.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

use firstboot::fat::{Fat, FatError, Stamp};
use firstboot::gpt::{self, CopyState, Disk, Guid, Lba, SectorSize, Window};
use firstboot::source::Item;
use thiserror::Error;

use crate::bundle::sparse;
use crate::units::Bytes;

/// Places and lengths of writes are multiples of it, but for the end of an odd disk: direct I/O asks for it.
pub(super) const ALIGNMENT: u64 = 4096;
/// Both ends of the stick are written whatever the image has there: file systems and tables of another time are looked for
/// there, by firmware and by everybody else.
const ENDS: u64 = 1 << 20;

/// Why there is nothing to be written.
#[derive(Debug, Error)]
pub enum ComposeError {
    /// The image cannot be read.
    #[error("reading the disk image")]
    Read(#[from] io::Error),
    /// Its partition table is none.
    #[error("the disk image has no good partition table")]
    Table(#[from] gpt::Error),
    /// The table does not fit.
    #[error("the partition table does not fit a disk of {size}: {fault}")]
    Fit {
        /// Size of the stick.
        size: Bytes,
        /// Why.
        fault: gpt::Fault,
    },
    /// Its boot partition cannot be changed.
    #[error("writing what the node is given to the boot partition")]
    Fat(#[from] FatError),
}

/// GUIDs that no other stick of the same image has: a computer with two of them must tell them apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OwnIds {
    /// Of the disk.
    pub disk: Guid,
    /// Of the boot partition, which begins at this byte.
    pub esp: (u64, Guid),
}

/// An image over which changes are laid.
#[derive(Debug)]
pub struct Composed {
    image: File,
    length: u64,
    size: u64,
    sector_size: SectorSize,
    /// By the number of the sector.
    changes: BTreeMap<u64, Vec<u8>>,
    /// Bytes that are written whether the image has holes there or not.
    whole: Vec<Range<u64>>,
    /// Whether anything may be meant by a hole.
    holes_count: bool,
}

impl Composed {
    /// An image of which is known what its partitions hold, as it comes on a disk of `size`, which is no smaller: with a
    /// table as large as that. Holes are left out but for what is [`keep`](Self::keep)t.
    pub fn new(image: File, sector_size: SectorSize, size: Bytes, ids: OwnIds) -> Result<Self, ComposeError> {
        let mut composed = Self::plain(image, sector_size, size)?;
        composed.holes_count = false;
        let copies = gpt::read(&composed.image_alone()?)?;
        composed.fit(&copies, Some(ids))?;
        Ok(composed)
    }

    /// An image of which nothing is known: its holes are zeros on the stick too. A partition table is made as large as
    /// the stick where there is one.
    pub fn unknown(image: File, sector_size: SectorSize, size: Bytes) -> Result<Self, ComposeError> {
        let mut composed = Self::plain(image, sector_size, size)?;
        match gpt::read(&composed.image_alone()?) {
            Ok(copies) => composed.fit(&copies, None)?,
            Err(gpt::Error::NoTable { .. }) => {}
            Err(fault) => return Err(fault.into()),
        }
        Ok(composed)
    }

    fn plain(image: File, sector_size: SectorSize, size: Bytes) -> io::Result<Self> {
        let length = image.metadata()?.len();
        let size = size.0 - size.0 % sector_size.bytes();
        let (changes, whole) = (BTreeMap::new(), Vec::new());
        Ok(Self { image, length, size, sector_size, changes, whole, holes_count: true })
    }

    /// The second copy of its table lies where the image ends.
    fn image_alone(&self) -> io::Result<Self> {
        Self::plain(self.image.try_clone()?, self.sector_size, Bytes(self.length))
    }

    fn fit(&mut self, copies: &gpt::Copies, ids: Option<OwnIds>) -> Result<(), ComposeError> {
        let mut table = copies.table.clone();
        let is_misfit = table.is_misfit(self.sectors());
        if is_misfit {
            let size = Bytes(self.size);
            table.fit(self.sectors()).map_err(|fault| ComposeError::Fit { size, fault })?;
            if !matches!(copies.backup, CopyState::Damaged(_)) {
                // The one in the middle would be the second that somebody finds.
                let end = self.length / self.sector_size.bytes();
                let zeros = vec![0; self.sector_size.in_memory()];
                self.write(Lba(end.saturating_sub(1)), &zeros)?;
            }
        }
        if let Some(OwnIds { disk, esp: (esp, id) }) = ids {
            table.disk_id = disk;
            let first = Lba(esp / self.sector_size.bytes());
            let number = table.entries().find_map(|(at, entry)| (entry.extent.first == first).then_some(at));
            if let Some(entry) = number.and_then(|number| table.entry_mut(number)) {
                entry.id = id;
            }
        }
        if is_misfit || ids.is_some() {
            gpt::write(self, &table)?;
        }
        Ok(())
    }

    /// Writes these bytes of the image whole, holes included.
    pub fn keep(&mut self, bytes: Range<u64>) {
        self.whole.push(bytes);
    }

    /// Lays what a node is given on the boot partition, of so many bytes from `first` on, and keeps of it what is in use.
    pub fn give(
        &mut self,
        (first, length): (u64, Bytes),
        stamp: Stamp,
        items: &[(Item, &str)],
    ) -> Result<(), ComposeError> {
        let sector = self.sector_size.bytes();
        let mut volume = Fat::open(Window::new(&mut *self, Lba(first / sector), length.0 / sector), stamp)?;
        for (item, text) in items {
            let path = item.esp_file();
            if let Some((folder, _)) = path.rsplit_once('/')
                && volume.list(folder)?.is_none()
            {
                volume.make_folder(folder)?;
            }
            volume.replace(path, text.as_bytes())?;
        }
        volume.finish()?;
        let used = volume.in_use();
        self.whole.extend(used.into_iter().map(|range| first + range.start..first + range.end));
        Ok(())
    }

    /// All of it, holes included.
    pub const fn size(&self) -> Bytes {
        Bytes(self.size)
    }

    /// What has to be written: in order, none touching the next, each [`ALIGNMENT`] but at the end.
    pub fn sections(&self) -> io::Result<Vec<Range<u64>>> {
        let sector = self.sector_size.bytes();
        let mut all = sparse::sections(&self.image, Bytes(self.length))?;
        all.extend(self.changes.keys().map(|number| number * sector..(number + 1) * sector));
        all.extend(self.whole.iter().cloned());
        all.push(0..ENDS);
        all.push(self.size.saturating_sub(ENDS)..self.size);
        let aligned = |range: Range<u64>| {
            let end = range.end.next_multiple_of(ALIGNMENT).min(self.size);
            range.start - range.start % ALIGNMENT..end
        };
        let mut all: Vec<Range<u64>> = all.into_iter().map(aligned).collect();
        all.sort_by_key(|range| range.start);
        let mut merged: Vec<Range<u64>> = Vec::new();
        for range in all {
            match merged.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => merged.push(range),
            }
        }
        Ok(merged)
    }

    /// What has to be zeros besides, between `sections`.
    pub fn zeros(&self, sections: &[Range<u64>]) -> Vec<Range<u64>> {
        let starts = sections.iter().map(|range| range.start);
        let ends = [0].into_iter().chain(sections.iter().map(|range| range.end));
        let between = ends.zip(starts).map(|(end, start)| end..start.min(self.length));
        between.filter(|range| self.holes_count && !range.is_empty()).collect()
    }

    /// Fills `buffer`, whole sectors, with what belongs at `at`.
    pub fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        let end = at.saturating_add(Bytes::of(buffer).0);
        let of_image = usize::try_from(self.length.clamp(at, end) - at).unwrap_or(usize::MAX);
        let (image, behind) = buffer.split_at_mut(of_image);
        self.image.read_exact_at(image, at)?;
        behind.fill(0);
        let sector = self.sector_size.bytes();
        for (number, change) in self.changes.range(at / sector..end.div_ceil(sector)) {
            let start = usize::try_from(number * sector - at).unwrap_or(usize::MAX);
            buffer[start..][..change.len()].copy_from_slice(change);
        }
        Ok(())
    }
}

impl Disk for Composed {
    fn sector_size(&self) -> SectorSize {
        self.sector_size
    }

    fn sectors(&self) -> u64 {
        self.size / self.sector_size.bytes()
    }

    fn read(&self, at: Lba, buffer: &mut [u8]) -> io::Result<()> {
        self.read_at(at.0 * self.sector_size.bytes(), buffer)
    }

    fn write(&mut self, at: Lba, data: &[u8]) -> io::Result<()> {
        let sectors = data.chunks(self.sector_size.in_memory());
        self.changes.extend((at.0..).zip(sectors.map(<[u8]>::to_vec)));
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
