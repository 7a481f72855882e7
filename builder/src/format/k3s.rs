//! What a k3s release carries: a tar archive, compressed by zstd, inside an ELF program.
//!
//! The release is a small Go program around one asset, `<H>.tar.zst`, in which H is the SHA-256 of the
//! compressed archive itself (k3s, `scripts/package-cli`). The asset lies in one piece, as go-bindata puts
//! it there without compressing again:
//!
//! ```text
//! ELF header … code … "…/<H>.tar.zst" … 28 b5 2f fd <the rest of the frame> …
//! ```
//!
//! So the file itself says where the asset is: of all zstd frames in it, the one whose digest it also
//! names. Nothing is run, and nothing of the ELF file beyond its first bytes is relied on.

mod frame;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use memchr::memmem;
use sha2::Digest as _;
use thiserror::Error;

use crate::units::{Bytes, Sha256};

/// What follows the digest in the asset's name.
const SUFFIX: &[u8] = b".tar.zst";
/// Hexadecimal digits of the digest.
const DIGITS: usize = 64;
/// The magic number of ELF files, and the class of those with 64 bits (ELF specification, `e_ident`).
const ELF64: &[u8] = b"\x7fELF\x02";
/// Frames are followed and hashed for at most so many times the length of the file: a real release needs
/// two, a file made of nested frames would need as many as it has bytes.
const EFFORT: u64 = 6;

/// The asset of a release.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Asset<'a> {
    /// Its digest, which k3s names its folder by.
    pub digest: Sha256,
    /// A tar archive, compressed by zstd.
    pub archive: &'a [u8],
}

/// Why a file is no k3s release.
#[derive(Debug, Error, Eq, PartialEq)]
pub enum K3sError {
    /// No 64-bit ELF file.
    #[error("no k3s release: it is no 64-bit ELF file")]
    NotElf,
    /// Nothing is called like an asset.
    #[error("no k3s release: it names no `<sha256>.tar.zst`")]
    NoName,
    /// No frame fits a name.
    #[error("it names `{name}.tar.zst`, but none of its {frames} zstd frames has that digest")]
    NoFrame {
        /// The first name.
        name: Sha256,
        /// Whole frames that were looked at.
        frames: usize,
    },
    /// More than one asset.
    #[error("it carries `{first}.tar.zst` and `{second}.tar.zst`, and a k3s release carries one")]
    Several {
        /// The asset that lies first.
        first: Sha256,
        /// The next.
        second: Sha256,
    },
    /// Too much to look at.
    #[error("it has more zstd frames than can be looked at: {frames} in {size}")]
    TooMany {
        /// Whole frames so far.
        frames: usize,
        /// Size of the file.
        size: Bytes,
    },
}

/// Finds the asset of the release `file`.
pub fn find(file: &[u8]) -> Result<Asset<'_>, K3sError> {
    if !file.starts_with(ELF64) {
        return Err(K3sError::NotElf);
    }
    let names = names(file);
    let Some(name) = names.first().copied() else { return Err(K3sError::NoName) };
    let names: BTreeSet<Sha256> = names.into_iter().collect();
    let mut search = Search { file, names, frames: 0, effort: Bytes::of(file).0.saturating_mul(EFFORT) };
    let mut found: Option<Asset<'_>> = None;
    let finder = memmem::Finder::new(&frame::MAGIC);
    let mut from = 0;
    while let Some(start) = finder.find(file.get(from..).unwrap_or_default()).map(|at| from + at) {
        let Some(asset) = search.asset_at(start)? else {
            from = start + 1;
            continue;
        };
        if let Some(first) = found.filter(|first| first.digest != asset.digest) {
            return Err(K3sError::Several { first: first.digest, second: asset.digest });
        }
        from = start + asset.archive.len();
        found = Some(asset);
    }
    found.ok_or(K3sError::NoFrame { name, frames: search.frames })
}

/// Digests that the file names, in its order.
fn names(file: &[u8]) -> Vec<Sha256> {
    memmem::find_iter(file, SUFFIX)
        .filter_map(|end| std::str::from_utf8(file.get(end.checked_sub(DIGITS)?..end)?).ok()?.parse().ok())
        .collect()
}

struct Search<'a> {
    file: &'a [u8],
    names: BTreeSet<Sha256>,
    /// Whole frames so far.
    frames: usize,
    /// Bytes that may still be followed or hashed.
    effort: u64,
}

impl<'a> Search<'a> {
    /// The asset that begins at `start`: a frame, or frames one after the other, whose digest is a name.
    fn asset_at(&mut self, start: usize) -> Result<Option<Asset<'a>>, K3sError> {
        let data = self.file.get(start..).unwrap_or_default();
        let mut hasher = sha2::Sha256::new();
        let mut end = 0;
        loop {
            let next = data.get(end..).unwrap_or_default();
            let (frame, is_whole) = frame::span(next);
            self.spend(frame)?;
            if !is_whole {
                return Ok(None);
            }
            self.frames = self.frames.saturating_add(1);
            self.spend(frame)?;
            hasher.update(frame);
            end = end.saturating_add(frame.len());
            let digest = Sha256(hasher.clone().finalize().into());
            if self.names.contains(&digest) {
                return Ok(Some(Asset { digest, archive: data.get(..end).unwrap_or_default() }));
            }
        }
    }

    fn spend(&mut self, looked_at: &[u8]) -> Result<(), K3sError> {
        let too_many = || K3sError::TooMany { frames: self.frames, size: Bytes::of(self.file) };
        self.effort = self.effort.checked_sub(Bytes::of(looked_at).0).ok_or_else(too_many)?;
        Ok(())
    }
}
