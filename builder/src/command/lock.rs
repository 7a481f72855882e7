//! `imgbuild lock`: chooses packages and artifacts, exactly, and numbers of users and groups.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::locking::{FILE, Keep, Locking};
use super::{Context, Note as _, failure, this_program};
use crate::archive::lock::{Lock, LockedArtifact, LockedPackage, Selection};
use crate::bundle::artifacts::Artifacts;
use crate::bundle::programs::{ProgramFacts, Programs};
use crate::bundle::root::{self, Ingredients};
use crate::cluster::Cluster;
use crate::derived;
use crate::profile::Profile;
use crate::rootfs::review::ReviewTable;
use crate::settings::{self, Kind};
use crate::units::{Arch, Sha256};

/// Arguments of `lock`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Take the newest versions: of the named packages and artifacts, or of all
    #[arg(long, value_name = "NAME", num_args = 0..)]
    update: Option<Vec<String>>,
}

/// One package or artifact that changed.
#[derive(Debug, Serialize)]
struct Change {
    name: String,
    arch: String,
    before: Option<Locked>,
    after: Option<Locked>,
}

/// What is locked under a name.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
struct Locked {
    version: String,
    sha256: Sha256,
}

/// What is locked, by name and architecture.
type All = BTreeMap<(String, String), Locked>;

/// Runs the command.
pub(super) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let cluster = context.cluster()?;
    let reviews = ReviewTable::load(cluster.directory()).map_err(failure::of_reviews)?;
    let mut locking = Locking::open(&cluster, context, false)?;
    let before = all(locking.lock());
    if let Some(names) = &arguments.update {
        refuse_unknown(names, locking.lock())?;
    }
    // Whatever may be missing here shows before the first byte is fetched.
    let profiles: Vec<(Profile, Programs)> = profiles(&cluster, locking.lock(), context)?
        .into_iter()
        .map(|(name, arch)| {
            let profile = Profile::load(&name, arch, cluster.directory()).map_err(failure::of_settings)?;
            Ok((profile, Programs::find(arch).map_err(failure::of_programs)?))
        })
        .collect::<anyhow::Result<_>>()?;
    for (profile, programs) in &profiles {
        let selection = match &arguments.update {
            None => locking.selection(profile)?,
            Some(names) if names.is_empty() => locking.choose(profile, Keep::None)?,
            Some(names) => locking.choose(profile, Keep::AllBut(names))?,
        };
        number(&mut locking, profile, programs, &reviews, &selection, context)
            .with_context(|| format!("numbering users of profile `{}` for {}", profile.name, profile.arch))?;
    }
    let changes = changes(&before, &all(locking.lock()));
    if context.printer.is_json() {
        return Ok(context.printer.json(&changes)?);
    }
    Ok(context.printer.data(&summary(&changes, before.is_empty(), locking.lock()))?)
}

/// Profiles of the cluster's nodes, and those locked already that still exist.
fn profiles(cluster: &Cluster, lock: &Lock, context: &Context) -> anyhow::Result<Vec<(String, Arch)>> {
    let known = settings::names(Kind::Profile, cluster.directory())?;
    let mut profiles: Vec<_> =
        cluster.nodes.iter().map(|node| (node.profile.to_string(), node.arch)).collect();
    for Selection { profile, arch, .. } in &lock.selections {
        if known.contains(profile) {
            profiles.push((profile.clone(), *arch));
        } else {
            context
                .printer
                .note(&format!("profile `{profile}` is gone, its locked packages stay as they are"));
        }
    }
    profiles.sort();
    profiles.dedup();
    Ok(profiles)
}

fn refuse_unknown(names: &[String], lock: &Lock) -> anyhow::Result<()> {
    let locked = all(lock);
    let is_locked = |name: &&String| locked.keys().any(|(locked, _)| locked == *name);
    match names.iter().find(|name| !is_locked(name)) {
        Some(name) => Err(anyhow::anyhow!("`imgbuild.lock` has no package or artifact `{name}`").input()),
        None => Ok(()),
    }
}

/// Users come from files of the packages, so the root is composed to find those without a number; not
/// again where the same root was composed before with the numbers that the lock has by now.
fn number(
    locking: &mut Locking<'_>,
    profile: &Profile,
    programs: &Programs,
    reviews: &ReviewTable,
    selection: &Selection,
    context: &Context,
) -> anyhow::Result<()> {
    // Read once: it is large.
    let imgbuild = this_program()?;
    let inputs = |lock: &Lock| numbered(imgbuild, lock, profile, reviews, selection, programs);
    if locking.cache().is_done(inputs(locking.lock())) {
        return Ok(());
    }
    let (packages, _) = locking.fetch(selection)?;
    let lock = locking.lock();
    let cache = context.derived(imgbuild)?;
    let ingredients = Ingredients {
        profile,
        lock,
        date: selection.date,
        packages: &packages,
        // No user comes from an artifact.
        artifacts: &Artifacts::default(),
        reviews,
        programs,
        cache: &cache,
    };
    let composed = root::compose(&ingredients, &context.printer);
    cache.trim(derived::LIMIT);
    let added = composed?.added;
    locking.add_numbers(&added)?;
    Ok(locking.cache().keep_done(inputs(locking.lock()))?)
}

/// Digest of all that decides which users and groups there are, with the numbers that are locked.
fn numbered(
    imgbuild: Sha256,
    lock: &Lock,
    profile: &Profile,
    reviews: &ReviewTable,
    selection: &Selection,
    programs: &Programs,
) -> Sha256 {
    let inputs = json!({
        "what": "numbers of users and groups",
        "imgbuild": imgbuild,
        "profile": profile,
        "selection": selection,
        "users": lock.users,
        "groups": lock.groups,
        "reviews": format!("{reviews:?}"),
        "programs": [ProgramFacts::of(&programs.firstboot), ProgramFacts::of(&programs.stage0)],
    });
    Sha256::of(inputs.to_string().as_bytes())
}

fn all(lock: &Lock) -> All {
    let mut all = All::new();
    for selection in &lock.selections {
        let packages = selection.packages.iter().chain(&selection.boot_packages);
        all.extend(packages.map(|LockedPackage { name, arch, version, sha256, .. }| {
            ((name.clone(), arch.clone()), Locked { version: version.clone(), sha256: *sha256 })
        }));
        all.extend(selection.artifacts.iter().map(|LockedArtifact { name, version, sha256, .. }| {
            let key = (name.clone(), selection.arch.to_string());
            (key, Locked { version: version.clone(), sha256: *sha256 })
        }));
    }
    all
}

fn changes(before: &All, after: &All) -> Vec<Change> {
    let mut keys: Vec<_> = before.keys().chain(after.keys()).collect();
    keys.sort();
    keys.dedup();
    keys.into_iter()
        .filter(|key| before.get(key) != after.get(key))
        .map(|key| Change {
            name: key.0.clone(),
            arch: key.1.clone(),
            before: before.get(key).cloned(),
            after: after.get(key).cloned(),
        })
        .collect()
}

/// The changes, then what is locked now.
fn summary(changes: &[Change], is_first: bool, lock: &Lock) -> String {
    let mut text = String::new();
    // The first lock is all new: 140 lines would tell nothing that the file does not.
    let listed = if is_first { &[][..] } else { changes };
    for Change { name, arch, before, after } in listed {
        let _ = match (before, after) {
            (Some(Locked { version: old, sha256: from }), Some(Locked { version: new, sha256: to })) => {
                writeln!(text, "{name} ({arch}) {old} -> {new}\n  sha256 {from}\n      -> {to}")
            }
            (None, Some(after)) => writeln!(text, "{name} ({arch}) {}, new", after.version),
            (Some(before), None) => writeln!(text, "{name} ({arch}) {}, gone", before.version),
            (None, None) => Ok(()),
        };
    }
    for Selection { profile, arch, packages, artifacts, .. } in &lock.selections {
        let (packages, artifacts) = (packages.len(), artifacts.len());
        let _ = writeln!(text, "profile `{profile}` for {arch}: {packages} packages, {artifacts} artifacts");
    }
    let count = changes.len();
    let _ = if is_first {
        writeln!(text, "`{FILE}` is new and has {count} packages and artifacts")
    } else {
        writeln!(text, "{count} changed; `{FILE}` has them all")
    };
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_of_each_change_whether_it_is_new_newer_or_gone() {
        let locked =
            |version: &str| Locked { version: version.to_owned(), sha256: Sha256::of(version.as_bytes()) };
        let change = |before: Option<&str>, after: Option<&str>| Change {
            name: "bash".to_owned(),
            arch: "amd64".to_owned(),
            before: before.map(locked),
            after: after.map(locked),
        };
        let changes = [change(None, Some("1")), change(Some("1"), Some("2")), change(Some("2"), None)];
        let first = summary(&changes, true, &Lock::empty());
        assert_eq!(first, "`imgbuild.lock` is new and has 3 packages and artifacts\n");
        insta::assert_snapshot!(summary(&changes, false, &Lock::empty()), @r"
        bash (amd64) 1, new
        bash (amd64) 1 -> 2
          sha256 6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b
              -> d4735e3a265e16eee03f59718b9b5d03019c07d8b6c51f90da3a666eec13ab35
        bash (amd64) 2, gone
        3 changed; `imgbuild.lock` has them all
        ");
    }
}
