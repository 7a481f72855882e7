//! A reader of Packages files, only for this test.

use std::collections::HashMap;

use imgbuild::archive::index::Package;
use imgbuild::units::{Bytes, Sha256};

/// Reads every stanza.
pub(crate) fn parse(text: &str, suite: &str, archive: &str) -> Vec<Package> {
    text.split("\n\n")
        .filter(|stanza| !stanza.trim().is_empty())
        .map(|stanza| {
            let fields: HashMap<&str, &str> =
                stanza.lines().filter_map(|line| line.split_once(": ")).collect();
            let text = |name: &str| (*fields.get(name).unwrap_or(&"")).to_owned();
            Package {
                name: text("Package"),
                version: text("Version"),
                arch: text("Architecture"),
                suite: suite.to_owned(),
                archive: archive.to_owned(),
                path: text("Filename"),
                size: Bytes(fields["Size"].parse().expect("Size is a number")),
                sha256: fields["SHA256"].parse::<Sha256>().expect("SHA256 is a digest"),
                depends: text("Depends"),
                pre_depends: text("Pre-Depends"),
                provides: text("Provides"),
                conflicts: text("Conflicts"),
                breaks: text("Breaks"),
                recommends: text("Recommends"),
                suggests: text("Suggests"),
                replaces: text("Replaces"),
                enhances: text("Enhances"),
                priority: text("Priority"),
                multi_arch: text("Multi-Arch"),
                essential: text("Essential") == "yes",
            }
        })
        .collect()
}
