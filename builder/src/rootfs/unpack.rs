//! Merges packages into one tree, as unpacking them one after the other would.
//!
//! The result depends on the set of packages only: they are taken sorted by name.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use thiserror::Error;

use super::deb::Deb;
use super::exclusion::Exclusions;
use crate::tree::{Entry, Kind, Tree, TreeError};

/// Directories that merged-/usr systems alias; `base-files` ships the links.
const ALIASED: [&str; 6] = ["bin", "lib", "lib32", "lib64", "libx32", "sbin"];

/// Why packages do not fit together.
#[derive(Debug, Error, Eq, PartialEq)]
pub enum UnpackError {
    /// Two packages ship the same path, and not both as a directory.
    #[error("`{path}` is in package `{first}` and in package `{second}`")]
    Conflict {
        /// The path below the root.
        path: String,
        /// The package that sorts first.
        first: String,
        /// The other package.
        second: String,
    },
    /// A package is there twice.
    #[error("package `{package}` is there twice, in versions {first} and {second}")]
    Twice {
        /// The package.
        package: String,
        /// Version of one.
        first: String,
        /// Version of the other.
        second: String,
    },
    /// A path has no place in the tree, e.g. because another package ships its parent as a link.
    #[error("unpacking package `{package}`")]
    Place {
        /// The package.
        package: String,
        /// Why not.
        #[source]
        fault: TreeError,
    },
}

/// Merges `debs`, sorting them by name. Excluded directories stay only where something in them does.
///
/// Takes the entries out of `debs`; returns for each, in the sorted order, the paths of its files and links.
pub fn unpack(debs: &mut [Deb], exclusions: &Exclusions) -> Result<(Tree, Vec<Vec<String>>), UnpackError> {
    debs.sort_by(|one, other| one.control.package.cmp(&other.control.package));
    refuse_twice(debs)?;
    let aliases = aliases(debs);
    let names: Vec<String> = debs.iter().map(|deb| deb.control.package.clone()).collect();
    let mut merge = Merge { names: &names, tree: Tree::default(), owners: BTreeMap::new() };
    let mut files = Vec::with_capacity(debs.len());
    for (package, deb) in debs.iter_mut().enumerate() {
        let mut paths = Vec::new();
        for (path, entry) in std::mem::take(&mut deb.entries) {
            let path = match follow_alias(&aliases, &path, &entry.kind) {
                // Exclusions were asked for the path as shipped only.
                Some(real) if entry.kind != Kind::Directory && exclusions.excludes(&real) => continue,
                Some(real) => real,
                None => path,
            };
            if entry.kind != Kind::Directory {
                paths.push(path.clone());
            }
            merge.place(package, path, entry)?;
        }
        paths.sort();
        files.push(paths);
    }
    let mut tree = merge.tree;
    prune(&mut tree, exclusions);
    Ok((tree, files))
}

fn refuse_twice(debs: &[Deb]) -> Result<(), UnpackError> {
    for pair in debs.windows(2) {
        let [first, second] = pair else { continue };
        if first.control.package == second.control.package {
            return Err(UnpackError::Twice {
                package: first.control.package.clone(),
                first: first.control.version.clone(),
                second: second.control.version.clone(),
            });
        }
    }
    Ok(())
}

/// Aliased directories that some package ships as a link into `usr`.
fn aliases(debs: &[Deb]) -> Vec<&'static str> {
    let is_alias = |name: &&str| {
        debs.iter().flat_map(|deb| &deb.entries).any(|(path, entry)| {
            path == name
                && matches!(&entry.kind, Kind::Symlink(target)
                    if target.trim_start_matches('/') == format!("usr/{name}"))
        })
    };
    ALIASED.into_iter().filter(is_alias).collect()
}

/// Where a path really lies once the links are in place, if elsewhere; the link itself stays.
fn follow_alias(aliases: &[&str], path: &str, kind: &Kind) -> Option<String> {
    let (top, is_below) = match path.split_once('/') {
        Some((top, _)) => (top, true),
        None => (path, false),
    };
    let moves = aliases.contains(&top) && (is_below || *kind == Kind::Directory);
    moves.then(|| format!("usr/{path}"))
}

struct Merge<'a> {
    names: &'a [String],
    tree: Tree,
    /// Who placed a path first, by index into `names`.
    owners: BTreeMap<String, usize>,
}

impl Merge<'_> {
    fn place(&mut self, package: usize, path: String, entry: Entry) -> Result<(), UnpackError> {
        if let Some(&first) = self.owners.get(&path) {
            let is_directory = |entry: &Entry| entry.kind == Kind::Directory;
            // The first package's metadata stays, as with dpkg.
            if is_directory(&entry) && self.tree.get(&path).is_some_and(is_directory) {
                return Ok(());
            }
            let (first, second) = (self.names[first].clone(), self.names[package].clone());
            return Err(UnpackError::Conflict { path, first, second });
        }
        self.tree.insert(&path, entry).map_err(|fault| self.explain(package, fault))?;
        self.owners.insert(path, package);
        Ok(())
    }

    /// Names the other package where a path cannot be placed because of it.
    fn explain(&self, package: usize, fault: TreeError) -> UnpackError {
        let blocker = match &fault {
            TreeError::Path { .. } => None,
            TreeError::Parent { parent, .. } => self.owners.get_key_value(parent),
            TreeError::NotEmpty { path } => {
                self.tree.below(path).find_map(|(below, _)| self.owners.get_key_value(below))
            }
        };
        let second = self.names[package].clone();
        match blocker {
            Some((path, &first)) if first != package => {
                UnpackError::Conflict { path: path.clone(), first: self.names[first].clone(), second }
            }
            _ => UnpackError::Place { package: second, fault },
        }
    }
}

/// Removes excluded directories that stayed empty, children before parents.
fn prune(tree: &mut Tree, exclusions: &Exclusions) {
    let excluded: Vec<String> = tree
        .iter()
        .rev()
        .filter(|(path, entry)| entry.kind == Kind::Directory && exclusions.excludes(path))
        .map(|(path, _)| path.to_owned())
        .collect();
    for path in excluded {
        if tree.below(&path).next().is_none() {
            tree.remove(&path);
        }
    }
}
