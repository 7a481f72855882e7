//! The cache: files by their digest, `sha256/ab/abcdef…`, shared by any number of processes.
//!
//! A file has its final name only when all its bytes fit the digest; until then it is a *partial*, which
//! one process at a time may write. Nothing is synced: what a power cut damages is seen by its digest.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use sha2::Digest as _;
use thiserror::Error;

pub use self::partial::{Claim, Finished, Partial};
use crate::environment;
use crate::units::{Bytes, Sha256};

mod partial;

/// Name of the folder of [derived](crate::derived) data.
const DERIVED: &str = "derived";

/// The folder that keeps downloads.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cache {
    root: PathBuf,
}

/// Why the cache cannot be used.
#[derive(Debug, Error)]
pub enum CacheError {
    /// No folder was given, and the environment names none.
    #[error(
        "no folder for the cache: neither XDG_CACHE_HOME nor HOME is an absolute path; give one with --cache"
    )]
    NoFolder,
    /// The disk is full.
    #[error("no space left for cache file `{path}`")]
    Full {
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// Anything else.
    #[error("cache file `{path}` is not usable")]
    Unusable {
        /// The file or folder.
        path: String,
        /// What the system said.
        source: io::Error,
    },
}

impl CacheError {
    pub(super) fn new(path: &Path, source: io::Error) -> Self {
        let path = path.display().to_string();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path, source },
            _ => Self::Unusable { path, source },
        }
    }
}

impl Cache {
    /// The folders it keeps its files in; whatever else lies beside them is not the cache's.
    pub fn folders(&self) -> [PathBuf; 4] {
        ["done", DERIVED, "indices", "sha256"].map(|name| self.root.join(name))
    }

    /// Where derived data lies, or would lie.
    pub fn derived(&self) -> PathBuf {
        self.root.join(DERIVED)
    }

    /// Uses the folder `root`, which is made if it is missing.
    pub fn open(root: &Path) -> Result<Self, CacheError> {
        let cache = Self { root: root.to_owned() };
        for folder in cache.folders() {
            make_folder(&folder)?;
        }
        Ok(cache)
    }

    /// Uses the user's own cache folder.
    pub fn open_default() -> Result<Self, CacheError> {
        Self::open(&environment::own_folder(environment::CACHE_HOME, ".cache").ok_or(CacheError::NoFolder)?)
    }

    /// Where the file with this digest lies, or would lie.
    pub fn path(&self, sha256: Sha256) -> PathBuf {
        let name = sha256.to_string();
        let folder = name.get(..2).unwrap_or_default();
        self.root.join("sha256").join(folder).join(&name)
    }

    /// The file with this digest, if it is there and intact: every byte is hashed again. A known size saves
    /// reading what is not whole.
    pub fn find(
        &self,
        size: impl Into<Option<Bytes>>,
        sha256: Sha256,
    ) -> Result<Option<PathBuf>, CacheError> {
        let path = self.path(sha256);
        let unusable = |source| CacheError::new(&path, source);
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(unusable)?,
        };
        let length = Bytes(file.metadata().map_err(unusable)?.len());
        if size.into().is_some_and(|size| size != length) {
            return Ok(None);
        }
        let (_, hasher) = hash(file).map_err(unusable)?;
        Ok((Sha256(hasher.finalize().into()) == sha256).then_some(path))
    }

    /// Takes the file with this digest if it is there, else its partial, for this process alone.
    ///
    /// Waits while another process downloads the same file.
    pub async fn take(&self, size: impl Into<Option<Bytes>>, sha256: Sha256) -> Result<Claim, CacheError> {
        Partial::take(self, size.into(), sha256).await
    }

    /// The `InRelease` file last kept for `url`; nothing about it is checked.
    pub fn release(&self, url: &str) -> Result<Option<Vec<u8>>, CacheError> {
        let path = self.release_path(url);
        match std::fs::read(&path) {
            Ok(data) => Ok(Some(data)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(CacheError::new(&path, source)),
        }
    }

    /// Keeps the `InRelease` file of `url` in the place of an older one.
    pub fn keep_release(&self, url: &str, data: &[u8]) -> Result<(), CacheError> {
        let path = self.release_path(url);
        replace(&path, data).map_err(|source| CacheError::new(&path, source))
    }

    /// Whether work with these inputs has been done and needed nothing.
    pub fn is_done(&self, inputs: Sha256) -> bool {
        self.done_path(inputs).is_file()
    }

    /// Remembers that work with these inputs needs nothing.
    pub fn keep_done(&self, inputs: Sha256) -> Result<(), CacheError> {
        let path = self.done_path(inputs);
        replace(&path, &[]).map_err(|source| CacheError::new(&path, source))
    }

    fn done_path(&self, inputs: Sha256) -> PathBuf {
        self.root.join("done").join(inputs.to_string())
    }

    fn release_path(&self, url: &str) -> PathBuf {
        self.root.join("indices").join(format!("{}.InRelease", Sha256::of(url.as_bytes())))
    }
}

/// Puts `data` under its final name at once, so that a reader finds the old or the new file.
pub(crate) fn replace(path: &Path, data: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // As any file the user makes: the umask says who may read it.
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    let mut file = tempfile::Builder::new().permissions(permissions).tempfile_in(folder)?;
    io::Write::write_all(&mut file, data)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

fn make_folder(path: &Path) -> Result<(), CacheError> {
    std::fs::create_dir_all(path).map_err(|source| CacheError::new(path, source))
}

/// Length and running hash of what is left in `file`.
fn hash(mut file: impl io::Read) -> io::Result<(u64, sha2::Sha256)> {
    let mut hasher = sha2::Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    let mut length = 0;
    loop {
        let chunk = match file.read(&mut buffer) {
            Ok(0) => return Ok((length, hasher)),
            Ok(count) => buffer.get(..count).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        length += Bytes::of(chunk).0;
        hasher.update(chunk);
    }
}
