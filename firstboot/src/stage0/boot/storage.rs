//! The step that brings the state partition to `/var`.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::{HINT_DISK, HINT_STATE, STEP_TIME, Session};
use crate::gpt::{self, BlockDisk, CopyState, Disk, Guid, Table};
use crate::random::random;
use crate::stage0::disks::{self, BootDisk, Partition};
use crate::stage0::failure::{During, Failure};
use crate::stage0::mounts::{Bound, SYSROOT};
use crate::stage0::state::{self, Found, FreshIds, Wish, filesystem};

/// Where a new file system is mounted for its mark.
const MARKING: &str = "/run/imgbuild/state-new";

/// For mkfs, and what it discards.
const FORMAT_TIME: Duration = Duration::from_hours(1);

/// The state partition of this boot.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct State {
    /// `/dev/vda7`
    pub(super) path: String,
    /// It was made in this boot.
    pub(super) is_new: bool,
}

/// Making state has more than one kind of fault.
#[derive(Debug, thiserror::Error)]
enum CreateError {
    #[error(transparent)]
    State(#[from] state::Error),
    #[error(transparent)]
    Disk(#[from] disks::Error),
    #[error(transparent)]
    FileSystem(#[from] filesystem::Error),
}

impl Session {
    /// Finds or makes the state partition, checks it, mounts it on the root's `/var`, and lets it fill the disk.
    /// A new one must have `minimum` bytes.
    ///
    /// What lies there is known to be ours before the table or the file system is changed for it.
    pub(super) fn open_state(&mut self, disk: &BootDisk, minimum: u64) -> Result<State, Failure> {
        let doing = "preparing the state partition";
        let mut file = disk.device.open(true).during(doing, HINT_DISK)?;
        self.repair_table(disk, &mut file)?;
        let sysroot = Path::new(SYSROOT);
        let bound = Bound::open(sysroot).during(doing, HINT_STATE)?;
        let table = &disk.copies.table;
        let known = match state::find(table).during(doing, HINT_STATE)? {
            Found::Present(number) => Some(number),
            Found::Absent => None,
        };
        let partition = match known {
            Some(number) => self.known_state(disk, table, &file, number)?,
            None => self.create_state(disk, table, &mut file, minimum)?,
        };
        let path = partition.path().display().to_string();
        let size = self.check_state(&partition)?;
        filesystem::attach(&partition, &sysroot.join("var"))
            .during("mounting the state partition", HINT_STATE)?;
        if let Some(number) = known {
            let partition = self.grow_partition(disk, table, &mut file, number)?;
            self.grow_file_system(&partition, size);
        }
        bound.close().during(doing, HINT_STATE)?;
        self.journal.info(&format!("state on {path}"));
        Ok(State { path, is_new: known.is_none() })
    }

    /// Writes a damaged copy of the partition table anew, before anything depends on it.
    fn repair_table(&mut self, disk: &BootDisk, file: &mut BlockDisk) -> Result<(), Failure> {
        for (place, copy) in [("start", &disk.copies.primary), ("end", &disk.copies.backup)] {
            match copy {
                CopyState::Good => {}
                CopyState::Differs => {
                    self.journal.note(&format!("partition table at the disk's {place} was of another time"));
                }
                CopyState::Damaged(fault) => {
                    self.journal
                        .note(&format!("partition table at the disk's {place} is written anew: {fault}"));
                }
            }
        }
        gpt::repair(file, &disk.copies).during("mending the partition table", HINT_DISK)?;
        Ok(())
    }

    fn create_state(
        &mut self,
        disk: &BootDisk,
        table: &Table,
        file: &mut BlockDisk,
        minimum: u64,
    ) -> Result<Partition, Failure> {
        let doing = "making the state partition";
        let ids = fresh_ids().during(doing, HINT_DISK)?;
        let wish = Wish { esp: disk.esp, ids, minimum };
        self.journal.note("making the state partition");
        self.allow(FORMAT_TIME);
        let mut made = None;
        state::create(file, table, wish, |file, unfinished| {
            let partition = self.sysfs.announce(&disk.device, file, unfinished.number, unfinished.extent)?;
            filesystem::format(Path::new(SYSROOT), &partition, Path::new(MARKING))?;
            made = Some(partition);
            Ok::<(), CreateError>(())
        })
        .and_then(|(_, number)| {
            made.ok_or(CreateError::Disk(disks::Error::Unknown { disk: disk.device.name.clone(), number }))
        })
        .during(doing, HINT_DISK)
    }

    /// The state partition of an earlier boot, as large as it was then.
    fn known_state(
        &self,
        disk: &BootDisk,
        table: &Table,
        file: &BlockDisk,
        number: u32,
    ) -> Result<Partition, Failure> {
        let doing = "opening the state partition";
        let missing = || disks::Error::Unknown { disk: disk.device.name.clone(), number };
        let entry = table.entry(number).ok_or_else(missing).during(doing, HINT_DISK)?;
        self.sysfs.announce(&disk.device, file, number, entry.extent).during(doing, HINT_DISK)
    }

    /// Lets the mounted state partition reach to the end of a disk that has grown.
    fn grow_partition(
        &mut self,
        disk: &BootDisk,
        table: &Table,
        file: &mut BlockDisk,
        number: u32,
    ) -> Result<Partition, Failure> {
        let doing = "growing the state partition";
        let grown = state::grow(table, file.sectors(), number).during(doing, HINT_DISK)?;
        if let Some(grown) = &grown {
            self.journal.note("the disk has another size than before: the partition table follows it");
            gpt::write(file, grown).during(doing, HINT_DISK)?;
        }
        self.known_state(disk, grown.as_ref().unwrap_or(table), file, number)
    }

    /// A file system that stays small is still one that a node can run on: the next boot tries again.
    fn grow_file_system(&mut self, partition: &Partition, size: u64) {
        self.allow(filesystem::GROW_DEADLINE.saturating_add(STEP_TIME));
        match filesystem::grow(Path::new(SYSROOT), partition, size) {
            Ok(false) => {}
            Ok(true) => self.journal.note("the file system on state grew with the disk"),
            Err(error) => {
                self.journal.warn(&format!("the file system on state stays as small as it was: {error}"));
            }
        }
        self.allow(STEP_TIME);
    }

    /// Returns the size of the file system.
    fn check_state(&mut self, partition: &Partition) -> Result<u64, Failure> {
        let doing = "checking the state partition";
        let found = filesystem::look(partition).during(doing, HINT_STATE)?;
        // Before the check: e2fsck takes times in the future for damage.
        self.raise_clock(found.written, "the last write to state");
        self.allow(filesystem::CHECK_DEADLINE.saturating_add(STEP_TIME));
        if filesystem::check(Path::new(SYSROOT), partition).during(doing, HINT_STATE)? {
            self.journal.note("the file system on state was repaired");
        }
        self.allow(STEP_TIME);
        Ok(found.size)
    }
}

fn fresh_ids() -> io::Result<FreshIds> {
    let id = || random().map(Guid::from_random);
    Ok(FreshIds { disk: id()?, esp: id()?, state: id()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_ids_differ() {
        let ids = fresh_ids().unwrap();
        assert!(ids.disk != ids.esp && ids.esp != ids.state && ids != fresh_ids().unwrap());
    }
}
