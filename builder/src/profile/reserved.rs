//! Paths that no profile can give: made from something else, or covered on a node by what is mounted over them.
//!
//! What stands here would be built without a word and then be wrong or invisible. What the build finds in its way by
//! itself, such as a folder of a package, needs no entry.

/// Why a path is not the profile's, and what to do instead.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Reserved {
    /// The fact.
    pub(crate) reason: String,
    /// What leads to the end.
    pub(crate) help: String,
}

const ACCOUNTS: [&str; 4] = ["etc/passwd", "etc/group", "etc/shadow", "etc/gshadow"];
/// Links into `/usr`, which nearly every program is started or loaded through.
const MERGED: [&str; 4] = ["bin", "lib", "lib64", "sbin"];
/// Folders that lead to one of the same name below `/var`.
const WRITABLE: [&str; 5] = ["home", "media", "mnt", "opt", "srv"];
/// What a node has in memory, from one boot to the next.
const MEMORY: [&str; 5] = ["dev", "proc", "run", "sys", "tmp"];
const STATE: &str = "the state partition, which outlives images";
const TMPFILES: &str =
    "a line of `usr/lib/tmpfiles.d/NAME.conf` makes it at boot, or copies it from below `usr`";

/// Why `path` is reserved, if it is.
pub(crate) fn reserved(path: &str) -> Option<Reserved> {
    let (top, rest) = path.split_once('/').map_or((path, None), |(top, rest)| (top, Some(rest)));
    let (reason, help) = match (top, rest) {
        _ if ACCOUNTS.contains(&path) => (
            format!("`{path}` is made from the packages' users and groups, by the numbers in the lock"),
            "a file `usr/lib/sysusers.d/NAME.conf` adds users and groups".to_owned(),
        ),
        _ if path == "etc/machine-id" => (
            "`etc/machine-id` is made on each node, for it must be the node's own".to_owned(),
            "leave it out".to_owned(),
        ),
        _ if path == "usr/bin/firstboot" => {
            ("`usr/bin/firstboot` is imgbuild's own program".to_owned(), "leave it out".to_owned())
        }
        ("var", _) => (format!("`/var` is {STATE}"), TMPFILES.to_owned()),
        _ if WRITABLE.contains(&top) => {
            (format!("`/{top}` leads to `/var/{top}` on {STATE}"), TMPFILES.to_owned())
        }
        _ if MEMORY.contains(&top) => {
            (format!("`/{top}` is in memory on a node and empty at each boot"), TMPFILES.to_owned())
        }
        ("root", rest) => (
            "`/root` is made anew at each boot".to_owned(),
            format!("it begins with what lies below `usr/share/factory/root`: `{}`", factory(rest)),
        ),
        (_, None) if MERGED.contains(&top) => (
            format!("`/{top}` is a link to `/usr/{top}`, which programs rely on"),
            format!("give a path below it: `usr/{top}/NAME`"),
        ),
        _ => return None,
    };
    Some(Reserved { reason, help })
}

fn factory(rest: Option<&str>) -> String {
    format!("usr/share/factory/root/{}", rest.unwrap_or("NAME"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserves_what_is_covered_and_leaves_what_only_sounds_like_it() {
        let reason = |path| reserved(path).map(|reserved| reserved.reason);
        let state = "the state partition, which outlives images";
        for (path, expected) in [
            ("var", Some(format!("`/var` is {state}"))),
            ("var/lib/a", Some(format!("`/var` is {state}"))),
            ("opt/a", Some(format!("`/opt` leads to `/var/opt` on {state}"))),
            ("run/a", Some("`/run` is in memory on a node and empty at each boot".to_owned())),
            ("lib", Some("`/lib` is a link to `/usr/lib`, which programs rely on".to_owned())),
            ("lib/a", None),
            ("variety", None),
            ("etc/passwd-", None),
            ("usr/var/a", None),
        ] {
            assert_eq!(reason(path), expected, "{path}");
        }
    }

    #[test]
    fn leads_what_is_for_root_to_where_it_comes_from() {
        let help = reserved("root/.ssh/config").map(|reserved| reserved.help);
        let expected =
            "it begins with what lies below `usr/share/factory/root`: `usr/share/factory/root/.ssh/config`";
        assert_eq!(help.as_deref(), Some(expected));
    }
}
