//! Finds what a path leads to inside a tree, links followed as a process with the tree as its root would.

use crate::tree::{Entry, Kind, Tree};

/// Links followed before giving up, as in the kernel (`path_resolution(7)`).
const MOST_LINKS: usize = 40;

/// Where a path leads, and by which links.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trace<'tree> {
    /// The real path below the root.
    pub path: String,
    /// What is there, no link.
    pub entry: &'tree Entry,
    /// Paths of the links followed, in order.
    pub links: Vec<String>,
}

/// What `path` leads to: the real path below the root and the entry there, which is no link.
///
/// `path` may begin with a slash; links may be absolute or relative. None where nothing is, for
/// dangling and circular links, and for the root itself.
pub fn resolve<'tree>(tree: &'tree Tree, path: &str) -> Option<(String, &'tree Entry)> {
    trace(tree, path).map(|trace| (trace.path, trace.entry))
}

/// As [`resolve`], with the links on the way.
pub fn trace<'tree>(tree: &'tree Tree, path: &str) -> Option<Trace<'tree>> {
    // What is left to walk, the next component last.
    let mut pending: Vec<String> = components(path);
    let mut walked: Vec<String> = Vec::new();
    let mut links = Vec::new();
    while let Some(component) = pending.pop() {
        if component == ".." {
            walked.pop();
            continue;
        }
        walked.push(component);
        let here = walked.join("/");
        match &tree.get(&here)?.kind {
            Kind::Symlink(target) => {
                if links.len() == MOST_LINKS {
                    return None;
                }
                links.push(here);
                walked.pop();
                if target.starts_with('/') {
                    walked.clear();
                }
                pending.extend(components(target));
            }
            Kind::File(_) if !pending.is_empty() => return None,
            Kind::File(_) | Kind::Directory => {}
        }
    }
    let path = walked.join("/");
    let entry = tree.get(&path)?;
    Some(Trace { path, entry, links })
}

fn components(path: &str) -> Vec<String> {
    path.rsplit('/').filter(|component| !matches!(*component, "" | ".")).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Metadata;

    #[test]
    fn follows_links_in_every_component() {
        let mut tree = Tree::default();
        tree.write("usr/lib/x/libx.so.1.0", Metadata::FILE, &b"x"[..]).unwrap();
        tree.symlink("usr/lib/x/libx.so.1", "libx.so.1.0").unwrap();
        tree.symlink("usr/lib/x/libx.so", "/lib/x/./libx.so.1").unwrap();
        tree.symlink("lib", "usr/lib").unwrap();
        tree.symlink("usr/lib/y", "../../lib/x").unwrap();
        tree.symlink("loop", "loop").unwrap();
        tree.symlink("dangling", "nowhere").unwrap();
        let real = |path| resolve(&tree, path).map(|(path, _)| path);
        for path in ["/lib/y/libx.so", "lib/x/libx.so.1", "/../usr/lib/../lib/y/libx.so.1.0"] {
            assert_eq!(real(path).as_deref(), Some("usr/lib/x/libx.so.1.0"), "{path}");
        }
        for path in ["loop", "dangling", "/", "usr/lib/x/libx.so.1.0/below", "usr/nothing/../lib"] {
            assert_eq!(real(path), None, "{path}");
        }
    }
}
