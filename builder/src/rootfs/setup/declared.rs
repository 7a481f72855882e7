//! Setup that a review declares: plain files, copies, links, directories, modes.
//!
//! This is what most hand-written scripts come down to. Entries count only where their package is in
//! the image.

mod read;

use super::accounts::Accounts;
use super::{SetupError, Work, text, words};
use crate::rootfs::review::{self, Review};
use crate::tree::{Entry, Kind, Metadata, Tree};

/// Name of the step.
pub(super) const STEP: &str = "declared";

/// What to do in place of a package's scripts, in this order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Declared {
    /// Lines of sysusers.d.
    pub sysusers: Vec<String>,
    /// Lines of tmpfiles.d.
    pub tmpfiles: Vec<String>,
    /// Units enabled beside those that generated sections enable.
    pub enable: Vec<String>,
    /// Directories.
    directory: Vec<Directory>,
    /// Files with a given text.
    file: Vec<TextFile>,
    /// Copies of files that packages ship elsewhere.
    copy: Vec<Copy>,
    /// Symbolic links; also alternatives, the highest priority chosen.
    link: Vec<Link>,
    /// Owner and mode of shipped files.
    mode: Vec<Permissions>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Directory {
    path: String,
    mode: Option<u16>,
    group: Option<String>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct TextFile {
    path: String,
    text: String,
    mode: Option<u16>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Copy {
    from: String,
    to: String,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Link {
    path: String,
    target: String,
    /// Another package of the image that has the better alternative: this link is then not made.
    unless: Option<String>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Permissions {
    path: String,
    mode: Option<u16>,
    user: Option<String>,
    group: Option<String>,
}

/// The reviews of packages that are in the image.
pub(super) fn reviews<'a>(work: &Work<'a>) -> impl Iterator<Item = &'a Review> + use<'a> {
    let debs = work.context.debs;
    work.context.reviews.iter().filter(|review| debs.iter().any(|deb| review::key(&deb.name) == review.name))
}

pub(super) fn place(tree: &mut Tree, work: &mut Work<'_>) -> Result<(), SetupError> {
    let reviews: Vec<_> = reviews(work).collect();
    for review in &reviews {
        place_one(tree, &review.setup, work)?;
    }
    let lines = words::lines(reviews.iter().flat_map(|review| &review.setup.tmpfiles));
    if !lines.is_empty() {
        tree.write("usr/lib/tmpfiles.d/imgbuild-packages.conf", Metadata::FILE, lines)?;
    }
    Ok(())
}

fn place_one(tree: &mut Tree, declared: &Declared, work: &Work<'_>) -> Result<(), SetupError> {
    let accounts = &work.accounts;
    for Directory { path, mode, group } in &declared.directory {
        let gid = group_number(group.as_deref(), path, accounts)?;
        // What a package ships under the path keeps its owner and mode, as with mkdir -p.
        if tree.get(path).is_none() {
            tree.directory(path, Metadata { mode: mode.unwrap_or(0o755), uid: 0, gid })?;
        }
    }
    for TextFile { path, text, mode } in &declared.file {
        if tree.get(path).is_none() {
            tree.write(path, Metadata::root(mode.unwrap_or(0o644)), text.clone())?;
        }
    }
    for Copy { from, to } in &declared.copy {
        text(tree, from, STEP)?;
        if let (None, Some(entry)) = (tree.get(to), tree.get(from).cloned()) {
            tree.insert(to, entry)?;
        }
    }
    for Link { path, target, unless } in &declared.link {
        let is_better_elsewhere = unless.as_deref().is_some_and(|package| work.has_package(package));
        if tree.get(path).is_none() && !is_better_elsewhere {
            if resolve(tree, path, target).is_none() {
                return Err(SetupError::Dangling { link: path.clone(), target: target.clone() });
            }
            tree.symlink(path, target)?;
        }
    }
    for Permissions { path, mode, user, group } in &declared.mode {
        let uid = user_number(user.as_deref(), path, accounts)?;
        let gid = group_number(group.as_deref(), path, accounts)?;
        let Some(Entry { metadata, .. }) = tree.get(path) else {
            return Err(SetupError::Missing { path: path.clone(), step: STEP });
        };
        let metadata = Metadata { mode: mode.unwrap_or(metadata.mode), uid, gid };
        tree.set_metadata(path, metadata);
    }
    Ok(())
}

fn user_number(user: Option<&str>, path: &str, accounts: &Accounts) -> Result<u32, SetupError> {
    let Some(name) = user else { return Ok(0) };
    let unknown = || SetupError::Owner { name: name.to_owned(), path: path.to_owned() };
    Ok(accounts.user(name).ok_or_else(unknown)?.uid)
}

fn group_number(group: Option<&str>, path: &str, accounts: &Accounts) -> Result<u32, SetupError> {
    let Some(name) = group else { return Ok(0) };
    let unknown = || SetupError::Owner { name: name.to_owned(), path: path.to_owned() };
    Ok(accounts.group(name).ok_or_else(unknown)?.gid)
}

/// The path a link at `link` with `target` leads to, if that is in the tree. Links on the way are
/// followed, at most 40 as the kernel does.
pub(super) fn resolve(tree: &Tree, link: &str, target: &str) -> Option<String> {
    let parent = link.rsplit_once('/').map_or("", |(parent, _)| parent);
    let mut pending: Vec<String> = Vec::new();
    let mut done: Vec<String> = Vec::new();
    let push = |pending: &mut Vec<String>, path: &str| {
        pending.extend(path.split('/').rev().filter(|part| !part.is_empty()).map(str::to_owned));
    };
    push(&mut pending, target);
    if !target.starts_with('/') {
        done.extend(parent.split('/').filter(|part| !part.is_empty()).map(str::to_owned));
    }
    let mut followed = 0;
    while let Some(part) = pending.pop() {
        match part.as_str() {
            "." => {}
            ".." => drop(done.pop()),
            _ => {
                done.push(part);
                match &tree.get(&done.join("/"))?.kind {
                    Kind::Symlink(next) => {
                        followed += 1;
                        if followed > 40 {
                            return None;
                        }
                        done.pop();
                        if next.starts_with('/') {
                            done.clear();
                        }
                        push(&mut pending, next);
                    }
                    Kind::Directory | Kind::File(_) => {}
                }
            }
        }
    }
    Some(done.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_links_within_the_tree() {
        let mut tree = Tree::default();
        tree.write("usr/bin/mawk", Metadata::root(0o755), &b""[..]).unwrap();
        tree.symlink("bin", "usr/bin").unwrap();
        tree.symlink("usr/bin/loop", "loop").unwrap();
        let cases = [
            ("usr/bin/awk", "mawk", Some("usr/bin/mawk")),
            ("usr/bin/awk", "/bin/mawk", Some("usr/bin/mawk")),
            ("etc/awk", "../bin/../bin/mawk", Some("usr/bin/mawk")),
            ("usr/bin/awk", "gawk", None),
            ("usr/bin/awk", "loop", None),
        ];
        for (link, target, expected) in cases {
            assert_eq!(resolve(&tree, link, target).as_deref(), expected, "{link} -> {target}");
        }
    }
}
