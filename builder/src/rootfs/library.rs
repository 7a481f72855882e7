//! Where the dynamic linker of a tree looks for libraries.

use std::collections::BTreeSet;

use globset::{GlobBuilder, GlobMatcher};

use super::resolve::resolve;
use crate::tree::{Kind, Tree};
use crate::units::Arch;

/// `include` lines followed into each other before the rest is ignored.
const DEEPEST_INCLUDE: usize = 8;

/// Library directories in the order `ldconfig` takes them: those of `/etc/ld.so.conf`, then the
/// built-in ones of Debian's glibc. Absolute paths as configured, each real directory once; only
/// those that are in the tree.
pub fn directories(tree: &Tree, arch: Arch) -> Vec<String> {
    let mut candidates = Vec::new();
    read_configuration(tree, "etc/ld.so.conf", 0, &mut candidates);
    let multiarch = arch.multiarch();
    candidates.extend([format!("/lib/{multiarch}"), format!("/usr/lib/{multiarch}")]);
    candidates.extend(["/lib".to_owned(), "/usr/lib".to_owned()]);
    let mut seen = BTreeSet::new();
    candidates.retain(|path| match resolve(tree, path) {
        Some((real, entry)) => entry.kind == Kind::Directory && seen.insert(real),
        None => false,
    });
    candidates
}

/// Reads one configuration file (ldconfig(8)): a directory a line, `#` comments, `include` with globs;
/// `hwcap` lines have had no effect since glibc 2.33.
fn read_configuration(tree: &Tree, path: &str, depth: usize, directories: &mut Vec<String>) {
    let Some((real, entry)) = resolve(tree, path) else { return };
    let Kind::File(content) = &entry.kind else { return };
    for line in String::from_utf8_lossy(content).lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let mut words = line.split_whitespace();
        match words.next() {
            None | Some("hwcap") => {}
            Some("include") => {
                for included in words
                    .filter(|_| depth < DEEPEST_INCLUDE)
                    .flat_map(|pattern| matching(tree, &real, pattern))
                {
                    read_configuration(tree, &included, depth + 1, directories);
                }
            }
            Some(_) => {
                // `DIR=TYPE` is an old way to name the kind of library.
                let directory = line.split('=').next().unwrap_or_default().trim_end().trim_end_matches('/');
                if directory.starts_with('/') {
                    directories.push(directory.to_owned());
                }
            }
        }
    }
}

/// Files that an `include` pattern names, sorted; relative patterns count from the including file.
fn matching(tree: &Tree, including: &str, pattern: &str) -> Vec<String> {
    let folder = including.rsplit_once('/').map_or("", |(folder, _)| folder);
    let pattern = match pattern.strip_prefix('/') {
        Some(absolute) => absolute.to_owned(),
        None => format!("{folder}/{pattern}"),
    };
    let Ok(glob) = GlobBuilder::new(&pattern).literal_separator(true).build() else { return Vec::new() };
    let matcher: GlobMatcher = glob.compile_matcher();
    tree.iter().map(|(path, _)| path).filter(|path| matcher.is_match(path)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Metadata;

    #[test]
    fn takes_configured_directories_first_and_each_real_one_once() {
        let mut tree = Tree::default();
        for directory in ["usr/lib/x86_64-linux-gnu", "usr/local/lib", "opt/b", "opt/a"] {
            tree.directory(directory, Metadata::DIRECTORY).unwrap();
        }
        tree.symlink("lib", "usr/lib").unwrap();
        let write = |tree: &mut Tree, path: &str, text: &'static str| {
            tree.write(path, Metadata::FILE, text.as_bytes()).unwrap();
        };
        write(
            &mut tree,
            "etc/ld.so.conf",
            "include /etc/ld.so.conf.d/*.conf\ninclude more/*.conf\n/opt/absent\n",
        );
        write(&mut tree, "etc/ld.so.conf.d/b.conf", "# comment\n/opt/b/ # here\nhwcap 1 x\n");
        write(&mut tree, "etc/ld.so.conf.d/a.conf", "/usr/local/lib=libc6\n/lib/x86_64-linux-gnu\n");
        write(&mut tree, "etc/ld.so.conf.d/a.conf.dpkg-new", "/usr\n");
        write(&mut tree, "etc/more/z.conf", "/opt/a\ninclude /etc/ld.so.conf\n");
        assert_eq!(
            directories(&tree, Arch::Amd64),
            ["/usr/local/lib", "/lib/x86_64-linux-gnu", "/opt/b", "/opt/a", "/lib"]
        );
    }
}
