//! The image here.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use sha2::Digest as _;
use tokio::task::JoinHandle;

use super::UploadError;
use super::plan::{self, BLOCK, Zeros};
use crate::bundle::sparse;
use crate::regular_file;
use crate::units::{Bytes, Sha256};

/// Bytes that are hashed at a time.
const BUFFER: u64 = 1 << 20;

/// An open image.
#[derive(Debug)]
pub(super) struct Local {
    path: PathBuf,
    file: File,
    size: Bytes,
}

impl Local {
    pub(super) fn open(path: &Path) -> Result<Self, UploadError> {
        let fault = |source| UploadError::Image { path: path.to_owned(), source };
        let file = regular_file::open(path).map_err(fault)?;
        match Bytes(file.metadata().map_err(fault)?.len()) {
            Bytes(0) => Err(UploadError::Empty { path: path.to_owned() }),
            size => Ok(Self { path: path.to_owned(), file, size }),
        }
    }

    pub(super) const fn size(&self) -> Bytes {
        self.size
    }

    /// The blocks that are to be sent: those of data, of which some may be zero, or all.
    pub(super) fn blocks(&self, zeros: Zeros) -> Result<Vec<Range<u64>>, UploadError> {
        match zeros {
            Zeros::Skipped => {
                let sections = sparse::sections(&self.file, self.size).map_err(|error| self.fault(error))?;
                Ok(plan::blocks(&sections))
            }
            Zeros::Written => Ok(plan::blocks(std::slice::from_ref(&(0..self.size.0)))),
        }
    }

    /// Appends a block to `data`; the last one may be a part of one.
    pub(super) fn read(&self, block: u64, data: &mut Vec<u8>) -> Result<(), UploadError> {
        let start = block.saturating_mul(BLOCK);
        let length = BLOCK.min(self.size.0.saturating_sub(start));
        let begin = data.len();
        data.resize(begin.saturating_add(usize::try_from(length).unwrap_or(usize::MAX)), 0);
        self.file.read_exact_at(&mut data[begin..], start).map_err(|error| self.fault(error))
    }

    /// Its digest, by a thread that begins now.
    pub(super) fn digest(
        self: &Arc<Self>,
    ) -> impl Future<Output = Result<Sha256, UploadError>> + Send + use<> {
        let whole = self.hash_parts(self.size.0);
        async { Ok(whole.await?.first().copied().unwrap_or_else(|| Sha256::of(b""))) }
    }

    /// The digests of its parts of so many bytes, the last of which may be shorter.
    pub(super) async fn digests(self: &Arc<Self>, part: u64) -> Result<Vec<Sha256>, UploadError> {
        self.hash_parts(part).await
    }

    /// The thread ends when nobody waits for it any more: a runtime does not end before its threads.
    fn hash_parts(
        self: &Arc<Self>,
        part: u64,
    ) -> impl Future<Output = Result<Vec<Sha256>, UploadError>> + Send + use<> {
        let (image, wanted) = (Arc::clone(self), Arc::new(()));
        let asked = Arc::downgrade(&wanted);
        let hashing: JoinHandle<io::Result<Vec<Sha256>>> = tokio::task::spawn_blocking({
            let image = Arc::clone(&image);
            move || (0..image.size.0.div_ceil(part)).map(|index| image.hash(index, part, &asked)).collect()
        });
        async move {
            let hashed = hashing.await.map_err(io::Error::other);
            drop(wanted);
            hashed.flatten().map_err(|error| image.fault(error))
        }
    }

    fn hash(&self, index: u64, part: u64, asked: &Weak<()>) -> io::Result<Sha256> {
        let mut at = index.saturating_mul(part);
        let end = at.saturating_add(part).min(self.size.0);
        let (mut hasher, mut buffer) = (sha2::Sha256::new(), Vec::new());
        while at < end {
            if asked.strong_count() == 0 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let length = BUFFER.min(end.saturating_sub(at));
            buffer.resize(usize::try_from(length).unwrap_or(usize::MAX), 0);
            self.file.read_exact_at(&mut buffer, at)?;
            hasher.update(&buffer);
            at = at.saturating_add(length);
        }
        Ok(Sha256(hasher.finalize().into()))
    }

    /// An error of reading it.
    pub(super) fn fault(&self, source: io::Error) -> UploadError {
        UploadError::Image { path: self.path.clone(), source }
    }
}
