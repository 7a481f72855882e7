//! A file tree in memory: what `rootfs` composes and what the writers in `format` serialise.
//!
//! Metadata is held per path, contents are shared slices; nothing here touches the host's disk.

use std::collections::BTreeMap;

use bytes::Bytes;
use thiserror::Error;

/// Owner, permissions and time of one entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Metadata {
    /// Permission bits including set-user-ID, set-group-ID and sticky: `0o0000..=0o7777`.
    pub mode: u16,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
}

impl Metadata {
    /// A directory of root, mode 0755.
    pub const DIRECTORY: Self = Self::root(0o755);
    /// A file of root, mode 0644.
    pub const FILE: Self = Self::root(0o644);

    /// Owned by root with permission bits `mode`.
    pub const fn root(mode: u16) -> Self {
        Self { mode, uid: 0, gid: 0 }
    }
}

/// What an entry is. Devices, sockets and pipes have no place in an image.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A directory; its children are the entries whose path continues its own.
    Directory,
    /// A regular file. Hard links are separate entries that share the slice.
    File(Bytes),
    /// A symbolic link and its target, which need not exist.
    Symlink(String),
}

/// One entry of a [`Tree`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// Owner, permissions and time.
    pub metadata: Metadata,
    /// Directory, file or link.
    pub kind: Kind,
}

/// Why an entry cannot be placed in a [`Tree`].
#[derive(Debug, Error, Eq, PartialEq)]
pub enum TreeError {
    /// The path is absolute, empty, or has an empty, `.` or `..` component.
    #[error("`{path}` is not a plain relative path")]
    Path {
        /// The path as given.
        path: String,
    },
    /// A parent of the path exists and is no directory.
    #[error("`{parent}` is no directory, so `{path}` has no place")]
    Parent {
        /// The path as given.
        path: String,
        /// The offending ancestor.
        parent: String,
    },
    /// A directory would be replaced by something else while it still has children.
    #[error("`{path}` is a directory with contents")]
    NotEmpty {
        /// The path as given.
        path: String,
    },
}

/// Entries by path. Paths are relative to the root, without leading or trailing slash
/// (`usr/bin/bash`); the root directory itself is always there and has the path "".
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tree {
    root: Metadata,
    entries: BTreeMap<String, Entry>,
}

impl Default for Tree {
    fn default() -> Self {
        Self { root: Metadata::DIRECTORY, entries: BTreeMap::new() }
    }
}

impl Tree {
    /// Metadata of the root directory.
    pub const fn root(&self) -> Metadata {
        self.root
    }

    /// Looks an entry up by path.
    pub fn get(&self, path: &str) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// The contents of the regular file at `path`.
    pub fn file(&self, path: &str) -> Option<&Bytes> {
        match self.entries.get(path) {
            Some(Entry { kind: Kind::File(content), .. }) => Some(content),
            _ => None,
        }
    }

    /// All entries but the root, sorted by path bytes.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(path, entry)| (path.as_str(), entry))
    }

    /// Everything below directory `path`, the directory itself excluded, sorted by path bytes.
    pub fn below<'tree>(
        &'tree self,
        path: &str,
    ) -> impl Iterator<Item = (&'tree str, &'tree Entry)> + use<'tree> {
        let prefix = format!("{path}/");
        self.entries
            .range(prefix.clone()..)
            .take_while(move |(path, _)| path.starts_with(&prefix))
            .map(|(path, entry)| (path.as_str(), entry))
    }

    /// Places `entry` at `path`, creating missing parents as root's 0755 directories and replacing
    /// what was there; a directory with contents is only ever replaced by a directory.
    pub fn insert(&mut self, path: &str, entry: Entry) -> Result<(), TreeError> {
        if path.split('/').any(|component| matches!(component, "" | "." | "..")) {
            return Err(TreeError::Path { path: path.to_owned() });
        }
        for (index, _) in path.match_indices('/') {
            let parent = &path[..index];
            match self.entries.get(parent).map(|entry| &entry.kind) {
                Some(Kind::Directory) => {}
                Some(_) => {
                    return Err(TreeError::Parent { path: path.to_owned(), parent: parent.to_owned() });
                }
                None => {
                    let directory = Entry { metadata: Metadata::DIRECTORY, kind: Kind::Directory };
                    self.entries.insert(parent.to_owned(), directory);
                }
            }
        }
        if entry.kind != Kind::Directory && self.below(path).next().is_some() {
            return Err(TreeError::NotEmpty { path: path.to_owned() });
        }
        self.entries.insert(path.to_owned(), entry);
        Ok(())
    }

    /// Places a directory.
    pub fn directory(&mut self, path: &str, metadata: Metadata) -> Result<(), TreeError> {
        self.insert(path, Entry { metadata, kind: Kind::Directory })
    }

    /// Places a regular file.
    pub fn write(
        &mut self,
        path: &str,
        metadata: Metadata,
        content: impl Into<Bytes>,
    ) -> Result<(), TreeError> {
        self.insert(path, Entry { metadata, kind: Kind::File(content.into()) })
    }

    /// Places a symbolic link, owned by root, mode 0777 as Linux shows it.
    pub fn symlink(&mut self, path: &str, target: &str) -> Result<(), TreeError> {
        self.insert(path, Entry { metadata: Metadata::root(0o777), kind: Kind::Symlink(target.to_owned()) })
    }

    /// Removes `path` and everything below it; says whether anything was there.
    pub fn remove(&mut self, path: &str) -> bool {
        let doomed: Vec<String> = self.below(path).map(|(path, _)| path.to_owned()).collect();
        for path in &doomed {
            self.entries.remove(path);
        }
        self.entries.remove(path).is_some() || !doomed.is_empty()
    }

    /// Changes owner and permissions of what lies at `path`; says whether anything was there.
    pub fn set_metadata(&mut self, path: &str, metadata: Metadata) -> bool {
        if path.is_empty() {
            self.root = metadata;
            return true;
        }
        self.entries.get_mut(path).map(|entry| entry.metadata = metadata).is_some()
    }
}

/// Whether `path` is `place`, or lies below it.
pub fn is_within(path: &str, place: &str) -> bool {
    path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn creates_missing_parents() {
        let mut tree = Tree::default();
        tree.write("usr/bin/true", Metadata::root(0o755), &b"x"[..]).unwrap();
        let paths: Vec<_> = tree.iter().map(|(path, _)| path).collect();
        assert_eq!(paths, ["usr", "usr/bin", "usr/bin/true"]);
    }

    #[test]
    fn refuses_paths_that_leave_the_tree() {
        let mut tree = Tree::default();
        for path in ["", "/etc", "a//b", "a/../b", "./a", "a/"] {
            let fault = tree.symlink(path, "x").unwrap_err();
            assert_eq!(fault, TreeError::Path { path: path.to_owned() });
        }
    }

    #[test]
    fn refuses_children_of_a_link() {
        let mut tree = Tree::default();
        tree.symlink("lib", "usr/lib").unwrap();
        let fault = tree.write("lib/x", Metadata::FILE, &b""[..]).unwrap_err();
        assert_eq!(fault, TreeError::Parent { path: "lib/x".into(), parent: "lib".into() });
    }

    #[test]
    fn keeps_a_directory_with_contents() {
        let mut tree = Tree::default();
        tree.write("a/b", Metadata::FILE, &b""[..]).unwrap();
        assert_eq!(tree.symlink("a", "b"), Err(TreeError::NotEmpty { path: "a".into() }));
        assert!(tree.remove("a"));
        assert_eq!(tree.iter().count(), 0);
    }
}
