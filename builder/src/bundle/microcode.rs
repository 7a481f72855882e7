//! Processor microcode: taken out of the root, for the kernel loads it before there is one.
//!
//! It travels uncompressed in the UKI's section `.ucode`, which systemd's stub puts before the initrd, and for GRUB as
//! a file of its own. Not in front of the initrd itself: all of Intel's updates are six times its size, and a change
//! of either leaves the other as it is.

use std::path::Path;

use bytes::Bytes;
use thiserror::Error;

use crate::format::cpio::{self, CpioError};
use crate::format::microcode::{self, MicrocodeError};
use crate::tree::{Kind, Metadata, Tree, TreeError};
use crate::units::Timestamp;

/// Where packages put Intel's updates. Those whose name ends in `.initramfs` are like the others: the ending keeps
/// them from being loaded later than early.
const INTEL: &str = "usr/lib/firmware/intel-ucode";
/// Where packages put AMD's containers.
const AMD: &str = "usr/lib/firmware/amd-ucode";

/// Why microcode cannot be made ready for the kernel.
#[derive(Debug, Error)]
pub enum TakeError {
    /// A file is no microcode.
    #[error(transparent)]
    Microcode(#[from] MicrocodeError),
    /// It has no place in the archive.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// It cannot be archived.
    #[error(transparent)]
    Cpio(#[from] CpioError),
}

/// Takes all microcode out of `tree`; returns the archive that the kernel wants before the initrd, `None` where there
/// is no microcode.
pub fn take(tree: &mut Tree, timestamp: Timestamp) -> Result<Option<Bytes>, TakeError> {
    let intel = microcode::join_intel(files(tree, INTEL))?;
    let is_container = |name: &str| Path::new(name).extension().is_some_and(|extension| extension == "bin");
    let amd = microcode::join_amd(files(tree, AMD).filter(|(name, _)| is_container(name)))?;
    let mut early = Tree::default();
    for (path, content) in [(microcode::INTEL_PATH, intel), (microcode::AMD_PATH, amd)] {
        if !content.is_empty() {
            early.write(path, Metadata::FILE, content)?;
        }
    }
    tree.remove(INTEL);
    tree.remove(AMD);
    if early.iter().next().is_none() {
        return Ok(None);
    }
    let mut archive = Vec::new();
    let options = cpio::Options { timestamp, console: false };
    cpio::write_aligned(&early, &options, microcode::ALIGNMENT, &mut archive)?;
    Ok(Some(archive.into()))
}

/// Names and contents of the files in `folder`, sorted by name.
fn files<'tree>(
    tree: &'tree Tree,
    folder: &str,
) -> impl Iterator<Item = (&'tree str, &'tree [u8])> + use<'tree> {
    tree.below(folder).filter_map(|(path, entry)| match &entry.kind {
        Kind::File(content) => Some((path.rsplit('/').next().unwrap_or(path), content.as_ref())),
        Kind::Directory | Kind::Symlink(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::oracle;

    #[test]
    fn cpio_unpacks_what_was_taken_and_data_lie_at_multiples_of_16() {
        let mut tree = Tree::default();
        for (name, content) in [
            ("amd-ucode/b.bin", &b"DMA\0two"[..]),
            ("amd-ucode/a.bin", b"DMA\0one"),
            ("amd-ucode/a.asc", b"signature"),
        ] {
            tree.write(&format!("usr/lib/firmware/{name}"), Metadata::FILE, content).unwrap();
        }
        tree.write("usr/lib/firmware/amd/sev.sbin", Metadata::FILE, &b"for a module"[..]).unwrap();
        let archive = take(&mut tree, Timestamp(1_700_000_000)).unwrap().unwrap();
        let left: Vec<_> = tree.below("usr/lib/firmware").map(|(path, _)| path).collect();
        assert_eq!(left, ["usr/lib/firmware/amd", "usr/lib/firmware/amd/sev.sbin"]);

        let joined = b"DMA\0oneDMA\0two";
        let at = archive.windows(joined.len()).position(|window| window == joined).unwrap();
        assert_eq!(at % 16, 0, "data begin at byte {at}");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("early.cpio");
        std::fs::write(&path, &archive).unwrap();
        let directory = format!("--directory={}", folder.path().display());
        let file = format!("--file={}", path.display());
        oracle::must_accept(
            "cpio",
            &["--extract".as_ref(), "--make-directories".as_ref(), directory.as_ref(), file.as_ref()],
        );
        assert_eq!(std::fs::read(folder.path().join(microcode::AMD_PATH)).unwrap(), joined);
    }

    #[test]
    fn a_root_without_microcode_has_no_archive() {
        assert_eq!(take(&mut Tree::default(), Timestamp(0)).unwrap(), None);
    }
}
