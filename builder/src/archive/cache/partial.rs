//! Files that are not complete yet: `<sha256>.partial` beside the final name, locked by their writer.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::Digest as _;
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _};

use super::{Cache, CacheError, hash, make_folder};
use crate::units::{Bytes, Sha256};

/// How often a process looks whether another one has finished the same file.
const POLL: Duration = Duration::from_millis(100);

/// What [`Cache::take`] finds.
#[derive(Debug)]
pub enum Claim {
    /// The whole file.
    Present(PathBuf),
    /// The beginning of it, perhaps empty.
    Partial(Box<Partial>),
}

/// The beginning of a file, and the hash of it. Locked until dropped; stays usable whenever that is.
#[derive(Debug)]
pub struct Partial {
    file: tokio::fs::File,
    path: PathBuf,
    complete: PathBuf,
    length: u64,
    hasher: sha2::Sha256,
}

/// How a complete file turned out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Finished {
    /// It fits its digest and lies here.
    Kept(PathBuf),
    /// It has another digest and was removed.
    Dropped {
        /// The digest it has.
        found: Sha256,
    },
}

impl Partial {
    pub(super) async fn take(
        cache: &Cache,
        size: Option<Bytes>,
        sha256: Sha256,
    ) -> Result<Claim, CacheError> {
        loop {
            let cache = cache.clone();
            let attempt = blocking(move || attempt(&cache, size, sha256));
            if let Some(slot) = attempt.await? {
                return Ok(slot);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// How much there is.
    pub fn length(&self) -> Bytes {
        Bytes(self.length)
    }

    /// Adds the next bytes.
    pub async fn append(&mut self, chunk: &[u8]) -> Result<(), CacheError> {
        self.file.write_all(chunk).await.map_err(|source| CacheError::new(&self.path, source))?;
        self.hasher.update(chunk);
        self.length += Bytes::of(chunk).0;
        Ok(())
    }

    /// Waits until what was added is in the file.
    pub async fn flush(&mut self) -> Result<(), CacheError> {
        self.file.flush().await.map_err(|source| CacheError::new(&self.path, source))
    }

    /// Throws away what there is.
    pub async fn restart(&mut self) -> Result<(), CacheError> {
        let emptied = async {
            // Earlier writes may still be on their way to the file.
            self.file.flush().await?;
            self.file.set_len(0).await?;
            self.file.rewind().await
        };
        emptied.await.map_err(|source| CacheError::new(&self.path, source))?;
        self.hasher = sha2::Sha256::new();
        self.length = 0;
        Ok(())
    }

    /// Gives the file its final name if it fits `expected`, else removes it.
    pub async fn finish(mut self, expected: Sha256) -> Result<Finished, CacheError> {
        self.flush().await?;
        let found = Sha256(self.hasher.finalize_reset().into());
        if found != expected {
            self.remove()?;
            return Ok(Finished::Dropped { found });
        }
        std::fs::rename(&self.path, &self.complete)
            .map_err(|source| CacheError::new(&self.complete, source))?;
        Ok(Finished::Kept(self.complete))
    }

    /// Removes the file.
    pub fn remove(&self) -> Result<(), CacheError> {
        std::fs::remove_file(&self.path).map_err(|source| CacheError::new(&self.path, source))
    }
}

/// Looks for the file, then tries to lock its partial; `None` if another process has it.
fn attempt(cache: &Cache, size: Option<Bytes>, sha256: Sha256) -> Result<Option<Claim>, CacheError> {
    if let Some(path) = cache.find(size, sha256)? {
        return Ok(Some(Claim::Present(path)));
    }
    let complete = cache.path(sha256);
    let path = complete.with_extension("partial");
    make_folder(complete.parent().unwrap_or(&complete))?;
    let Some(file) = open_locked(&path).map_err(|source| CacheError::new(&path, source))? else {
        return Ok(None);
    };
    // It may have been completed between the first look and the lock; the lock file is then a new one.
    if let Some(present) = cache.find(size, sha256)? {
        std::fs::remove_file(&path).map_err(|source| CacheError::new(&path, source))?;
        return Ok(Some(Claim::Present(present)));
    }
    // Reading to the end also puts the file's position there.
    let (length, hasher) = hash(&file).map_err(|source| CacheError::new(&path, source))?;
    let file = tokio::fs::File::from_std(file);
    Ok(Some(Claim::Partial(Box::new(Partial { file, path, complete, length, hasher }))))
}

/// Opens or makes the file and locks it; `None` if it is locked, or was renamed or removed meanwhile.
fn open_locked(path: &Path) -> io::Result<Option<File>> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let ours = file.metadata()?;
    let named = match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let is_same = (ours.dev(), ours.ino()) == (named.dev(), named.ino());
    Ok(is_same.then_some(file))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CacheError> + Send + 'static,
) -> Result<T, CacheError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        let source = io::Error::other(error);
        Err(CacheError::Unusable { path: "(reading)".to_owned(), source })
    })
}
