//! Derived data as files: `derived/ab/abcdef…` by key.
//!
//! An entry says itself whether it is whole and is made again if not, so nothing here is synced, and what
//! can't be kept is not.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::archive::cache;
use crate::derived::DerivedCache;
use crate::units::{Bytes, Sha256};

/// Most that is kept: packages and roots of a few profiles.
pub const LIMIT: Bytes = Bytes(2 << 30);
/// An entry's time of last use is right within this, so that a build writes few of them.
const PRECISION: Duration = Duration::from_hours(1);

/// A folder of what one version of imgbuild derived.
#[derive(Clone, Debug)]
pub struct Folder {
    folder: PathBuf,
    program: Sha256,
}

/// An entry in the folder.
#[derive(Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Kept {
    used: SystemTime,
    path: PathBuf,
    size: u64,
}

impl Folder {
    /// Uses `folder` for what the program with this digest derives: another version may do it in
    /// another way, and an image must not tell what was built before it.
    pub fn new(folder: PathBuf, program: Sha256) -> Self {
        Self { folder, program }
    }

    fn path(&self, key: Sha256) -> PathBuf {
        let name = Sha256::of(&[self.program.0, key.0].concat()).to_string();
        self.folder.join(name.get(..2).unwrap_or_default()).join(&name)
    }

    /// Removes what was used longest ago until the rest is no larger than `limit`.
    pub fn trim(&self, limit: Bytes) {
        let mut kept = self.kept();
        let mut total: u64 = kept.iter().map(|entry| entry.size).fold(0, u64::saturating_add);
        kept.sort();
        for entry in kept {
            if total <= limit.0 {
                break;
            }
            if fs::remove_file(&entry.path).is_ok() {
                total = total.saturating_sub(entry.size);
            }
        }
    }

    /// All entries; what can't be looked at is left out.
    fn kept(&self) -> Vec<Kept> {
        let files = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten();
        let entries = files(&self.folder).flat_map(|folder| files(&folder.path()));
        let kept = entries.filter_map(|entry| {
            let metadata = entry.metadata().ok()?;
            Some(Kept { used: metadata.modified().ok()?, path: entry.path(), size: metadata.len() })
        });
        kept.collect()
    }
}

impl DerivedCache for Folder {
    fn get(&self, key: Sha256) -> Option<bytes::Bytes> {
        let path = self.path(key);
        let content = fs::read(&path).ok()?;
        let now = SystemTime::now();
        let is_recent = |used: SystemTime| now.duration_since(used).is_ok_and(|since| since < PRECISION);
        if let Ok(file) = File::open(&path)
            && !file.metadata().and_then(|metadata| metadata.modified()).is_ok_and(is_recent)
        {
            // Where that is not allowed, the entry goes a little early.
            let _ = file.set_modified(now);
        }
        Some(content.into())
    }

    fn put(&self, key: Sha256, value: &[u8]) {
        let path = self.path(key);
        let keep = || -> io::Result<()> {
            fs::create_dir_all(path.parent().unwrap_or(&self.folder))?;
            cache::replace(&path, value)
        };
        // A full disk is no reason to fail a build that needs no cache.
        let _ = keep();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> Sha256 {
        Sha256::of(&[number])
    }

    #[test]
    fn keeps_nothing_for_another_program() {
        let folder = tempfile::tempdir().unwrap();
        let [one, other] = [1, 2].map(|program| Folder::new(folder.path().join("derived"), key(program)));
        one.put(key(3), b"value");
        assert_eq!(one.get(key(3)).as_deref(), Some(&b"value"[..]));
        assert_eq!(other.get(key(3)), None);
    }

    #[test]
    fn forgets_what_was_used_longest_ago() {
        let folder = tempfile::tempdir().unwrap();
        let derived = Folder::new(folder.path().to_owned(), key(0));
        for number in 1..=4 {
            derived.put(key(number), &[number; 100]);
            let old = SystemTime::now() - Duration::from_secs(86_400 * (10 - u64::from(number)));
            File::open(derived.path(key(number))).unwrap().set_modified(old).unwrap();
        }
        derived.get(key(1));
        derived.trim(Bytes(250));
        let left: Vec<u8> = (1..=4).filter(|number| derived.get(key(*number)).is_some()).collect();
        assert_eq!(left, [1, 4]);
        derived.trim(Bytes(250));
        assert!(derived.get(key(4)).is_some(), "there is room for it");
    }

    #[test]
    fn does_without_a_folder_that_can_not_be_made() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let derived = Folder::new(file.path().join("derived"), key(0));
        derived.put(key(1), b"value");
        assert_eq!(derived.get(key(1)), None);
        derived.trim(Bytes(0));
    }
}
