//! The Rust crates that the node programs are compiled from, as locked.
//!
//! `Cargo.lock` of these sources is embedded, and so describes the node programs that are compiled with this
//! `imgbuild`. It knows neither targets nor features: crates that `firstboot` would use only on another system,
//! or only to compile, are listed too.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde::Deserialize;

use crate::units::Sha256;

const LOCK: &str = include_str!("../../../../Cargo.lock");
/// Crates of these sources that node programs are made of. What they need for their tests is in no program, and
/// `Cargo.lock` does not tell it from the rest; their own files do.
const MEMBERS: [(&str, &str); 2] = [
    ("firstboot", include_str!("../../../../firstboot/Cargo.toml")),
    ("kernel-ioctl", include_str!("../../../../firstboot/ioctl/Cargo.toml")),
];

/// A crate, exactly.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Crate {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Digest of the `.crate` file; `None` for the crates of these sources.
    pub sha256: Option<Sha256>,
    /// Indices of the crates that it depends on, ascending.
    pub dependencies: Vec<usize>,
}

#[derive(Deserialize)]
struct CargoLock {
    package: Vec<Locked>,
}

#[derive(Clone, Deserialize)]
struct Locked {
    name: String,
    version: String,
    checksum: Option<Sha256>,
    /// `name`, or `name version` where there are several of that name.
    #[serde(default)]
    dependencies: Vec<String>,
}

#[derive(Deserialize)]
struct Member {
    #[serde(default)]
    dependencies: BTreeMap<String, toml::Value>,
}

/// Everything that `firstboot` and `stage0` are compiled from, sorted by name and version.
pub fn of_node_programs() -> &'static [Crate] {
    static CRATES: LazyLock<Vec<Crate>> =
        LazyLock::new(|| closure(LOCK, &MEMBERS).expect("the lock of these sources has what it names"));
    &CRATES
}

/// The first of `members` and all that it needs; `None` for a lock that is none.
fn closure(lock: &str, members: &[(&str, &str)]) -> Option<Vec<Crate>> {
    let CargoLock { package: locked } = toml::from_str(lock).ok()?;
    let declared: BTreeMap<&str, Member> = members
        .iter()
        .map(|(name, manifest)| Some((*name, toml::from_str(manifest).ok()?)))
        .collect::<Option<_>>()?;
    let find = |dependency: &str| {
        let mut words = dependency.split(' ');
        let (name, version) = (words.next()?, words.next());
        let is_meant = |item: &&Locked| item.name == name && version.is_none_or(|it| it == item.version);
        locked.iter().find(is_meant)
    };
    let needed = |item: &Locked| {
        let member = declared.get(item.name.as_str()).filter(|_| item.checksum.is_none());
        let names = item.dependencies.iter().filter(|dependency| {
            let name = dependency.split(' ').next().unwrap_or_default();
            member.is_none_or(|member| member.dependencies.contains_key(name))
        });
        names.map(|name| find(name)).collect::<Option<Vec<&Locked>>>()
    };
    let key = |item: &Locked| (item.name.clone(), item.version.clone());
    let first = find(members.first()?.0)?;
    let mut found = BTreeMap::from([(key(first), Vec::new())]);
    let mut pending = vec![first];
    let mut items = BTreeMap::from([(key(first), first)]);
    while let Some(item) = pending.pop() {
        let needed = needed(item)?;
        for next in &needed {
            if items.insert(key(next), next).is_none() {
                pending.push(next);
            }
        }
        found.insert(key(item), needed.into_iter().map(key).collect());
    }
    let places: Vec<_> = found.keys().cloned().collect();
    let place = |key: &(String, String)| places.binary_search(key).ok();
    let crates = found.iter().map(|((name, version), needed)| {
        let sha256 = items.get(&(name.clone(), version.clone()))?.checksum;
        let dependencies: BTreeSet<usize> = needed.iter().map(place).collect::<Option<_>>()?;
        let dependencies = dependencies.into_iter().collect();
        Some(Crate { name: name.clone(), version: version.clone(), sha256, dependencies })
    });
    crates.collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::ffi::OsStr;

    use super::*;
    use crate::format::oracle::must_accept;

    #[test]
    fn follows_versions_and_leaves_out_what_tests_need() {
        let digest = "0".repeat(64);
        let registry = |name: &str, version: &str, needs: &str| {
            format!(
                "[[package]]\nname = \"{name}\"\nversion = \"{version}\"\nchecksum = \"{digest}\"\ndependencies = [{needs}]\n"
            )
        };
        let lock = [
            "[[package]]\nname = \"ours\"\nversion = \"1.0.0\"\ndependencies = [\"a\", \"b 2.0.0\", \"tester\"]\n"
                .to_owned(),
            registry("a", "1.0.0", "\"b 1.0.0\""),
            registry("b", "1.0.0", ""),
            registry("b", "2.0.0", "\"a\""),
            registry("tester", "1.0.0", ""),
        ]
        .concat();
        let crates = closure(&lock, &[("ours", "[dependencies]\na = \"1\"\nb = \"2\"\n")]).unwrap();
        let shown: Vec<_> = crates
            .iter()
            .map(|item| (item.name.as_str(), item.version.as_str(), item.dependencies.as_slice()))
            .collect();
        assert_eq!(
            shown,
            [("a", "1.0.0", &[1][..]), ("b", "1.0.0", &[]), ("b", "2.0.0", &[0]), ("ours", "1.0.0", &[0, 2])]
        );
        assert_eq!(crates[3].sha256, None);
        assert_eq!(closure("[[package]]", &[("ours", "")]), None);
        assert_eq!(
            closure(&lock.replace("\"b 2.0.0\"", "\"c\""), &[("ours", "[dependencies]\nc = 1")]),
            None
        );
    }

    /// Cargo also knows features: it may leave out, never add.
    #[test]
    fn has_every_crate_that_cargo_compiles_into_firstboot() {
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../firstboot/Cargo.toml");
        let arguments = [
            "tree",
            "--offline",
            "--locked",
            "--manifest-path",
            manifest,
            "--prefix",
            "none",
            "--edges",
            "normal",
            "--target",
            "all",
        ];
        let tree = must_accept("cargo", &arguments.map(OsStr::new));
        let cargo: BTreeSet<(String, String)> = tree
            .lines()
            .filter_map(|line| {
                let mut words = line.split(' ');
                Some((words.next()?.to_owned(), words.next()?.strip_prefix('v')?.to_owned()))
            })
            .collect();
        let ours: BTreeSet<_> =
            of_node_programs().iter().map(|item| (item.name.clone(), item.version.clone())).collect();
        assert!(cargo.len() > 10 && cargo.contains(&("kernel-ioctl".to_owned(), "0.1.0".to_owned())));
        assert_eq!(cargo.difference(&ours).collect::<Vec<_>>(), Vec::<&(String, String)>::new());
        assert!(!ours.iter().any(|(name, _)| name == "insta" || name == "reqwest"));
    }
}
