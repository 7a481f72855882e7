//! The artifacts of a bundle: their bytes, and what the image says of those that are not as pinned.

use anyhow::Context as _;
use bytes::Bytes;
use firstboot::artifacts;

use crate::profile::Placement;
use crate::rootfs::artifact;
use crate::tree::{Metadata, Tree};
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
    /// The file.
    pub content: Bytes,
    /// Its digest.
    pub sha256: Sha256,
    /// Where it goes.
    pub placement: Placement,
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

    /// Puts all of them into the root, and the file that firstboot shows their lack by.
    pub fn place(&self, tree: &mut Tree) -> anyhow::Result<()> {
        for Supplied { name, content, placement, .. } in &self.supplied {
            artifact::place(tree, content, placement)
                .with_context(|| format!("putting artifact `{name}` into the root"))?;
        }
        let shown =
            artifacts::Artifacts { version: 1, unpinned: self.unpinned(), absent: self.absent.clone() };
        let mut text = serde_json::to_vec_pretty(&shown).context("rendering the list of artifacts")?;
        text.push(b'\n');
        Ok(tree.write(PATH, Metadata::FILE, text)?)
    }
}
