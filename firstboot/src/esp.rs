//! The EFI system partition, mounted for as long as it is used and no longer; or opened past the kernel's driver, which
//! orders nothing, for changes that must survive power cuts.

use std::fs::OpenOptions;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::OFlags;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use thiserror::Error;

use crate::converge::System;
use crate::fat::{Fat, FatError, Stamp};
use crate::gpt::{BlockDisk, SectorSize};

/// Where it is mounted.
pub const MOUNT_POINT: &str = "/run/imgbuild/esp";

/// The partition could not be mounted.
#[derive(Debug, Error)]
#[error("mounting EFI system partition `{device}`")]
pub struct MountError {
    /// The partition's device.
    pub device: String,
    /// Why.
    #[source]
    pub source: std::io::Error,
}

/// A mounted partition; the guard's end unmounts it.
#[derive(Debug)]
pub struct MountedEsp {
    at: PathBuf,
}

impl MountedEsp {
    /// Mounts `device` at [`MOUNT_POINT`], for reading.
    pub fn mount(system: &System, device: &str) -> Result<Self, MountError> {
        let at = system.path(MOUNT_POINT);
        let refused = |source| MountError { device: device.to_owned(), source };
        std::fs::create_dir_all(&at).map_err(refused)?;
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC | MountFlags::RDONLY;
        mount(device, &at, "vfat", flags, Some(c"umask=0077")).map_err(|error| refused(error.into()))?;
        Ok(Self { at })
    }

    /// The folder that it is.
    pub fn path(&self) -> &Path {
        &self.at
    }
}

impl Drop for MountedEsp {
    fn drop(&mut self) {
        // A mount for reading that stays in /run harms little: nobody to tell.
        let _ = unmount(&self.at, UnmountFlags::DETACH);
    }
}

/// Opens the volume on `device`, which nobody may have mounted.
pub fn open(device: &Path) -> Result<Fat<BlockDisk>, FatError> {
    let failed = |source| FatError::Disk { action: "opening", sector: 0, source };
    let exclusive = OFlags::EXCL.bits().cast_signed();
    let file = OpenOptions::new().read(true).write(true).custom_flags(exclusive).open(device);
    let file = file.map_err(failed)?;
    // The volume has sectors of the disk's size, and says so.
    let mut field = [0; 2];
    file.read_exact_at(&mut field, 11).map_err(failed)?;
    let sector_size = SectorSize::new(u64::from(u16::from_le_bytes(field)));
    let sector_size = sector_size.ok_or(FatError::Corrupt { what: "no boot sector", at: 0 })?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Fat::open(BlockDisk::over(file, sector_size).map_err(failed)?, Stamp::from_unix(now))
}
