//! The file system on the state partition: made, checked, mounted and grown by programs of the verified root.
//!
//! Nothing is written to one that is not ours: its label is read before the check, which may repair, and its mark
//! before it grows. It grows while it is mounted, for then each step of it is in the journal; without, a power cut
//! while it grows could take it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::mount::{MountFlags, UnmountFlags, unmount};

use crate::stage0::chroot::{self, Program};
use crate::stage0::disks::Partition;
use crate::stage0::ext4::{SUPERBLOCK_AT, SUPERBLOCK_SIZE, Superblock};
use crate::stage0::mounts;

/// Left at the top of a finished state partition; holds [`FORMAT`].
const MARK: &str = ".imgbuild-state";
/// Version of what lies on the state partition.
const FORMAT: u32 = 1;
/// A disk that grew by less than this is not worth a resize: mkfs rounds down by up to one block group.
const GROWTH: u64 = 128 << 20;
/// mkfs of a 16 TB disk over a slow bus.
const FORMAT_DEADLINE: Duration = Duration::from_mins(30);
/// A full check of a large disk.
pub const CHECK_DEADLINE: Duration = Duration::from_hours(4);
/// The kernel adds some 10 GB a second; this is for a disk that hardly answers.
pub const GROW_DEADLINE: Duration = Duration::from_hours(1);

/// Why state cannot be used. It is never formatted for any of these.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The device does not answer.
    #[error("reading `{path}`")]
    Read {
        /// The device.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something else lies there.
    #[error("partition `{path}` is named `state` and holds {found}")]
    Foreign {
        /// The device.
        path: PathBuf,
        /// In words.
        found: String,
    },
    /// A program of the root found more than it may repair, or did not run.
    #[error(transparent)]
    Program(#[from] chroot::Error),
    /// The kernel does not take it.
    #[error(transparent)]
    Mount(#[from] mounts::Error),
    /// It was not made by stage0.
    #[error("file system on `{path}` has no mark `{MARK}`: it was not made for this node")]
    NoMark {
        /// The device.
        path: PathBuf,
    },
    /// A later version made it, or the mark is damaged.
    #[error("state on `{path}` is of format `{found}`, this system knows {FORMAT}")]
    Format {
        /// The device.
        path: PathBuf,
        /// What the mark says.
        found: String,
    },
    /// The mark cannot be written.
    #[error("marking the new file system on `{path}`")]
    Mark {
        /// The device.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Makes the file system on `partition`, mounts it on `mount_point` for its mark, and syncs it.
pub fn format(sysroot: &Path, partition: &Partition, mount_point: &Path) -> Result<(), Error> {
    let device = partition.path();
    // `-F`: whatever lay in the free space before must not lead to a question.
    run(
        sysroot,
        "/usr/sbin/mkfs.ext4",
        &["-q", "-F", "-L", super::LABEL, "-m", "1", "-e", "remount-ro"],
        &device,
        &[0],
        FORMAT_DEADLINE,
    )?;
    mount(&device, mount_point)?;
    let marked = write_mark(mount_point);
    let unmounted = unmount(mount_point, UnmountFlags::empty()).map_err(io::Error::from);
    marked
        .and(unmounted)
        .and_then(|()| File::open(&device)?.sync_all())
        .map_err(|source| Error::Mark { path: device, source })
}

fn write_mark(mount_point: &Path) -> io::Result<()> {
    let mut file = File::create(mount_point.join(MARK))?;
    writeln!(file, "{FORMAT}")?;
    file.sync_all()?;
    File::open(mount_point)?.sync_all()
}

/// What the superblock on `partition` says, which must be that of a file system with state's label.
pub fn look(partition: &Partition) -> Result<Superblock, Error> {
    let path = partition.path();
    let mut bytes = [0; SUPERBLOCK_SIZE];
    let read = File::open(&path).and_then(|file| file.read_exact_at(&mut bytes, SUPERBLOCK_AT));
    read.map_err(|source| Error::Read { path: path.clone(), source })?;
    match Superblock::parse(&bytes) {
        Some(superblock) if superblock.label == super::LABEL => Ok(superblock),
        Some(Superblock { label, .. }) => {
            Err(Error::Foreign { path, found: format!("a file system with label `{label}`") })
        }
        None => Err(Error::Foreign { path, found: "no ext4 file system".to_owned() }),
    }
}

/// Checks the file system, which must not be mounted; says whether anything was repaired.
pub fn check(sysroot: &Path, partition: &Partition) -> Result<bool, Error> {
    // 1: repaired; 2: repaired, restart if it was mounted, which it was not.
    let good_codes = [0, 1, 2, 3];
    let code = run(sysroot, "/usr/sbin/e2fsck", &["-p"], &partition.path(), &good_codes, CHECK_DEADLINE)?;
    Ok(code != 0)
}

/// Lets the mounted file system of `size` bytes fill its partition; says whether it grew.
pub fn grow(sysroot: &Path, partition: &Partition, size: u64) -> Result<bool, Error> {
    let grows = is_worth_growing(size, partition.size);
    if grows {
        run(sysroot, "/usr/sbin/resize2fs", &[], &partition.path(), &[0], GROW_DEADLINE)?;
    }
    Ok(grows)
}

fn is_worth_growing(file_system: u64, partition: u64) -> bool {
    partition.saturating_sub(file_system) >= GROWTH
}

/// Mounts state on `mount_point` and reads its mark.
pub fn attach(partition: &Partition, mount_point: &Path) -> Result<(), Error> {
    let device = partition.path();
    mount(&device, mount_point)?;
    check_mark(device, mount_point)
}

/// Whether the file system of `device`, mounted on `mount_point`, is state of this format.
fn check_mark(device: PathBuf, mount_point: &Path) -> Result<(), Error> {
    let text = match fs::read_to_string(mount_point.join(MARK)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Error::NoMark { path: device }),
        Err(source) => return Err(Error::Read { path: mount_point.join(MARK), source }),
    };
    if text.trim_end() == FORMAT.to_string() {
        Ok(())
    } else {
        Err(Error::Format { path: device, found: text.trim_end().to_owned() })
    }
}

fn mount(device: &Path, mount_point: &Path) -> Result<(), Error> {
    Ok(mounts::mount(device, mount_point, "ext4", MountFlags::NOATIME, "")?)
}

fn run(
    sysroot: &Path,
    path: &str,
    arguments: &[&str],
    device: &Path,
    good_codes: &[i32],
    deadline: Duration,
) -> Result<i32, Error> {
    let arguments = arguments.iter().map(OsStr::new).chain([device.as_os_str()]).collect();
    Ok(Program { sysroot, path, arguments, good_codes, deadline }.run()?)
}

#[cfg(test)]
mod tests {
    use kernel_ioctl::dm::DeviceNumber;

    use super::*;

    /// A partition that is a file, with a superblock of this label.
    fn partition(folder: &Path, label: &[u8]) -> Partition {
        let path = folder.join("partition");
        let mut bytes = vec![0; 4096];
        bytes[1024 + 0x38..1024 + 0x3a].copy_from_slice(&[0x53, 0xef]);
        bytes[1024 + 0x78..1024 + 0x78 + label.len()].copy_from_slice(label);
        fs::write(&path, bytes).unwrap();
        let name = path.to_str().unwrap().to_owned();
        Partition { name, device: DeviceNumber { major: 0, minor: 0 }, start: 0, size: 4096 }
    }

    #[test]
    fn a_file_system_of_another_label_is_foreign_before_anything_is_written_to_it() {
        let folder = tempfile::tempdir().unwrap();
        for label in ["", "root", "state-new", "statelab"] {
            let partition = partition(folder.path(), label.as_bytes());
            let message = look(&partition).unwrap_err().to_string();
            let expected = format!(
                "partition `{}` is named `state` and holds a file system with label `{label}`",
                partition.name
            );
            assert_eq!(message, expected);
        }
        assert_eq!(look(&partition(folder.path(), b"state")).unwrap().label, "state");
    }

    #[test]
    fn only_a_mark_of_this_format_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let check =
            || check_mark(PathBuf::from("/dev/vda7"), folder.path()).map_err(|error| error.to_string());
        assert_eq!(
            check().unwrap_err(),
            "file system on `/dev/vda7` has no mark `.imgbuild-state`: it was not made for this node"
        );
        fs::write(folder.path().join(MARK), "2\n").unwrap();
        assert_eq!(check().unwrap_err(), "state on `/dev/vda7` is of format `2`, this system knows 1");
        write_mark(folder.path()).unwrap();
        assert_eq!(check(), Ok(()));
    }

    #[test]
    fn only_a_disk_that_really_grew_is_resized() {
        for (file_system, partition, expected) in [
            (1 << 30, 1 << 30, false),
            (1 << 30, (1 << 30) + (64 << 20), false),
            (1 << 30, 2 << 30, true),
            (2, 1, false),
        ] {
            assert_eq!(is_worth_growing(file_system, partition), expected);
        }
    }
}
