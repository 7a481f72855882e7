//! Finding and loading the cluster file.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::{Available, Cluster};
use crate::diagnostic::Faults;
use crate::settings;

/// Name of the cluster file.
pub const FILE_NAME: &str = "cluster.toml";

/// Why there is no cluster.
#[derive(Debug, Error)]
pub enum LoadError {
    /// Neither here nor in any folder above.
    #[error("there is no `{FILE_NAME}` in `{directory}` or above")]
    Missing {
        /// Where the search began.
        directory: PathBuf,
    },
    /// A settings file or folder that can't be read.
    #[error(transparent)]
    Read(#[from] settings::ReadError),
    /// The file has faults.
    #[error(transparent)]
    Faults(#[from] Faults),
}

impl LoadError {
    /// The faults of the cluster file, or whatever else it is.
    pub fn into_faults(self) -> Result<Faults, Self> {
        match self {
            Self::Faults(faults) | Self::Read(settings::ReadError::Text(faults)) => Ok(faults),
            other => Err(other),
        }
    }
}

/// The folder that a file lies in, never empty.
pub fn directory_of(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

impl Cluster {
    /// Loads and checks the cluster file at `path`.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        Self::with_text(path, &settings::read(path)?)
    }

    /// What the cluster file would say with this text.
    pub fn with_text(path: &Path, text: &str) -> Result<Self, LoadError> {
        let directory = directory_of(path);
        let available = Available {
            profiles: settings::names(settings::Kind::Profile, directory)?,
            images: settings::names(settings::Kind::Image, directory)?,
        };
        Ok(Self::parse(text, path, &available)?)
    }

    /// Looks for the cluster file in `directory` and upwards; the path begins with as many `..` as it
    /// took, so that it reads well from where the search began.
    pub fn find(directory: &Path) -> Result<PathBuf, LoadError> {
        let absolute = std::path::absolute(directory)
            .map_err(|source: io::Error| settings::ReadError::Io { path: directory.to_owned(), source })?;
        let mut path = PathBuf::new();
        for folder in absolute.ancestors() {
            // A folder or pipe of that name is a fault to be told, and no reason to look further up.
            if folder.join(FILE_NAME).symlink_metadata().is_ok() {
                let found = path.join(FILE_NAME);
                return Ok(if directory == Path::new(".") { found } else { directory.join(found) });
            }
            path.push("..");
        }
        Err(LoadError::Missing { directory: absolute })
    }
}
