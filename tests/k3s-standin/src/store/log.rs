//! An append-only file of JSON lines: a change is there, synced, before anybody sees it.
//!
//! `kill -9` or a power cut may leave part of a last line, which nobody was told of: it is cut off. Any other
//! line that can't be read is damage, and an error.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use super::Key;

/// Why objects can't be kept.
#[derive(Debug, Error)]
pub enum LogError {
    /// The file.
    #[error("object store `{}`", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not what was written.
    #[error("object store `{}`: line {line} is damaged; remove the file to begin with an empty cluster", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
}

/// One line.
#[derive(Debug, Deserialize, Serialize)]
pub struct Record {
    /// Number of the change.
    pub revision: u64,
    /// Of what.
    pub key: Key,
    /// What it is now; nothing if it was removed.
    pub object: Option<Value>,
}

/// The open file.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: File,
}

impl Log {
    /// Opens or makes the file; what it holds.
    pub fn open(path: &Path) -> Result<(Self, Vec<Record>), LogError> {
        let io = |source| LogError::Io { path: path.to_owned(), source };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(io)?;
        }
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(io)?;
        let content = fs::read(path).map_err(io)?;
        let whole = content.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let mut records = Vec::new();
        for (index, line) in content.get(..whole).unwrap_or_default().split(|byte| *byte == b'\n').enumerate()
        {
            if line.is_empty() {
                continue;
            }
            let damaged =
                |source| LogError::Damaged { path: path.to_owned(), line: index.saturating_add(1), source };
            records.push(serde_json::from_slice(line).map_err(damaged)?);
        }
        let end = u64::try_from(whole).unwrap_or(u64::MAX);
        file.set_len(end).map_err(io)?;
        file.seek(SeekFrom::Start(end)).map_err(io)?;
        Ok((Self { path: path.to_owned(), file }, records))
    }

    /// Writes one record; it is on the disk afterwards.
    pub fn append(&mut self, record: &Record) -> Result<(), LogError> {
        let line = self.line(record)?;
        self.file.write_all(&line).and_then(|()| self.file.sync_data()).map_err(|error| self.io(error))
    }

    /// Replaces the file by `records`.
    pub fn rewrite(&mut self, records: impl Iterator<Item = Record>) -> Result<(), LogError> {
        let path = self.path.with_extension("new");
        let mut content = Vec::new();
        for record in records {
            content.extend(self.line(&record)?);
        }
        let replace = || {
            let mut file = File::create(&path)?;
            file.write_all(&content)?;
            file.sync_all()?;
            fs::rename(&path, &self.path)?;
            if let Some(folder) = self.path.parent() {
                File::open(folder)?.sync_all()?;
            }
            Ok(file)
        };
        self.file = replace().map_err(|error| self.io(error))?;
        Ok(())
    }

    fn line(&self, record: &Record) -> Result<Vec<u8>, LogError> {
        let mut line = serde_json::to_vec(record).map_err(|error| self.io(error.into()))?;
        line.push(b'\n');
        Ok(line)
    }

    fn io(&self, source: io::Error) -> LogError {
        LogError::Io { path: self.path.clone(), source }
    }
}
