//! The step that counts the start, for what fails behind stage0.

use super::{HINT_IMAGE, Session};
use crate::fat::{Fat, FatError, Stamp};
use crate::gpt::{BlockDisk, Window};
use crate::slot::starts;
use crate::stage0::cmdline::Arguments;
use crate::stage0::disks::BootDisk;
use crate::stage0::failure::{self, During, Failure};

/// Starts in a row that came to nothing.
#[derive(Debug, thiserror::Error)]
#[error("{0} starts in a row did not reach a running system")]
struct TooMany(u8);

/// The boot disk's ESP, past the kernel's driver.
pub(super) fn open_esp(disk: &BootDisk) -> Result<Option<Fat<Window<BlockDisk>>>, FatError> {
    let failed = |source| FatError::Disk { action: "opening", sector: 0, source };
    let Some(esp) = disk.copies.table.entry(disk.esp) else { return Ok(None) };
    let file = disk.device.open(true).map_err(failed)?;
    let esp = Window::new(file, esp.extent.first, esp.extent.sectors());
    // What is renamed keeps its date, and what is made here has none that matters.
    Fat::open(esp, Stamp::from_unix(0)).map(Some)
}

impl Session {
    /// Counts this start of the committed slot as failed, which firstboot takes back. After too many the other slot is
    /// next; where there is none, each start waits longer.
    pub(super) fn count_start(&mut self, disk: &BootDisk, settings: &Arguments) -> Result<(), Failure> {
        let failed = match count(disk) {
            Ok(failed) => failed,
            Err(error) => {
                self.journal.warn(&format!("this start is not counted: {error}"));
                return Ok(());
            }
        };
        if failed < starts::TOO_MANY {
            return Ok(());
        }
        self.give_way(disk, settings);
        if self.next.is_some() {
            return Err(TooMany(failed)).during("starting the committed slot", HINT_IMAGE);
        }
        let delay = failure::delay(failed);
        self.journal.warn(&format!(
            "{}, and there is no other slot: waiting {} s",
            TooMany(failed),
            delay.as_secs()
        ));
        self.allow(delay.saturating_add(super::STEP_TIME));
        std::thread::sleep(delay);
        Ok(())
    }
}

/// How many starts failed before this one.
fn count(disk: &BootDisk) -> Result<u8, FatError> {
    let Some(mut esp) = open_esp(disk)? else { return Ok(0) };
    let failed = starts::read(&esp)?;
    starts::write(&mut esp, failed.saturating_add(1))?;
    Ok(failed)
}
