//! `.updated` stamps, by which systemd's `ConditionNeedsUpdate=` tells a changed /usr.
//!
//! The condition holds where /usr is newer than the stamp. All times in an image are the lock's
//! date, so the stamp in `/etc` is exactly as old as /usr. The one in `/var` lies on the state
//! partition and must outdo the root of a later slot: it is rewritten at every boot, when the clock
//! is past the image's date.

use super::{SetupError, Work};
use crate::tree::{Metadata, Tree};

const NANOSECONDS: u64 = 1_000_000_000;

pub(super) fn make(tree: &mut Tree, work: &mut Work<'_>) -> Result<(), SetupError> {
    // systemd reads the nanoseconds from here where the file system keeps whole seconds.
    let stamp = work.context.date.0.saturating_mul(NANOSECONDS);
    tree.write("etc/.updated", Metadata::FILE, format!("TIMESTAMP_NSEC={stamp}\n"))?;
    tree.write(
        "usr/lib/tmpfiles.d/imgbuild-stamps.conf",
        Metadata::FILE,
        format!("f+ /var/.updated 0644 root root - TIMESTAMP_NSEC={stamp}\\n\n"),
    )?;
    Ok(())
}
