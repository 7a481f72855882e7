//! The root tree: packages, artifacts, reviewed scripts, declared setup, our programs, the kernel's indexes.

use bytes::Bytes;

use anyhow::Context as _;

use super::artifacts::Artifacts;
use super::kernel::Kernel;
use super::programs::Programs;
use crate::archive::lock::Lock;
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
    /// The packages that it was made of, sorted by name.
    pub debs: Vec<DebInfo>,
    /// Numbers of users and groups that the lock does not have yet.
    pub added: setup::Numbers,
    /// Time of everything in it.
    pub date: Timestamp,
}

/// What a root is made of.
#[derive(Clone, Copy, Debug)]
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
}

/// Composes a root.
pub fn compose(ingredients: &Ingredients<'_>, printer: &Printer) -> anyhow::Result<Root> {
    let Ingredients { profile, lock, date, packages, artifacts, reviews, programs } = *ingredients;
    let exclusions = Exclusions::new(&profile.exclude)?;
    let task = printer.task("unpacking packages", None);
    let unpacked = rootfs::unpack_all(packages, &exclusions, &task)?;
    task.finish(&format!("{} packages", unpacked.debs.len()));
    for pattern in exclusions.unused() {
        printer.detail(&format!("profile `{}` excludes `{pattern}`, which no package has", profile.name));
    }
    let (mut tree, debs) = (unpacked.tree, unpacked.debs);
    review::check_scripts(&debs, reviews).map_err(|scripts| unreviewed(&scripts))?;
    let task = printer.task("setting up the root", None);
    place_programs(&mut tree, programs)?;
    artifacts.place(&mut tree)?;
    let context =
        setup::Context { profile, debs: &debs, reviews, users: &lock.users, groups: &lock.groups, date };
    let added = setup::apply(&mut tree, &context).context("setting up the root")?;
    rootfs::dpkg::install(&mut tree, &debs)?;
    let kernel = Kernel::take(&mut tree).context("indexing kernel modules")?;
    rootfs::elf::check(&tree, profile.arch, &[]).context("looking for the libraries of every program")?;
    rootfs::ldcache::install(&mut tree, profile.arch)?;
    task.finish(&format!("{} entries, kernel {}", tree.iter().count(), kernel.release));
    Ok(Root { tree, kernel, debs, added, date })
}

/// Before setup, which enables units and needs them in the tree.
fn place_programs(tree: &mut Tree, programs: &Programs) -> anyhow::Result<()> {
    tree.write("usr/bin/firstboot", Metadata::root(0o755), programs.firstboot.clone())?;
    let unit = Bytes::from_static(firstboot::UNIT.as_bytes());
    tree.write("usr/lib/systemd/system/firstboot.service", Metadata::FILE, unit)?;
    Ok(())
}

fn unreviewed(scripts: &[review::Unreviewed]) -> anyhow::Error {
    let shown: Vec<String> = scripts.iter().map(ToString::to_string).collect();
    anyhow::anyhow!(
        "{} maintainer scripts need a person's eyes\n\n{}\nread them, then add to `reviewed.toml` beside `cluster.toml`:\n\n{}",
        scripts.len(),
        shown.join("\n"),
        review::stanzas(scripts).trim_end()
    )
}
