//! The artifacts of a bundle: their bytes, and what the image says of those that are not as pinned.

use std::path::PathBuf;

use anyhow::Context as _;
use bytes::Bytes;
use firstboot::artifacts;
use thiserror::Error;

use crate::profile::Placement;
use crate::rootfs::artifact::{self, ArtifactError};
use crate::rootfs::elf::ElfError;
use crate::tree::{Metadata, Tree, is_within};
use crate::units::Sha256;

/// Where the image says what it lacks, below the root.
const PATH: &str = artifacts::PATH.split_at(1).1;

/// All artifacts of a profile.
#[derive(Clone, Debug, Default)]
pub struct Artifacts {
    /// Those that go into the root, sorted by name.
    pub supplied: Vec<Supplied>,
    /// Names of those that are left out, sorted.
    pub absent: Vec<String>,
}

/// An artifact that goes into the root.
#[derive(Clone, Debug)]
pub struct Supplied {
    /// Its name.
    pub name: String,
    /// The pinned version; none of a file that is another than the pinned one.
    pub version: Option<String>,
    /// The file that was given by hand, where one was.
    pub file: Option<PathBuf>,
    /// Its content.
    pub content: Bytes,
    /// Its digest.
    pub sha256: Sha256,
    /// Where it goes.
    pub placement: Placement,
}

/// A file given by hand is not what the artifact is; the user's input.
#[derive(Debug, Error)]
pub enum GivenError {
    /// It has not the form.
    #[error("`{}` is no artifact `{name}`, which is {expected}", file.display())]
    Content {
        /// The file.
        file: PathBuf,
        /// The artifact it was given for.
        name: String,
        /// What that is.
        expected: String,
        /// What the file is instead.
        source: ArtifactError,
    },
    /// It brings programs that do not run.
    #[error("`{}`, given as artifact `{name}`, has programs that do not run in the image", file.display())]
    Programs {
        /// The file.
        file: PathBuf,
        /// The artifact it was given for.
        name: String,
        /// All programs that do not run.
        source: ElfError,
    },
}

impl Supplied {
    /// Where it lies in the root: files, and folders with all that is in them.
    pub fn places(&self) -> Vec<String> {
        artifact::places(self.sha256, &self.placement)
    }

    /// Whether it is the pinned file.
    pub fn is_pinned(&self) -> bool {
        self.version.is_some()
    }
}

impl Artifacts {
    /// Names of those that are not the pinned files, sorted.
    pub fn unpinned(&self) -> Vec<String> {
        let unpinned = self.supplied.iter().filter(|artifact| !artifact.is_pinned());
        unpinned.map(|artifact| artifact.name.clone()).collect()
    }

    /// Says whose programs do not run, where a file given by hand brought them.
    pub fn blame(&self, error: ElfError) -> anyhow::Error {
        let brought = |supplied: &&Supplied| {
            let places = supplied.places();
            error.lacks.iter().any(|lack| places.iter().any(|place| is_within(lack.path(), place)))
        };
        let mut given = self.supplied.iter().filter(|supplied| supplied.file.is_some());
        match given.find(brought) {
            Some(Supplied { file: Some(file), name, .. }) => {
                let (file, name) = (file.clone(), name.clone());
                GivenError::Programs { file, name, source: error }.into()
            }
            _ => error.into(),
        }
    }

    /// Puts all of them into the root, and the file that firstboot shows their lack by.
    pub fn place(&self, tree: &mut Tree) -> anyhow::Result<()> {
        for Supplied { name, file, content, placement, .. } in &self.supplied {
            let placed = artifact::place(tree, content, placement).map_err(|error| match file {
                Some(file) if error.is_of_content() => {
                    let (file, name, expected) = (file.clone(), name.clone(), artifact::expected(placement));
                    GivenError::Content { file, name, expected, source: error }.into()
                }
                _ => anyhow::Error::from(error),
            });
            placed.with_context(|| format!("putting artifact `{name}` into the root"))?;
        }
        let shown =
            artifacts::Artifacts { version: 1, unpinned: self.unpinned(), absent: self.absent.clone() };
        let mut text = serde_json::to_vec_pretty(&shown).context("rendering the list of artifacts")?;
        text.push(b'\n');
        Ok(tree.write(PATH, Metadata::FILE, text)?)
    }
}
