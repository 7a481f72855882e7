//! What a build says of itself to programs of other people: SBOMs, provenance, signature.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

use super::super::{failure, file};
use crate::archive::lock::Selection;
use crate::bundle::manifest::{self, FileFacts, Manifest};
use crate::bundle::sbom::{self, Inventory, Unpacked};
use crate::bundle::signature::{self, SigningKey};
use crate::bundle::{provenance, root::Root};
use crate::rootfs::compose;
use crate::units::{Bytes, Sha256};

/// Makes a document of an inventory.
type Render = fn(&Inventory<'_>) -> Value;

/// Writes SBOMs and provenance into `folder`, and adds them to the manifest, which vouches for them. The provenance
/// comes last, for its subjects are all others.
pub(super) fn write(
    manifest: &mut Manifest,
    selection: &Selection,
    root: &Root,
    boot: &compose::Unpacked,
    folder: &Path,
) -> anyhow::Result<()> {
    let root = Unpacked { tree: &root.tree, debs: &root.debs };
    let boot = Unpacked { tree: &boot.tree, debs: &boot.debs };
    let documents: [(&str, Render); 3] = [
        (sbom::SPDX, sbom::spdx),
        (sbom::CYCLONEDX, sbom::cyclonedx),
        (provenance::FILE, provenance::statement),
    ];
    for (name, render) in documents {
        let inventory = Inventory::new(manifest, selection, root, boot)?;
        let mut text = serde_json::to_vec_pretty(&render(&inventory))?;
        text.push(b'\n');
        let path = folder.join(name);
        fs::write(&path, &text).with_context(|| format!("writing `{}`", path.display()))?;
        let facts = FileFacts { size: Bytes::of(&text), sha256: Sha256::of(&text) };
        manifest.files.insert(name.to_owned(), facts);
    }
    Ok(())
}

/// Signs the manifest that lies in `folder`; without a key, takes away the signature of an earlier build.
pub(super) fn sign(folder: &Path, key: Option<&SigningKey>) -> anyhow::Result<()> {
    let Some(key) = key else { return remove_signature(&folder.join(signature::FILE)) };
    let path = folder.join(manifest::FILE);
    let text = fs::read(&path).with_context(|| format!("reading `{}` back", path.display()))?;
    let signature = key.sign(&text).map_err(failure::of_signature)?;
    let path = folder.join(signature::FILE);
    file::replace(&path, signature.as_bytes()).with_context(|| format!("writing `{}`", path.display()))
}

fn remove_signature(path: &Path) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing `{}`", path.display()))
        }
        _ => Ok(()),
    }
}
