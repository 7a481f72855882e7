//! What package management would know, in the form that distroless images have: a file per package.
//!
//! Scanners (syft, trivy) read `var/lib/dpkg/status.d/<package>` and `<package>.md5sums` beside it. The
//! files lie below `usr/share/dpkg`, for the state partition hides `/var` on a node: there a tmpfiles.d
//! line makes the link that the image itself has.

use std::collections::BTreeSet;

use super::compose::DebInfo;
use crate::tree::{Metadata, Tree, TreeError};

/// Where the files lie, below the root.
pub const STATUS_DIRECTORY: &str = "usr/share/dpkg/status.d";
/// Where scanners look for them, below the root.
pub const STATUS_LINK: &str = "var/lib/dpkg/status.d";
/// What makes the link on a node, below the root.
pub const TMPFILES: &str = "usr/lib/tmpfiles.d/dpkg-status.conf";

/// `L+` replaces what an older image left there.
const TMPFILES_TEXT: &str = "\
# Scanners look here for what the image is made of.
d /var/lib/dpkg 0755 root root -
L+ /var/lib/dpkg/status.d - - - - ../../../usr/share/dpkg/status.d
";

/// Writes the status of `debs` into `tree`, with the checksums of those of their files that are in the tree.
pub fn install(tree: &mut Tree, debs: &[DebInfo]) -> Result<(), TreeError> {
    for deb in debs {
        let base = format!("{STATUS_DIRECTORY}/{}", deb.name);
        tree.write(&base, Metadata::FILE, status(&deb.control))?;
        let checksums = checksums(deb);
        if !checksums.is_empty() {
            tree.write(&format!("{base}.md5sums"), Metadata::FILE, checksums)?;
        }
    }
    tree.symlink(STATUS_LINK, &format!("../../../{STATUS_DIRECTORY}"))?;
    tree.write(TMPFILES, Metadata::FILE, TMPFILES_TEXT)
}

/// The stanza as dpkg's status file has it: the Status field follows the package's name.
fn status(stanza: &str) -> String {
    let mut status = String::with_capacity(stanza.len() + 32);
    for line in stanza.lines() {
        status.push_str(line);
        status.push('\n');
        if line.to_ascii_lowercase().starts_with("package:") {
            status.push_str("Status: install ok installed\n");
        }
    }
    status
}

/// The lines of the package's `md5sums` whose file was not excluded.
fn checksums(deb: &DebInfo) -> String {
    let files: BTreeSet<&str> = deb.files.iter().map(String::as_str).collect();
    let is_there = |line: &&str| line.split_once("  ").is_some_and(|(_, path)| files.contains(path));
    deb.md5sums.lines().filter(is_there).flat_map(|line| [line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rootfs::resolve::resolve;
    use crate::tree::Kind;

    fn info() -> DebInfo {
        let stanza = "Package: bash\nVersion: 5.2\nArchitecture: amd64\nDescription: a shell\n Package: no\n";
        DebInfo {
            name: "bash".to_owned(),
            control: stanza.to_owned(),
            md5sums: "aa  usr/bin/bash\nbb  usr/share/doc/bash/copyright\n".to_owned(),
            files: vec!["usr/bin/bash".to_owned(), "usr/bin/rbash".to_owned()],
            ..DebInfo::default()
        }
    }

    #[test]
    fn scanners_find_stanza_and_checksums_through_the_link() {
        let mut tree = Tree::default();
        install(&mut tree, &[info()]).unwrap();
        let text = |path: &str| match resolve(&tree, path) {
            Some((_, entry)) => match &entry.kind {
                Kind::File(content) => String::from_utf8(content.to_vec()).unwrap(),
                other => panic!("`{path}` is {other:?}"),
            },
            None => panic!("`{path}` leads nowhere"),
        };
        assert_eq!(
            text("/var/lib/dpkg/status.d/bash"),
            "Package: bash\nStatus: install ok installed\nVersion: 5.2\nArchitecture: amd64\n\
             Description: a shell\n Package: no\n"
        );
        assert_eq!(text("/var/lib/dpkg/status.d/bash.md5sums"), "aa  usr/bin/bash\n");
    }

    #[test]
    fn the_node_makes_the_link_that_the_image_has() {
        let mut tree = Tree::default();
        install(&mut tree, &[info()]).unwrap();
        let Some(Kind::Symlink(target)) = tree.get(STATUS_LINK).map(|entry| &entry.kind) else {
            panic!("no link in the image");
        };
        assert!(TMPFILES_TEXT.contains(&format!("L+ /{STATUS_LINK} - - - - {target}\n")), "{TMPFILES_TEXT}");
        assert_eq!(tree.file(TMPFILES).map(|text| &text[..]), Some(TMPFILES_TEXT.as_bytes()));
    }
}
