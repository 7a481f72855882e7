//! The boot programs that a disk has: read from one disk, and brought to another by one sector at a time.

use std::io;

use firstboot::gpt::{self, Disk, Extent};

use super::SECTOR_SIZE;
use crate::format::grub::{self, BlockList, SECTOR};
use crate::units::{Bytes, Lba};

/// Boot programs of a disk, with the places of that disk in them.
#[derive(Clone, Debug)]
pub struct InstalledBios {
    boot: [u8; SECTOR],
    disk_boot: [u8; SECTOR],
    /// Where its core lies.
    place: BlockList,
    core: Vec<u8>,
}

impl InstalledBios {
    /// Reads them from a disk whose BIOS boot partition is this; `None` where that leads nowhere.
    pub fn read(disk: &impl Disk, partition: Extent) -> io::Result<Option<Self>> {
        let (mut boot, mut disk_boot) = ([0; SECTOR], [0; SECTOR]);
        if disk.sector_size().in_memory() != SECTOR {
            return Ok(None);
        }
        disk.read(gpt::Lba(0), &mut boot)?;
        disk.read(partition.first, &mut disk_boot)?;
        let place = grub::block_list(&disk_boot);
        let end = place.first.0.saturating_add(place.size.0 / SECTOR_SIZE);
        if place.size.0 == 0 || place.first.0 <= partition.first.0 || end > partition.last.0.saturating_add(1)
        {
            return Ok(None);
        }
        let mut core = vec![0; usize::try_from(place.size.0).unwrap_or_default()];
        disk.read(gpt::Lba(place.first.0), &mut core)?;
        Ok(Some(Self { boot, disk_boot, place, core }))
    }

    /// Brings these programs to a disk that has `found`, where their bytes differ: the core to the half that is not
    /// in use, then the sector that says which is, then the disk's own. Returns whether anything was written.
    pub fn install(&self, found: Option<&Self>, partition: Extent, disk: &mut impl Disk) -> io::Result<bool> {
        let half = partition.sectors() / 2;
        let first_half = partition.first.0.saturating_add(1);
        let second_half = partition.first.0.saturating_add(half);
        let is_first_used = found.is_some_and(|found| found.place.first.0 < second_half);
        let is_same = found.is_some_and(|found| found.core == self.core && self.is_same_loader(found));
        let mut is_changed = false;
        if !is_same {
            let sectors = self.place.size.0 / SECTOR_SIZE;
            if sectors >= half {
                return Err(io::Error::new(
                    io::ErrorKind::StorageFull,
                    "half of the BIOS boot partition is too small",
                ));
            }
            let first = if is_first_used { second_half } else { first_half };
            disk.write(gpt::Lba(first), &self.core)?;
            disk.flush()?;
            let place = BlockList { first: Lba(first), size: Bytes::of(&self.core) };
            let sector = grub::disk_boot_sector(&self.disk_boot, place).map_err(io::Error::other)?;
            disk.write(partition.first, &sector)?;
            disk.flush()?;
            is_changed = true;
        }
        let mut mbr = [0; SECTOR];
        disk.read(gpt::Lba(0), &mut mbr)?;
        let boot = grub::replace_code(&self.boot, Lba(partition.first.0), &mbr);
        if boot != mbr {
            disk.write(gpt::Lba(0), &boot)?;
            disk.flush()?;
            is_changed = true;
        }
        Ok(is_changed)
    }

    /// Whether the partitions' first sectors differ in nothing but where the core lies.
    fn is_same_loader(&self, other: &Self) -> bool {
        let moved = grub::disk_boot_sector(&self.disk_boot, other.place);
        moved.is_ok_and(|sector| sector == other.disk_boot)
    }
}
