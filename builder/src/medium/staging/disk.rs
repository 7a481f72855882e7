//! Opening the disk that is written to: an image file or a block device that nobody else uses.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use firstboot::gpt::{self, BlockDisk, Copies, SectorSize};
use rustix::fs::{FlockOperation, OFlags, fcntl_lock};
use rustix::io::Errno;
use thiserror::Error;

/// What the kernel shows of block devices.
const DEVICES: &str = "/sys/block";

/// Why a disk cannot be worked on.
#[derive(Debug, Error)]
pub enum DiskError {
    /// The system refused.
    #[error("opening disk `{}`", path.display())]
    Open {
        /// The disk.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A folder, or something else that has no sectors.
    #[error("`{}` is neither a disk image nor a block device", path.display())]
    Kind {
        /// The path.
        path: PathBuf,
    },
    /// Somebody else writes to it.
    #[error("disk `{}` is in use: {by}", path.display())]
    InUse {
        /// The disk.
        path: PathBuf,
        /// By whom.
        by: String,
    },
    /// There is no table.
    #[error("reading the partition table of `{}`", path.display())]
    Table {
        /// The disk.
        path: PathBuf,
        /// What is wrong with it.
        source: gpt::Error,
    },
}

/// Opens the disk for reading and writing, and reads its table. It stays locked for as long as it is open.
pub fn open(path: &Path) -> Result<(BlockDisk, Copies), DiskError> {
    let refused = |source| DiskError::Open { path: path.to_owned(), source };
    let kind = fs::metadata(path).map_err(refused)?.file_type();
    let file = if kind.is_block_device() {
        open_device(path)?
    } else if kind.is_file() {
        open_image(path)?
    } else {
        return Err(DiskError::Kind { path: path.to_owned() });
    };
    read_table(&file).map_err(refused)?.map_err(|source| DiskError::Table { path: path.to_owned(), source })
}

/// A disk and its table, for sectors of the size that has one; the fault is of the smaller size.
pub(crate) fn read_table(file: &File) -> io::Result<Result<(BlockDisk, Copies), gpt::Error>> {
    let over = |size| BlockDisk::over(file.try_clone()?, size);
    let small = over(SectorSize::S512)?;
    let fault = match gpt::read(&small) {
        Ok(copies) => return Ok(Ok((small, copies))),
        Err(fault) => fault,
    };
    let large = over(SectorSize::S4096)?;
    Ok(match gpt::read(&large) {
        Ok(copies) => Ok((large, copies)),
        Err(_) => Err(fault),
    })
}

/// Refused by the kernel where the disk or one of its partitions is mounted.
fn open_device(path: &Path) -> Result<File, DiskError> {
    let exclusive = OFlags::EXCL.bits().cast_signed();
    let file = OpenOptions::new().read(true).write(true).custom_flags(exclusive).open(path);
    file.map_err(|source| match source.kind() {
        io::ErrorKind::ResourceBusy => DiskError::InUse {
            path: path.to_owned(),
            by: "it is mounted, or part of another device".to_owned(),
        },
        _ => DiskError::Open { path: path.to_owned(), source },
    })
}

fn open_image(path: &Path) -> Result<File, DiskError> {
    let refused = |source| DiskError::Open { path: path.to_owned(), source };
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(refused)?;
    let in_use = |by| DiskError::InUse { path: path.to_owned(), by };
    // QEMU locks ranges of its images by this kind of lock.
    match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::AGAIN | Errno::ACCESS) => {
            return Err(in_use("another program has locked it, as a running machine does".to_owned()));
        }
        other => other.map_err(|error| refused(error.into()))?,
    }
    let whole = fs::canonicalize(path).map_err(refused)?;
    match loop_device(Path::new(DEVICES), &whole) {
        Some(device) => Err(in_use(format!("it is loop device `{device}`"))),
        None => Ok(file),
    }
}

/// The loop device over a file.
fn loop_device(devices: &Path, file: &Path) -> Option<String> {
    fs::read_dir(devices).ok()?.flatten().find_map(|device| {
        let backing = fs::read_to_string(device.path().join("loop/backing_file")).ok()?;
        (Path::new(backing.trim_end()) == file).then(|| device.file_name().to_string_lossy().into_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::chain;

    fn fault(path: &Path) -> String {
        chain(&open(path).unwrap_err()).replace(path.to_str().unwrap(), "DISK")
    }

    #[test]
    fn what_is_no_disk_of_ours_is_named() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(fault(folder.path()), "`DISK` is neither a disk image nor a block device");
        let file = folder.path().join("disk.raw");
        assert_eq!(fault(&file), "opening disk `DISK`: No such file or directory (os error 2)");
        File::create(&file).unwrap().set_len(1 << 20).unwrap();
        assert_eq!(
            fault(&file),
            "reading the partition table of `DISK`: both copies of the partition table are damaged; at the start: \
             no GPT signature; at the end: no GPT signature"
        );
    }

    #[test]
    fn a_file_that_is_a_loop_device_is_in_use() {
        let devices = tempfile::tempdir().unwrap();
        let entry = devices.path().join("loop3/loop");
        fs::create_dir_all(&entry).unwrap();
        fs::write(entry.join("backing_file"), "/srv/disk.raw\n").unwrap();
        assert_eq!(loop_device(devices.path(), Path::new("/srv/disk.raw")).as_deref(), Some("loop3"));
        assert_eq!(loop_device(devices.path(), Path::new("/srv/other.raw")), None);
    }
}
