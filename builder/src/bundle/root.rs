//! The root tree: packages, artifacts, reviewed scripts, declared setup, our programs, the kernel's indexes.

use std::fmt;

use bytes::Bytes;
use firstboot::k3s::RunMode;

use anyhow::Context as _;
use thiserror::Error;

use super::artifacts::Artifacts;
use super::kernel::Kernel;
use super::programs::Programs;
use super::{firmware, microcode};
use crate::archive::lock::Lock;
use crate::derived::DerivedCache;
use crate::format::kmod::Unloadable;
use crate::printer::Printer;
use crate::profile::Profile;
use crate::rootfs::review::{self, ReviewTable};
use crate::rootfs::{self, DebInfo, Exclusions, PackageFile, setup};
use crate::tree::{Metadata, Tree};
use crate::units::Timestamp;

/// A composed root.
#[derive(Debug)]
pub struct Root {
    /// Everything that lies in the root file system.
    pub tree: Tree,
    /// The kernel that was in it.
    pub kernel: Kernel,
    /// What the kernel wants before the initrd, uncompressed: microcode, where the profile has any.
    pub microcode: Option<Bytes>,
    /// The packages that it was made of, sorted by name.
    pub debs: Vec<DebInfo>,
    /// Numbers of users and groups that the lock does not have yet.
    pub added: setup::Numbers,
    /// Time of everything in it.
    pub date: Timestamp,
}

/// What a root is made of.
#[derive(Clone, Copy)]
pub struct Ingredients<'a> {
    /// What to choose and leave out.
    pub profile: &'a Profile,
    /// Numbers of users and groups.
    pub lock: &'a Lock,
    /// Time of everything in the image.
    pub date: Timestamp,
    /// The packages in the cache.
    pub packages: &'a [PackageFile],
    /// Downloads that are no packages.
    pub artifacts: &'a Artifacts,
    /// Scripts that were read by a person.
    pub reviews: &'a ReviewTable,
    /// Our own programs.
    pub programs: &'a Programs,
    /// What need not be unpacked again.
    pub cache: &'a dyn DerivedCache,
}

/// Composes a root.
pub fn compose(ingredients: &Ingredients<'_>, printer: &Printer) -> anyhow::Result<Root> {
    let Ingredients { profile, lock, date, packages, artifacts, reviews, programs, cache } = *ingredients;
    let exclusions = Exclusions::new(&profile.exclude)?;
    let task = printer.task("unpacking packages", None);
    let unpacked = rootfs::unpack_all(packages, &exclusions, cache, &task)?;
    task.finish(&format!("{} packages", unpacked.debs.len()));
    for pattern in exclusions.unused() {
        printer.detail(&format!("profile `{}` excludes `{pattern}`, which no package has", profile.name));
    }
    let (mut tree, mut debs) = (unpacked.tree, unpacked.debs);
    review::check_scripts(&debs, reviews).map_err(|scripts| UnreviewedScripts { scripts })?;
    let task = printer.task("setting up the root", None);
    place_programs(&mut tree, programs)?;
    artifacts.place(&mut tree)?;
    let context =
        setup::Context { profile, debs: &debs, reviews, users: &lock.users, groups: &lock.groups, date };
    let added = setup::apply(&mut tree, &context).context("setting up the root")?;
    let kernel = Kernel::take(&mut tree, cache).context("indexing kernel modules")?;
    kernel
        .check_names(&profile.kernel.load_modules)
        .context("looking for the modules loaded at every boot")?;
    let microcode = microcode::take(&mut tree, date).context("taking the microcode")?;
    if !profile.firmware.packages.is_empty() {
        keep_firmware(&mut tree, &kernel, printer)?;
    }
    report_unloadable(&kernel, printer);
    forget_removed(&mut debs, &tree);
    rootfs::dpkg::install(&mut tree, &debs)?;
    rootfs::elf::check(&tree, profile.arch)
        .map_err(|error| artifacts.blame(error))
        .context("looking for the libraries of every program")?;
    rootfs::ldcache::install(&mut tree, profile.arch)?;
    setup::profile_files::check(&tree, profile)?;
    task.finish(&format!("{} entries, kernel {}", tree.iter().count(), kernel.release));
    Ok(Root { tree, kernel, microcode, debs, added, date })
}

/// Leaves the firmware that the kernel and its modules name, and says what nobody has.
fn keep_firmware(tree: &mut Tree, kernel: &Kernel, printer: &Printer) -> anyhow::Result<()> {
    let kept = firmware::keep_named(tree, &kernel.firmware()?).context("choosing firmware")?;
    printer.detail(&format!("firmware: {} files, {}", kept.files, kept.size));
    for (name, module) in &kept.missing {
        printer.detail(&format!("firmware `{name}`, which `{module}` may ask for, is in no package"));
    }
    if !kept.missing.is_empty() {
        let count = kept.missing.len();
        printer.note(&format!(
            "no package has {count} firmware files that modules name; `--verbose` lists them"
        ));
    }
    Ok(())
}

fn report_unloadable(kernel: &Kernel, printer: &Printer) {
    for Unloadable { module, needs } in &kernel.unloadable {
        printer.detail(&format!("module `{}` stays out with `{needs}`, which it needs", module.info.name));
    }
}

/// Drops modules and firmware that left the tree from the lists of what packages brought.
fn forget_removed(debs: &mut [DebInfo], tree: &Tree) {
    let is_pruned =
        |path: &str| ["usr/lib/modules/", "usr/lib/firmware/"].iter().any(|top| path.starts_with(top));
    for deb in debs {
        deb.files.retain(|path| !is_pruned(path) || tree.get(path).is_some());
    }
}

/// Before setup, which enables units and needs them in the tree.
fn place_programs(tree: &mut Tree, programs: &Programs) -> anyhow::Result<()> {
    tree.write("usr/bin/firstboot", Metadata::root(0o755), programs.firstboot.clone())?;
    for (name, text) in [
        ("firstboot.service", firstboot::UNIT),
        ("firstboot-metadata.service", firstboot::METADATA_UNIT),
        ("firstboot-serve.service", firstboot::SERVE_UNIT),
        ("firstboot-commit.service", firstboot::COMMIT_UNIT),
    ] {
        let path = format!("usr/lib/systemd/system/{name}");
        tree.write(&path, Metadata::FILE, Bytes::from_static(text.as_bytes()))?;
    }
    for mode in [RunMode::Server, RunMode::Agent] {
        let path = format!("usr/lib/systemd/system/{}", mode.unit_name());
        tree.write(&path, Metadata::FILE, mode.unit())?;
    }
    for (unit, text) in [
        ("emergency", firstboot::EMERGENCY),
        ("rescue", firstboot::EMERGENCY),
        ("systemd-journal-flush", firstboot::JOURNAL_FLUSH),
    ] {
        let path = format!("usr/lib/systemd/system/{unit}.service.d/firstboot.conf");
        tree.write(&path, Metadata::FILE, Bytes::from_static(text.as_bytes()))?;
    }
    Ok(())
}

/// Scripts that need a person's eyes: read, then entered in the table of reviews.
#[derive(Debug, Error)]
pub struct UnreviewedScripts {
    /// All of them.
    pub scripts: Vec<review::Unreviewed>,
}

impl fmt::Display for UnreviewedScripts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: Vec<String> = self.scripts.iter().map(ToString::to_string).collect();
        write!(
            formatter,
            "{} maintainer scripts need a person's eyes\n\n{}\nread them, then add to `{}` beside \
             `cluster.toml`:\n\n{}",
            self.scripts.len(),
            shown.join("\n"),
            review::FILE,
            review::stanzas(&self.scripts).trim_end()
        )
    }
}
