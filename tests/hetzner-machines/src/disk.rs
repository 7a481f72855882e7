//! Disks of servers, and snapshots of them: sparse files.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use imgbuild::format::gpt;
use imgbuild::machine::{disk, late_timers};
use imgbuild::units::Bytes;
use thiserror::Error;

/// Bytes of a gigabyte, as disks are sold.
const GIGABYTE: u64 = 1_000_000_000;
/// Bytes of a block in what a file occupies (stat(2)).
const BLOCK: u64 = 512;

/// Why there is no such disk.
#[derive(Debug, Error)]
pub(crate) enum DiskError {
    /// A snapshot or a disk is not copied.
    #[error(transparent)]
    Copy(#[from] disk::CopyError),
    /// A file is not as it should be.
    #[error("making disk `{}`", path.display())]
    Make {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The boot loader's arguments cannot be changed.
    #[error(transparent)]
    Arguments(#[from] late_timers::ArgumentsError),
}

/// A size of so many gigabytes in whole sectors of any size.
pub(crate) const fn size(gigabytes: u64) -> Bytes {
    let bytes = gigabytes.saturating_mul(GIGABYTE);
    Bytes(bytes.saturating_sub(bytes % (1 << 20)))
}

/// Makes the disk at `path` with the content of a snapshot, or with nothing on it. It is no smaller than the snapshot.
pub(crate) fn make(path: &Path, snapshot: Option<&Path>, size: Bytes) -> Result<(), DiskError> {
    let failed = |source| DiskError::Make { path: path.to_owned(), source };
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    match snapshot {
        Some(snapshot) => disk::copy(snapshot, path, Bytes(0))?,
        None => drop(File::create_new(path).map_err(failed)?),
    }
    grow(path, size)
}

/// Makes a disk larger, if it is not.
pub(crate) fn grow(path: &Path, size: Bytes) -> Result<(), DiskError> {
    let grow = || {
        let file = File::options().write(true).open(path)?;
        let length = file.metadata()?.len();
        file.set_len(length.max(size.0))
    };
    grow().map_err(|source| DiskError::Make { path: path.to_owned(), source })
}

/// Makes a snapshot of a disk that nobody writes to meanwhile; returns the gigabytes that it occupies.
pub(crate) fn snapshot(disk: &Path, snapshot: &Path) -> Result<f64, DiskError> {
    disk::copy(disk, snapshot, Bytes(0))?;
    let metadata = fs::metadata(snapshot);
    let metadata = metadata.map_err(|source| DiskError::Make { path: snapshot.to_owned(), source })?;
    let megabytes = metadata.blocks().saturating_mul(BLOCK).div_ceil(GIGABYTE / 1000);
    Ok(f64::from(u32::try_from(megabytes).unwrap_or(u32::MAX)) / 1000.0)
}

/// Lets one of our images start by an emulated BIOS, whose timers are late; says whether it is one.
pub(crate) fn allow_late_timers(path: &Path) -> Result<bool, DiskError> {
    let opened = File::options().read(true).write(true).open(path);
    let mut file = opened.map_err(|source| DiskError::Make { path: path.to_owned(), source })?;
    // What has no table of ours is somebody else's.
    let Ok(table) = gpt::read(&mut file) else { return Ok(false) };
    let Some(esp) = table.entries.iter().find(|entry| entry.label == "esp") else { return Ok(false) };
    let sector = u64::from(table.sector_size.bytes());
    let (start, end) =
        (esp.first.0.saturating_mul(sector), esp.last.0.saturating_add(1).saturating_mul(sector));
    late_timers::allow(path, Bytes(start), Bytes(end.saturating_sub(start)))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use super::*;

    #[test]
    fn a_server_of_a_snapshot_has_its_content_and_its_own_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        assert_eq!(size(3), Bytes(3_000_000_000 - 3_000_000_000 % 1_048_576));
        make(&path("disk"), None, Bytes(8 << 20)).unwrap();
        File::options()
            .write(true)
            .open(path("disk"))
            .unwrap()
            .write_all_at(&vec![7; 5 << 20], 1 << 20)
            .unwrap();
        let occupied = snapshot(&path("disk"), &path("snapshot")).unwrap();
        assert!((0.005..0.008).contains(&occupied), "{occupied}");
        // A server may be smaller than the snapshot's only where the sizes of disks are capped.
        for (gigabytes, expected) in [(Bytes(16 << 20), 16 << 20), (Bytes(1 << 20), 8 << 20)] {
            make(&path("other"), Some(&path("snapshot")), gigabytes).unwrap();
            assert_eq!(fs::metadata(path("other")).unwrap().len(), expected);
            let mut content = [0; 3];
            File::open(path("other")).unwrap().read_exact_at(&mut content, (1 << 20) - 1).unwrap();
            assert_eq!(content, [0, 7, 7]);
        }
        grow(&path("other"), Bytes(32 << 20)).unwrap();
        assert_eq!(fs::metadata(path("other")).unwrap().len(), 32 << 20);
        assert!(!allow_late_timers(&path("other")).unwrap(), "it is no image");
    }
}
