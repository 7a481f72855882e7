//! Changing the entries of folders, each by the write of one sector.

use super::FatError;
use super::directory::{self, Entry, FREE, Folder, Place, Room, SLOT};
use super::volume::{Fat, read};
use crate::gpt::Disk;

impl<D: Disk> Fat<D> {
    /// Adds an entry to a folder, by one sector.
    pub(super) fn add(&mut self, folder: u32, name: &str, slot: [u8; SLOT]) -> Result<(), FatError> {
        let mut content = self.folder(folder)?;
        let slots = directory::slots(name, content.free_short_name(name)?, slot)?;
        if slots.len() > self.geometry.sector / SLOT {
            return Err(FatError::Name { name: name.to_owned() });
        }
        if content.room(slots.len()).is_none() {
            let own = self.new_folder_cluster(name, |_, _| Vec::new())?;
            let last = content.chain.last().copied().unwrap_or(folder);
            self.table.append(last, own);
            self.write_table()?;
            self.flush()?;
            content = self.folder(folder)?;
        }
        let room = content.room(slots.len()).ok_or(FatError::Name { name: name.to_owned() })?;
        let places = (room.first.index..).map(|index| Place { sector: room.first.sector, index });
        self.open_room(&content, room, slots.len())?;
        self.patch(places.zip(slots))
    }

    /// Moves the end of the folder behind the room, if it lies before: first what comes to lie behind the entry is
    /// made the end, then what is passed over is made free.
    fn open_room(&mut self, content: &Folder, room: Room, count: usize) -> Result<(), FatError> {
        let Some(end) = room.end else { return Ok(()) };
        let per_sector = self.geometry.sector / SLOT;
        let behind = Place { sector: room.first.sector, index: room.first.index + count };
        let next =
            content.sectors.iter().map(|(sector, _)| *sector).skip_while(|at| *at != behind.sector).nth(1);
        let behind = if behind.index < per_sector {
            Some(behind)
        } else {
            next.map(|sector| Place { sector, index: 0 })
        };
        // What lies behind the end may be anything, and is read once the end is gone.
        self.patch(behind.map(|place| (place, [0; SLOT])))?;
        if end.sector != room.first.sector {
            // In its own sector the entry begins at the first slot; it is there before the folder reaches it.
            self.patch([(room.first, [0; SLOT])])?;
            let passed =
                (end.index..per_sector).map(|index| (Place { sector: end.sector, index }, free_slot()));
            self.patch(passed)?;
        }
        Ok(())
    }

    /// Takes an entry's name away: first the sector with the short name, so that it never stands alone.
    pub(super) fn forget(&mut self, entry: &Entry) -> Result<(), FatError> {
        let last = entry.slots.last().map(|place| place.sector);
        let (own, others): (Vec<Place>, Vec<Place>) =
            entry.slots.iter().partition(|place| Some(place.sector) == last);
        for places in [own, others] {
            self.patch(places.into_iter().map(|place| (place, free_slot())))?;
        }
        Ok(())
    }

    /// Changes slots, sector by sector in their order, and lets them reach the disk.
    pub(super) fn patch(
        &mut self,
        slots: impl IntoIterator<Item = (Place, [u8; SLOT])>,
    ) -> Result<(), FatError> {
        self.patch_all(&slots.into_iter().collect::<Vec<_>>())
    }

    fn patch_all(&mut self, slots: &[(Place, [u8; SLOT])]) -> Result<(), FatError> {
        let mut rest = slots;
        while let Some((Place { sector, .. }, _)) = rest.first() {
            let together = rest.iter().take_while(|(place, _)| place.sector == *sector).count();
            let (now, later) = rest.split_at(together);
            let mut bytes = vec![0; self.geometry.sector];
            read(&self.disk, *sector, &mut bytes)?;
            for (place, slot) in now {
                let target = bytes.as_chunks_mut::<SLOT>().0.get_mut(place.index);
                // A name goes by its first byte alone, so that other systems can find it again.
                match target {
                    Some(target) if slot[0] == FREE => target[0] = FREE,
                    Some(target) => *target = *slot,
                    None => {}
                }
            }
            self.write(*sector, &bytes)?;
            self.flush()?;
            rest = later;
        }
        Ok(())
    }
}

/// A slot whose name is gone.
pub(super) fn free_slot() -> [u8; SLOT] {
    let mut slot = [0; SLOT];
    slot[0] = FREE;
    slot
}
