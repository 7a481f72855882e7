//! Which package a file of a root comes from, as the root itself says: by the lists that scanners read.
//!
//! Packages list no configuration files there, so not every file has an owner.

use std::collections::BTreeMap;

use crate::rootfs::dpkg::STATUS_DIRECTORY;
use crate::tree::{Kind, Tree};

/// Owners of files by path.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Owners(BTreeMap<String, String>);

impl Owners {
    /// Reads the lists of `tree`.
    pub fn of(tree: &Tree) -> Self {
        let mut owners = BTreeMap::new();
        for (path, entry) in tree.below(STATUS_DIRECTORY) {
            let name = path.rsplit('/').next().and_then(|name| name.strip_suffix(".md5sums"));
            if let (Some(package), Kind::File(content)) = (name, &entry.kind) {
                let text = String::from_utf8_lossy(content);
                let files = text.lines().filter_map(|line| line.split_once("  "));
                owners.extend(files.map(|(_, file)| (file.to_owned(), package.to_owned())));
            }
        }
        Self(owners)
    }

    /// The package that brought the file at `path`.
    pub fn package(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }

    /// Files and their packages, sorted by path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(path, package)| (path.as_str(), package.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rootfs::{DebInfo, dpkg};

    #[test]
    fn reads_what_is_written_for_scanners() {
        let deb = |name: &str, file: &str| DebInfo {
            name: name.to_owned(),
            control: format!("Package: {name}\n"),
            md5sums: format!("{}  {file}\n", "0".repeat(32)),
            files: vec![file.to_owned()],
            ..DebInfo::default()
        };
        let mut tree = Tree::default();
        dpkg::install(&mut tree, &[deb("bash", "usr/bin/bash"), deb("g++", "usr/bin/with  two spaces")])
            .unwrap();
        let owners = Owners::of(&tree);
        let all: Vec<_> = owners.iter().collect();
        assert_eq!(all, [("usr/bin/bash", "bash"), ("usr/bin/with  two spaces", "g++")]);
        assert_eq!(owners.package("usr/bin/bash"), Some("bash"));
        assert_eq!(owners.package("usr/bin"), None);
    }
}
