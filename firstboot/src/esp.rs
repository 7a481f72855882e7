//! The EFI system partition, mounted for as long as it is used and no longer.

use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use thiserror::Error;

use crate::converge::System;

/// Where it is mounted.
pub const MOUNT_POINT: &str = "/run/imgbuild/esp";

/// What it is mounted for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// Reading only.
    Read,
    /// Reading and writing.
    Write,
}

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
    /// Mounts `device` at [`MOUNT_POINT`].
    pub fn mount(system: &System, device: &str, access: Access) -> Result<Self, MountError> {
        let at = system.path(MOUNT_POINT);
        let refused = |source| MountError { device: device.to_owned(), source };
        std::fs::create_dir_all(&at).map_err(refused)?;
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        let flags = if access == Access::Read { flags | MountFlags::RDONLY } else { flags };
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
        // What was written was synced by the writer, and a mount that stays in /run harms nothing: nobody to tell.
        let _ = unmount(&self.at, UnmountFlags::DETACH);
    }
}
