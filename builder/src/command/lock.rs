//! `imgbuild lock`: chooses packages, exactly, and numbers of users and groups.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;

use super::locking::{Keep, Locking};
use super::{Context, Note as _, failure};
use crate::archive::lock::{Lock, Selection};
use crate::bundle::programs::Programs;
use crate::bundle::root::{self, Ingredients};
use crate::cluster::Cluster;
use crate::profile::Profile;
use crate::rootfs::review::ReviewTable;
use crate::units::Arch;

/// Arguments of `lock`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Take the newest versions: of the named packages, or of all
    #[arg(long, value_name = "NAME", num_args = 0..)]
    update: Option<Vec<String>>,
}

/// One package that changed.
#[derive(Debug, Serialize)]
struct Change {
    name: String,
    arch: String,
    before: Option<String>,
    after: Option<String>,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let cluster = context.cluster()?;
    let reviews =
        ReviewTable::load(cluster.directory()).map_err(|error| anyhow::Error::from(error).input())?;
    let mut locking = Locking::open(&cluster, context, false)?;
    let before = versions(locking.lock());
    if let Some(names) = &arguments.update {
        refuse_unknown(names, locking.lock())?;
    }
    for (name, arch) in profiles(&cluster, locking.lock()) {
        let profile = Profile::load(&name, arch, cluster.directory()).map_err(failure::of_settings)?;
        let selection = match &arguments.update {
            None => locking.selection(&profile)?,
            Some(names) if names.is_empty() => locking.choose(&profile, Keep::None)?,
            Some(names) => locking.choose(&profile, Keep::AllBut(names))?,
        };
        number(&mut locking, &profile, &reviews, &selection, context)
            .with_context(|| format!("numbering users of profile `{name}` for {arch}"))?;
    }
    let changes = changes(&before, &versions(locking.lock()));
    if context.printer.is_json() {
        return Ok(context.printer.json(&changes)?);
    }
    Ok(context.printer.data(&summary(&changes, locking.lock()))?)
}

/// Profiles of the cluster's nodes and those locked already.
fn profiles(cluster: &Cluster, lock: &Lock) -> Vec<(String, Arch)> {
    let of_nodes = cluster.nodes.iter().map(|node| (node.profile.to_string(), node.arch));
    let locked = lock.selections.iter().map(|selection| (selection.profile.clone(), selection.arch));
    let mut profiles: Vec<_> = of_nodes.chain(locked).collect();
    profiles.sort();
    profiles.dedup();
    profiles
}

fn refuse_unknown(names: &[String], lock: &Lock) -> anyhow::Result<()> {
    let is_locked = |name: &&String| {
        lock.selections
            .iter()
            .flat_map(|selection| selection.packages.iter().chain(&selection.boot_packages))
            .any(|package| package.name == **name)
    };
    match names.iter().find(|name| !is_locked(name)) {
        Some(name) => Err(anyhow::anyhow!("`imgbuild.lock` has no package `{name}`").input()),
        None => Ok(()),
    }
}

/// Users come from files of the packages, so the root is composed to find those without a number.
fn number(
    locking: &mut Locking<'_>,
    profile: &Profile,
    reviews: &ReviewTable,
    selection: &Selection,
    context: &Context,
) -> anyhow::Result<()> {
    let (packages, _) = locking.fetch(selection)?;
    let programs = Programs::find(profile.arch)?;
    let lock = locking.lock();
    let ingredients = Ingredients { profile, lock, packages: &packages, reviews, programs: &programs };
    let added = root::compose(&ingredients, &context.printer)?.added;
    locking.add_numbers(&added)
}

/// Versions by name and architecture.
fn versions(lock: &Lock) -> BTreeMap<(String, String), String> {
    let selections = lock.selections.iter();
    let packages = selections.flat_map(|selection| selection.packages.iter().chain(&selection.boot_packages));
    packages.map(|item| ((item.name.clone(), item.arch.clone()), item.version.clone())).collect()
}

fn changes(
    before: &BTreeMap<(String, String), String>,
    after: &BTreeMap<(String, String), String>,
) -> Vec<Change> {
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

fn summary(changes: &[Change], lock: &Lock) -> String {
    let mut text = String::new();
    for Change { name, arch, before, after } in changes {
        let (before, after) = (before.as_deref().unwrap_or("-"), after.as_deref().unwrap_or("-"));
        let _ = writeln!(text, "{name} ({arch}) {before} -> {after}");
    }
    let packages: usize = lock.selections.iter().map(|selection| selection.packages.len()).sum();
    let selections = lock.selections.len();
    let _ =
        writeln!(text, "{} changed; {packages} packages of {selections} profiles are locked", changes.len());
    text
}
