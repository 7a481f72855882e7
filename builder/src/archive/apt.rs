//! The package sources of a Debian host, as sources.list(5) has them.

use std::path::Path;

use super::deb822::{Stanza, stanzas};

/// Names of Debian's suites, by code name and by state. Third parties that build for Debian name theirs
/// after them, some with a component `main` in a folder `debian`; those have a key of their own.
const RELEASES: [&str; 11] = [
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "duke",
    "sid",
    "oldoldstable",
    "oldstable",
    "stable",
    "testing",
    "unstable",
];

/// One place to fetch binary packages from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct AptSource {
    /// Base of the archive, as written.
    pub(super) uri: String,
    suites: Vec<String>,
    components: Vec<String>,
    /// Keyring, fingerprint or key that it is bound to.
    signed_by: Option<String>,
}

impl AptSource {
    /// Without a word, apt trusts every key it has, Debian's too.
    fn has_debian_key(&self) -> bool {
        let is_debian = |keyring: &str| {
            Path::new(keyring)
                .file_name()
                .and_then(|name| name.to_str())
                .is_some_and(|name| name.starts_with("debian-archive-"))
        };
        self.signed_by.as_deref().is_none_or(is_debian)
    }

    /// Whether it has `main` of a suite of Debian.
    pub(super) fn is_debian(&self, is_suite: fn(&str) -> bool) -> bool {
        let is_main = self.components.iter().any(|component| component == "main");
        is_main && self.has_debian_key() && self.suites.iter().any(|suite| is_suite(suite))
    }
}

/// A suite of the main archive: `trixie`, `stable`, also `trixie-updates`.
pub(super) fn is_release(suite: &str) -> bool {
    let kinds = ["-updates", "-proposed-updates", "-backports"];
    let base = kinds.iter().find_map(|kind| suite.strip_suffix(kind)).unwrap_or(suite);
    RELEASES.contains(&base)
}

/// A suite of the security archive: `trixie-security`.
pub(super) fn is_security(suite: &str) -> bool {
    suite.strip_suffix("-security").is_some_and(|base| RELEASES.contains(&base))
}

/// All sources of binary packages, in the order apt reads them.
///
/// A file that cannot be read or parsed is passed over: other files or the snapshot archive serve as well.
pub(super) fn apt_sources(folder: &Path) -> Vec<AptSource> {
    let mut files = vec![folder.join("sources.list")];
    let parts = std::fs::read_dir(folder.join("sources.list.d")).into_iter().flatten().flatten();
    let mut parts: Vec<_> = parts.map(|entry| entry.path()).collect();
    parts.sort();
    files.extend(parts);
    let mut sources = Vec::new();
    for file in files {
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("list") => sources.extend(text.lines().filter_map(one_line)),
            Some("sources") => sources.extend(deb822(&text)),
            _ => {}
        }
    }
    sources
}

/// A line `deb [options] URI suite component…`.
fn one_line(line: &str) -> Option<AptSource> {
    let line = line.split('#').next()?;
    let rest = line.trim().strip_prefix("deb")?;
    let rest = rest.strip_prefix([' ', '\t'])?.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(options) => options.split_once(']')?,
        None => ("", rest),
    };
    let option = |word: &str| word.strip_prefix("signed-by=").map(str::to_owned);
    let signed_by = options.split_ascii_whitespace().find_map(option);
    let mut words = rest.split_ascii_whitespace().map(str::to_owned);
    let (uri, suites) = (words.next()?, vec![words.next()?]);
    Some(AptSource { uri, suites, components: words.collect(), signed_by })
}

/// The enabled stanzas of binary packages of a `.sources` file, one source per URI.
fn deb822(text: &str) -> Vec<AptSource> {
    // sources.list(5) allows comments, also between fields.
    let text: String =
        text.lines().filter(|line| !line.starts_with('#')).flat_map(|line| [line, "\n"]).collect();
    let words = |stanza: &Stanza<'_>, field: &str| -> Vec<String> {
        stanza.get(field).unwrap_or_default().split_ascii_whitespace().map(str::to_owned).collect()
    };
    let mut sources = Vec::new();
    for stanza in stanzas(&text).flatten() {
        let is_enabled = !stanza.get("Enabled").unwrap_or("yes").eq_ignore_ascii_case("no");
        if is_enabled && words(&stanza, "Types").iter().any(|kind| kind == "deb") {
            let (suites, components) = (words(&stanza, "Suites"), words(&stanza, "Components"));
            sources.extend(words(&stanza, "URIs").into_iter().map(|uri| AptSource {
                uri,
                suites: suites.clone(),
                components: components.clone(),
                signed_by: stanza.get("Signed-By").map(str::to_owned),
            }));
        }
    }
    sources
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_suites_of_debian_from_others() {
        for suite in ["trixie", "stable", "bookworm-updates", "bookworm-backports", "sid"] {
            assert!(is_release(suite) && !is_security(suite), "{suite}");
        }
        assert!(is_security("trixie-security") && !is_release("trixie-security"));
        for suite in ["any-version", "trixie-pgdg", "noble", "./", ""] {
            assert!(!is_release(suite) && !is_security(suite), "{suite}");
        }
    }
}
