//! The reviewed table: which maintainer scripts a person has read, and what replaces them.
//!
//! A script is reduced to its hand-written rest: the sections that debhelper generated are known
//! kinds and are taken out, comments and boilerplate too. A package whose rest is not empty needs an
//! entry with the rest's digest; a changed script has another digest and is refused.

mod script;
mod table;

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

pub use script::{GENERATORS, Script};
pub use table::{FILE, Review, ReviewTable};

use super::DebInfo;
use crate::units::Sha256;

/// Scripts that would act when a package is installed. `prerm` and `postrm` only ever run when one
/// is removed, which does not happen to a package of an image.
pub const SCRIPTS: [&str; 4] = ["preinst", "postinst", "config", "triggers"];

/// A script that nobody has read in this form.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unreviewed {
    /// Package name.
    pub package: String,
    /// Debian version.
    pub version: String,
    /// `preinst`, `postinst`, `config` or `triggers`.
    pub script: String,
    /// What it does beyond generated sections.
    pub rest: String,
    /// Digest of `rest`, as an entry names it.
    pub sha256: Sha256,
    /// Digests that the table has for this script, if another form of it was read.
    pub known: Vec<Sha256>,
    /// Sections of generators this program does not know.
    pub unknown_generators: Vec<String>,
    /// Name the table would use: kernels go by their flavour.
    key: String,
}

/// Checks every package's scripts against `table`; the error lists all that need a person's eyes.
pub fn check_scripts(debs: &[DebInfo], table: &ReviewTable) -> Result<(), Vec<Unreviewed>> {
    let unreviewed: Vec<_> = debs.iter().flat_map(|deb| unreviewed(deb, table)).collect();
    if unreviewed.is_empty() { Ok(()) } else { Err(unreviewed) }
}

fn unreviewed<'a>(deb: &'a DebInfo, table: &'a ReviewTable) -> impl Iterator<Item = Unreviewed> + 'a {
    let key = key(&deb.name);
    let review = table.get(&key);
    SCRIPTS.iter().filter_map(move |name| {
        let content = deb.scripts.get(*name)?;
        let script = Script::parse(name, &String::from_utf8_lossy(content), deb);
        let known: &[Sha256] = review.map_or(&[], |review| review.digests(name));
        if script.is_trivial() || known.contains(&script.sha256()) {
            return None;
        }
        Some(Unreviewed {
            package: deb.name.clone(),
            version: deb.version.clone(),
            script: (*name).to_owned(),
            sha256: script.sha256(),
            known: known.to_vec(),
            unknown_generators: script.unknown_generators.clone(),
            rest: script.rest,
            key: key.clone(),
        })
    })
}

/// The table's name for a package: a kernel's name holds its version, `linux-image-6.12.117+deb13-amd64`,
/// and every security update changes it; its entry is `linux-image-*`.
pub(super) fn key(package: &str) -> String {
    match package.strip_prefix("linux-image-") {
        Some(release) if release.starts_with(|letter: char| letter.is_ascii_digit()) => {
            "linux-image-*".to_owned()
        }
        _ => package.to_owned(),
    }
}

/// The lines to add to `reviewed.toml` once the scripts have been read: one entry per package.
pub fn stanzas(scripts: &[Unreviewed]) -> String {
    let mut packages: BTreeMap<&str, Vec<&Unreviewed>> = BTreeMap::new();
    for script in scripts {
        packages.entry(&script.key).or_default().push(script);
    }
    let mut text = String::new();
    for (key, scripts) in packages {
        let _ = writeln!(text, "[[package]]\nname = \"{key}\"");
        for Unreviewed { script, sha256, .. } in scripts {
            let _ = writeln!(text, "{script} = [\"{sha256}\"]");
        }
        text += "steps = []\nnote = \"what replaces it\"\n";
    }
    text
}

/// The script as a person has to see it.
impl fmt::Display for Unreviewed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { package, version, script, rest, known, .. } = self;
        let state = if known.is_empty() { "is not reviewed" } else { "changed since it was reviewed" };
        writeln!(formatter, "{script} of `{package}` {version} {state}; beyond generated sections it does:")?;
        for line in rest.lines() {
            writeln!(formatter, "    {line}")?;
        }
        for generator in &self.unknown_generators {
            writeln!(formatter, "it has a section of unknown generator `{generator}`, shown above")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
