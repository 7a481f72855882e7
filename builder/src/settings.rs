//! Profiles and images as files: embedded in the program, overridden by files beside `cluster.toml`.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};
use thiserror::Error;

use crate::diagnostic::{Faults, listed, report};
use crate::regular_file;
use crate::units::Bytes;

static PROFILES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../profiles");
static IMAGES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../images");

/// Which settings.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// `profiles/*.toml`.
    Profile,
    /// `images/*.toml`.
    Image,
}

/// Files in the folders of settings that are none of the kind: what setup knows of maintainer scripts, and the
/// downloads that profiles name.
const OTHERS: [&str; 2] = ["reviewed", "artifacts"];

/// The longest settings file that is read; people write some KiB.
const LONGEST: Bytes = Bytes(16 << 20);

/// A settings file, found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// The path it is shown by: beside the cluster file, or below the program's own folder.
    pub shown: String,
    /// Its text.
    pub text: String,
}

/// Why a settings file can't be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The system refused.
    #[error("reading `{}`", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is no UTF-8 text.
    #[error(transparent)]
    Text(#[from] Faults),
}

/// Why settings can't be loaded.
#[derive(Debug, Error)]
pub enum LoadError {
    /// No file of that name, embedded or beside the cluster file.
    #[error("there is no {} `{name}`; known are {}", kind.noun(), listed(known.iter().map(String::as_str)))]
    Unknown {
        /// Profile or image.
        kind: Kind,
        /// The name asked for.
        name: String,
        /// All names.
        known: Vec<String>,
    },
    /// A file that can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The file has faults.
    #[error(transparent)]
    Faults(#[from] Faults),
}

impl LoadError {
    /// The faults of settings files, or whatever else it is.
    pub fn into_faults(self) -> Result<Faults, Self> {
        match self {
            Self::Faults(faults) | Self::Read(ReadError::Text(faults)) => Ok(faults),
            other => Err(other),
        }
    }
}

impl Kind {
    /// One of them in words.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Profile => "profile",
            Self::Image => "image",
        }
    }

    /// Folder beside the cluster file and in the program.
    pub const fn folder(self) -> &'static str {
        match self {
            Self::Profile => "profiles",
            Self::Image => "images",
        }
    }

    const fn embedded(self) -> &'static Dir<'static> {
        match self {
            Self::Profile => &PROFILES,
            Self::Image => &IMAGES,
        }
    }
}

/// Reads a settings file.
pub fn read(path: &Path) -> Result<String, ReadError> {
    let bytes = regular_file::read(path, LONGEST)
        .map_err(|source| ReadError::Io { path: path.to_owned(), source })?;
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(error) => Err(report::not_text(&path.display().to_string(), &bytes, error).into()),
    }
}

/// Finds the settings called `name`: beside the cluster file in `directory`, else in the program.
pub fn find(kind: Kind, name: &str, directory: &Path) -> Result<Option<Settings>, ReadError> {
    Ok(beside(kind, name, directory)?.or_else(|| embedded(kind, name)))
}

/// The settings called `name` beside the cluster file in `directory`.
pub fn beside(kind: Kind, name: &str, directory: &Path) -> Result<Option<Settings>, ReadError> {
    let path = directory.join(kind.folder()).join(format!("{name}.toml"));
    // Whatever has the name is meant; what is no file is a fault and no reason to take another one.
    if path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return Ok(None);
    }
    // Shown without the leading `./` that a cluster file in the working directory brings.
    let path = path.strip_prefix(".").unwrap_or(&path);
    Ok(Some(Settings { shown: path.display().to_string(), text: read(path)? }))
}

/// The program's own settings called `name`.
pub fn embedded(kind: Kind, name: &str) -> Option<Settings> {
    let file = format!("{name}.toml");
    let text = kind.embedded().get_file(&file)?.contents_utf8()?.to_owned();
    Some(Settings { shown: format!("<imgbuild>/{}/{file}", kind.folder()), text })
}

/// Finds the settings called `name`, which must be there.
pub fn load(kind: Kind, name: &str, directory: &Path) -> Result<Settings, LoadError> {
    match find(kind, name, directory)? {
        Some(settings) => Ok(settings),
        None => Err(LoadError::Unknown { kind, name: name.to_owned(), known: names(kind, directory)? }),
    }
}

/// Names of all settings of a kind, embedded or in `directory`, sorted.
pub fn names(kind: Kind, directory: &Path) -> Result<Vec<String>, ReadError> {
    let mut names: BTreeSet<String> =
        kind.embedded().files().filter_map(|file| name_of(file.path())).collect();
    let folder = directory.join(kind.folder());
    let wrap = |source| ReadError::Io { path: folder.clone(), source };
    match std::fs::read_dir(&folder) {
        Ok(entries) => {
            for entry in entries {
                names.extend(name_of(&entry.map_err(wrap)?.path()));
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(wrap(error)),
    }
    Ok(names.into_iter().collect())
}

fn name_of(path: &Path) -> Option<String> {
    let is_settings = path.extension().is_some_and(|extension| extension == "toml");
    let name = is_settings.then(|| path.file_stem()?.to_str()).flatten()?;
    (!OTHERS.contains(&name)).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn embeds_every_file_of_the_source_folders() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for kind in [Kind::Profile, Kind::Image] {
            let all = names(kind, &root).unwrap();
            assert!(!all.is_empty());
            for name in all {
                let path = root.join(kind.folder()).join(format!("{name}.toml"));
                let embedded = embedded(kind, &name).map(|settings| settings.text);
                assert_eq!(embedded, std::fs::read_to_string(path).ok(), "{name}");
            }
        }
    }
}
