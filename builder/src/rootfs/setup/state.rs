//! `/var` is the state partition: what packages ship there is declared to systemd-tmpfiles.
//!
//! Every entry below `/var` becomes a tmpfiles.d(5) line with owner and mode; contents of files move
//! to `/usr/share/factory/var`, from where `C` lines copy them to a node that lacks them. Paths that
//! a package's own tmpfiles.d line makes are left to it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::accounts::Accounts;
use super::{SetupError, Work, configuration, words};
use crate::tree::{Entry, Kind, Metadata, Tree};

/// Where tmpfiles.d(5) `C` lines without argument copy from.
const FACTORY: &str = "usr/share/factory";

pub(super) fn make(tree: &mut Tree, work: &mut Work<'_>) -> Result<(), SetupError> {
    let declared = declared_paths(tree);
    let entries: Vec<(String, Entry)> =
        tree.below("var").map(|(path, entry)| (path.to_owned(), entry.clone())).collect();
    let mut lines = String::new();
    for (path, entry) in entries {
        if !declared.contains(&path) {
            lines += &line(&path, &entry, &work.accounts);
        }
        if let Kind::File(_) = entry.kind {
            tree.remove(&path);
            tree.insert(&format!("{FACTORY}/{path}"), entry)?;
        }
    }
    tree.write("usr/lib/tmpfiles.d/imgbuild-state.conf", Metadata::FILE, lines)?;
    Ok(())
}

/// Paths, relative to the root, that tmpfiles.d lines of packages create.
fn declared_paths(tree: &Tree) -> BTreeSet<String> {
    configuration(tree, "tmpfiles.d", ".conf")
        .into_iter()
        .flat_map(|(_, text)| text.lines())
        .filter_map(words::split)
        .filter(|words| {
            words.first().is_some_and(|kind| kind.starts_with(['d', 'D', 'v', 'q', 'Q', 'f', 'L', 'C']))
        })
        .filter_map(|words| words.get(1)?.strip_prefix('/').map(|path| path.trim_end_matches('/').to_owned()))
        .collect()
}

fn line(path: &str, entry: &Entry, accounts: &Accounts) -> String {
    let path = quote(&format!("/{path}"));
    let Metadata { mode, uid, gid } = entry.metadata;
    let user = accounts.user_by_number(uid).map_or_else(|| uid.to_string(), |user| user.name.clone());
    let group = accounts.group_by_number(gid).map_or_else(|| gid.to_string(), |group| group.name.clone());
    let mut line = String::new();
    // Writing to a String cannot go wrong.
    let _ = match &entry.kind {
        Kind::Directory => writeln!(line, "d {path} {mode:04o} {user} {group} -"),
        Kind::File(_) => writeln!(line, "C {path} {mode:04o} {user} {group} -"),
        Kind::Symlink(target) => writeln!(line, "L {path} - - - - {}", target.replace('%', "%%")),
    };
    line
}

/// Writes a path so that systemd reads it back: no specifiers, no word splitting.
fn quote(path: &str) -> String {
    let path = path.replace('%', "%%");
    if path.contains(|letter: char| letter.is_whitespace() || matches!(letter, '"' | '\'' | '\\')) {
        format!("\"{}\"", path.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_lines_that_read_back() {
        let accounts = Accounts::parse(
            "root:*:0:0::/root:/bin/sh\nstatd:*:990:65534::/:/bin/sh\n",
            "root:*:0:\nmail:*:8:\n",
        )
        .unwrap();
        let file = Entry {
            metadata: Metadata { mode: 0o640, uid: 990, gid: 1234 },
            kind: Kind::File(bytes::Bytes::new()),
        };
        let directory = Entry { metadata: Metadata { mode: 0o2775, uid: 0, gid: 8 }, kind: Kind::Directory };
        let link = Entry { metadata: Metadata::root(0o777), kind: Kind::Symlink("../a b%".into()) };
        let cases = [
            ("var/lib/nfs/state", &file, "C /var/lib/nfs/state 0640 statd 1234 -\n"),
            ("var/mail", &directory, "d /var/mail 2775 root mail -\n"),
            ("var/a b%", &directory, "d \"/var/a b%%\" 2775 root mail -\n"),
            ("var/x", &link, "L /var/x - - - - ../a b%%\n"),
        ];
        for (path, entry, expected) in cases {
            assert_eq!(line(path, entry, &accounts), expected);
        }
    }
}
