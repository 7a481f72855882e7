//! The step that brings the state partition to `/var`.

use std::path::Path;
use std::time::Duration;

use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

use super::{HINT_DISK, HINT_STATE, STEP_TIME, Session};
use crate::gpt::{self, CopyState, Disk, Guid, Table};
use crate::stage0::disks::{self, BlockDisk, BootDisk, Partition};
use crate::stage0::failure::{During, Failure};
use crate::stage0::mounts::{Bound, SYSROOT};
use crate::stage0::state::{self, Found, FreshIds, filesystem};

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
    /// Finds or makes the state partition, checks it and mounts it on the root's `/var`.
    pub(super) fn open_state(&mut self, disk: &BootDisk) -> Result<State, Failure> {
        let doing = "preparing the state partition";
        let mut file = BlockDisk::open(&disk.device, true).during(doing, HINT_DISK)?;
        self.repair_table(disk, &mut file)?;
        let bound = Bound::open(Path::new(SYSROOT)).during(doing, HINT_STATE)?;
        let table = &disk.copies.table;
        let (partition, is_new) = match state::find(table).during(doing, HINT_STATE)? {
            Found::Present(number) => (self.known_state(disk, table, &mut file, number)?, false),
            Found::Absent => (self.create_state(disk, table, &mut file)?, true),
        };
        let path = partition.path().display().to_string();
        self.check_state(&partition)?;
        bound.close().during(doing, HINT_STATE)?;
        let mount_point = Path::new(SYSROOT).join("var");
        filesystem::attach(&partition, &mount_point).during("mounting the state partition", HINT_STATE)?;
        self.journal.info(&format!("state on {path}"));
        Ok(State { path, is_new })
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
    ) -> Result<Partition, Failure> {
        let doing = "making the state partition";
        let ids = fresh_ids().during(doing, HINT_DISK)?;
        self.journal.note("making the state partition");
        self.allow(FORMAT_TIME);
        let mut made = None;
        state::create(file, table, disk.esp, ids, |file, unfinished| {
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

    /// The state partition of an earlier boot, made larger where the disk has grown.
    fn known_state(
        &mut self,
        disk: &BootDisk,
        table: &Table,
        file: &mut BlockDisk,
        number: u32,
    ) -> Result<Partition, Failure> {
        let doing = "opening the state partition";
        let grown = state::grow(table, file.sectors(), number).during(doing, HINT_DISK)?;
        if let Some(grown) = &grown {
            self.journal.note("the disk has another size than before: the partition table follows it");
            gpt::write(file, grown).during(doing, HINT_DISK)?;
        }
        let table = grown.as_ref().unwrap_or(table);
        let missing = || disks::Error::Unknown { disk: disk.device.name.clone(), number };
        let entry = table.entry(number).ok_or_else(missing).during(doing, HINT_DISK)?;
        self.sysfs.announce(&disk.device, file, number, entry.extent).during(doing, HINT_DISK)
    }

    fn check_state(&mut self, partition: &Partition) -> Result<(), Failure> {
        let doing = "checking the state partition";
        let found = filesystem::look(partition).during(doing, HINT_STATE)?;
        // Before the check: e2fsck takes times in the future for damage.
        self.raise_clock(found.written, "the last write to state");
        self.allow(filesystem::CHECK_DEADLINE);
        if filesystem::check(Path::new(SYSROOT), partition, &found).during(doing, HINT_STATE)? {
            self.journal.note("the file system on state was repaired");
        }
        self.allow(STEP_TIME);
        Ok(())
    }
}

fn fresh_ids() -> Result<FreshIds, Errno> {
    let id = || random().map(Guid::from_random);
    Ok(FreshIds { disk: id()?, esp: id()?, state: id()? })
}

/// Waits for the kernel's random numbers where the machine has just been switched on.
pub(super) fn random() -> Result<[u8; 16], Errno> {
    let mut bytes = [0; 16];
    let mut filled = 0;
    while filled < bytes.len() {
        filled += getrandom(&mut bytes[filled..], GetRandomFlags::empty())?;
    }
    Ok(bytes)
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
