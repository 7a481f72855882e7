//! Firmware of devices: exactly the files that the kernel and its modules name, out of packages that have many more.
//!
//! Links are followed as the kernel follows them, and kept: where a named file is a link, or lies in a folder that is
//! one, the link and what it leads to stay. A compressed file (`.xz`, `.zst`) stands for the named one.

use std::collections::{BTreeMap, BTreeSet};

use globset::GlobBuilder;
use thiserror::Error;

use crate::rootfs::resolve::trace;
use crate::tree::{Kind, Tree};
use crate::units::Bytes;

/// Where the kernel looks, below the root.
const FOLDER: &str = "usr/lib/firmware";
/// In the kernel's order (`CONFIG_FW_LOADER_COMPRESS`).
const ENDINGS: [&str; 3] = ["", ".zst", ".xz"];

/// A name that cannot be looked up.
#[derive(Debug, Error)]
#[error("`{module}` names firmware `{name}`, which is no pattern")]
pub struct PatternError {
    module: String,
    name: String,
    source: globset::Error,
}

/// What became of the firmware in a root.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Kept {
    /// Files that stayed.
    pub files: usize,
    /// Their size.
    pub size: Bytes,
    /// Names that no package has a file for, with who asks for each.
    pub missing: BTreeMap<String, String>,
}

/// Removes from `tree` every firmware file that none of `names` leads to; each name comes with who asks for it.
pub fn keep_named(tree: &mut Tree, names: &BTreeMap<&str, &str>) -> Result<Kept, PatternError> {
    let mut wanted = BTreeSet::new();
    let mut missing = BTreeMap::new();
    for (name, module) in names {
        if !want(tree, name, module, &mut wanted)? {
            missing.insert((*name).to_owned(), (*module).to_owned());
        }
    }
    let unwanted: Vec<String> = tree
        .below(FOLDER)
        .filter(|(path, entry)| entry.kind != Kind::Directory && !wanted.contains(*path))
        .map(|(path, _)| path.to_owned())
        .collect();
    for path in &unwanted {
        tree.remove(path);
    }
    remove_empty_directories(tree);
    let sizes = tree.below(FOLDER).filter_map(|(_, entry)| match &entry.kind {
        Kind::File(content) => Some(Bytes::of(content).0),
        Kind::Directory | Kind::Symlink(_) => None,
    });
    let (files, size) = sizes
        .fold((0_usize, 0_u64), |(files, size), next| (files.saturating_add(1), size.saturating_add(next)));
    Ok(Kept { files, size: Bytes(size), missing })
}

/// Adds to `wanted` what `name` leads to, and the links on the way; says whether there was anything.
fn want(tree: &Tree, name: &str, module: &str, wanted: &mut BTreeSet<String>) -> Result<bool, PatternError> {
    for ending in ENDINGS {
        let mut found = false;
        for path in matching(tree, &format!("{name}{ending}"), module)? {
            if let Some(trace) = trace(tree, &path)
                && matches!(trace.entry.kind, Kind::File(_))
            {
                wanted.insert(trace.path);
                wanted.extend(trace.links);
                found = true;
            }
        }
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The paths that a name stands for: mostly itself, but some drivers choose by board and name a pattern.
fn matching(tree: &Tree, name: &str, module: &str) -> Result<Vec<String>, PatternError> {
    if !name.contains(['*', '?', '[']) {
        return Ok(vec![format!("{FOLDER}/{name}")]);
    }
    let glob = GlobBuilder::new(name).literal_separator(true).build();
    let glob =
        glob.map_err(|source| PatternError { module: module.to_owned(), name: name.to_owned(), source })?;
    let matcher = glob.compile_matcher();
    let below =
        |path: &str| path.strip_prefix(FOLDER).and_then(|rest| rest.strip_prefix('/')).map(str::to_owned);
    let paths = tree.below(FOLDER).map(|(path, _)| path);
    Ok(paths
        .filter(|path| below(path).is_some_and(|name| matcher.is_match(name)))
        .map(str::to_owned)
        .collect())
}

/// Children before parents.
fn remove_empty_directories(tree: &mut Tree) {
    let directories: Vec<String> = tree
        .below(FOLDER)
        .filter(|(_, entry)| entry.kind == Kind::Directory)
        .map(|(path, _)| path.to_owned())
        .collect();
    for path in directories.iter().rev() {
        if tree.below(path).next().is_none() {
            tree.remove(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Metadata;

    fn tree(files: &[&str], links: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::default();
        for file in files {
            tree.write(&format!("{FOLDER}/{file}"), Metadata::FILE, &b"1234"[..]).unwrap();
        }
        for (link, target) in links {
            tree.symlink(&format!("{FOLDER}/{link}"), target).unwrap();
        }
        tree
    }

    fn left(tree: &Tree) -> Vec<&str> {
        tree.below(FOLDER)
            .filter(|(_, entry)| entry.kind != Kind::Directory)
            .map(|(path, _)| &path[FOLDER.len() + 1..])
            .collect()
    }

    fn keep(tree: &mut Tree, names: &[&str]) -> Kept {
        let names = names.iter().map(|name| (*name, "driver")).collect();
        keep_named(tree, &names).unwrap()
    }

    #[test]
    fn keeps_named_files_alone_and_lists_what_is_missing() {
        let mut tree = tree(&["rtl_nic/one.fw", "rtl_nic/two.fw", "wifi/big.bin"], &[]);
        let kept = keep(&mut tree, &["rtl_nic/two.fw", "cis/card.cis"]);
        assert_eq!(left(&tree), ["rtl_nic/two.fw"]);
        assert!(tree.get("usr/lib/firmware/wifi").is_none(), "empty folders go");
        let missing = BTreeMap::from([("cis/card.cis".to_owned(), "driver".to_owned())]);
        assert_eq!(kept, Kept { files: 1, size: Bytes(4), missing });
    }

    #[test]
    fn keeps_links_and_what_they_lead_to() {
        let links =
            [("ice.pkg", "intel/ddp/ice-1.pkg"), ("old", "intel/ddp"), ("loop", "loop"), ("gone", "nowhere")];
        let mut tree = tree(&["intel/ddp/ice-1.pkg", "intel/ddp/ice-2.pkg", "intel/ddp/ice-3.pkg"], &links);
        let kept = keep(&mut tree, &["ice.pkg", "old/ice-2.pkg", "loop", "gone"]);
        assert_eq!(left(&tree), ["ice.pkg", "intel/ddp/ice-1.pkg", "intel/ddp/ice-2.pkg", "old"]);
        assert_eq!(kept.missing.keys().collect::<Vec<_>>(), ["gone", "loop"]);
    }

    #[test]
    fn a_packed_file_stands_for_the_named_one() {
        let mut tree = tree(&["a.bin.xz", "b.bin.zst", "b.bin.xz", "c.bin.gz"], &[]);
        let kept = keep(&mut tree, &["a.bin", "b.bin", "c.bin"]);
        assert_eq!(left(&tree), ["a.bin.xz", "b.bin.zst"]);
        assert_eq!(kept.missing.keys().collect::<Vec<_>>(), ["c.bin"]);
    }

    #[test]
    fn a_pattern_stays_within_its_folder() {
        let mut tree = tree(&["brcm/mac1-pcie.txt", "brcm/mac2-pcie.txt", "brcm/x/mac3-pcie.txt"], &[]);
        let kept = keep(&mut tree, &["brcm/mac*-pcie.txt", "brcm/mac*-sdio.txt"]);
        assert_eq!(left(&tree), ["brcm/mac1-pcie.txt", "brcm/mac2-pcie.txt"]);
        assert_eq!(kept.missing.keys().collect::<Vec<_>>(), ["brcm/mac*-sdio.txt"]);
        let names = BTreeMap::from([("brcm/[a", "driver")]);
        let fault = keep_named(&mut Tree::default(), &names).unwrap_err();
        assert_eq!(fault.to_string(), "`driver` names firmware `brcm/[a`, which is no pattern");
    }
}
