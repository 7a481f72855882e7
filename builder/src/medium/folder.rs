//! A build folder that exists, and what lies in its disk.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use thiserror::Error;

use crate::bundle::manifest::{DISK, Manifest, ManifestError, Partition};
use crate::bundle::seal;
use crate::format::erofs;
use crate::format::gpt::{self, Table};
use crate::regular_file;
use crate::tree::Tree;
use crate::units::SectorSize;

/// A build folder.
#[derive(Clone, Debug)]
pub struct Folder {
    /// Where it is.
    pub path: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
}

/// Why something in a build folder cannot be used.
#[derive(Debug, Error)]
pub enum FolderError {
    /// The system refused.
    #[error("reading `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The root is no file system that is understood.
    #[error("reading the file system in `{}`", path.display())]
    Root {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: erofs::ReadError,
    },
    /// The disk has no table that is understood.
    #[error("reading the partition table of `{}`", path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: gpt::ReadError,
    },
}

impl Folder {
    /// Reads the manifest of the folder at `path`.
    pub fn open(path: &Path) -> Result<Self, ManifestError> {
        Ok(Self { path: path.to_owned(), manifest: Manifest::load(path)? })
    }

    /// One of its files.
    pub fn file(&self, name: &str) -> Result<File, FolderError> {
        let path = self.path.join(name);
        regular_file::open(&path).map_err(|source| FolderError::Read { path, source })
    }

    /// All of one of its files.
    pub fn content(&self, name: &str) -> Result<Vec<u8>, FolderError> {
        let mut content = Vec::new();
        let read = self.file(name)?.read_to_end(&mut content);
        read.map_err(|source| FolderError::Read { path: self.path.join(name), source })?;
        Ok(content)
    }

    /// The tree in its root file system.
    pub fn root(&self) -> Result<Tree, FolderError> {
        let image = Bytes::from(self.content(seal::ROOT)?);
        let path = self.path.join(seal::ROOT);
        erofs::read(&image).map_err(|source| FolderError::Root { path, source })
    }

    /// The table of its disk.
    pub fn table(&self) -> Result<Table, FolderError> {
        let mut disk = self.file(DISK)?;
        gpt::read(&mut disk).map_err(|source| FolderError::Table { path: self.path.join(DISK), source })
    }
}

/// Where a partition begins on a disk, in bytes.
pub fn start(partition: &Partition, sector_size: SectorSize) -> u64 {
    partition.first.0.saturating_mul(u64::from(sector_size.bytes()))
}
