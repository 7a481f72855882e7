//! `imgbuild build`: from the cluster file to a bootable disk image.

mod artifacts;
mod cached;
mod folder;
mod plan;
mod timings;

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;

use self::cached::BuildFacts;
use self::folder::Staging;
use self::plan::Plan;
use self::timings::Timings;
use super::Context;
use super::interrupt::{self, Cleanup};
use super::locking::Locking;
use crate::archive::lock::Selection;
use crate::bundle::artifacts::Artifacts;
use crate::bundle::manifest::{self, FileFacts, Manifest, Package, Partition};
use crate::bundle::programs::ProgramFacts;
use crate::bundle::root::{self, Ingredients, Root};
use crate::bundle::seal::{self, Bundle};
use crate::medium::disk::{self, DiskContents, DiskLayout};
use crate::rootfs::{Exclusions, PackageFile, unpack_all};
use crate::tree::{Kind, Tree};
use crate::units::{Arch, Bytes};

/// Arguments of `build`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Profile to build, e.g. cloud
    profile: String,
    /// Image to lay it on
    #[arg(long, value_name = "NAME", default_value = "disk")]
    image: String,
    /// Architecture to build for
    #[arg(long, value_enum, default_value_t = Arch::Amd64)]
    arch: Arch,
    /// Folder for the result; without it, out/PROFILE-ARCH beside the cluster file
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Fail rather than change imgbuild.lock
    #[arg(long)]
    locked: bool,
    /// Take artifact NAME from FILE; another than the pinned one is shown as unpinned
    #[arg(long = "artifact", value_name = "NAME=FILE")]
    artifacts: Vec<artifacts::Argument>,
    /// Leave out artifacts that no --artifact gives; they are shown as absent
    #[arg(long)]
    without_artifacts: bool,
}

/// Runs the command. Interrupted, it removes what it had begun; the cache stays usable.
pub(super) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let plan = Plan::load(arguments, context)?;
    interrupt::guard(|cleanup| build(&plan, arguments.locked, cleanup, context))
}

fn build(plan: &Plan, is_locked: bool, cleanup: &Cleanup, context: &Context) -> anyhow::Result<()> {
    let printer = &context.printer;
    let mut timings = Timings::start();
    let mut locking = Locking::open(&plan.cluster, context, is_locked)?;
    let selection = timings.measure("lock", || locking.selection(&plan.profile))?;
    if let Some(built) = cached::find(plan, locking.lock(), &selection) {
        printer.note(&format!("`{}` is up to date", plan.output.display()));
        return show(plan, &built.manifest, &built.facts, context);
    }
    let (packages, boot) = timings.measure("fetch", || locking.fetch(&selection))?;
    let artifacts =
        timings.measure("artifacts", || plan.given.supply(&plan.profile, &selection, &locking))?;
    artifacts::refuse_other_k3s(&artifacts, &plan.cluster)?;
    artifacts::note(&artifacts, printer);
    let staging = Staging::begin(&plan.output, &plan.staging, cleanup)?;
    let ingredients = Ingredients {
        profile: &plan.profile,
        lock: locking.lock(),
        date: selection.date,
        packages: &packages,
        artifacts: &artifacts,
        reviews: &plan.reviews,
        programs: &plan.programs,
    };
    let root = timings.measure("compose", || root::compose(&ingredients, printer))?;
    locking.add_numbers(&root.added)?;
    let lock = locking.lock();
    let bundle = timings.measure("seal", || {
        let boot = boot_tree(&boot, context)?;
        let parts = seal::Parts {
            root: &root,
            boot: &boot,
            profile: &plan.profile,
            image: &plan.image,
            stage0: &plan.programs.stage0,
        };
        seal::seal(&parts, staging.path(), printer)
    })?;
    let (layout, disk) = timings.measure("lay", || lay(plan, &bundle, &root, &staging, context))?;
    let manifest = describe(plan, &selection, &artifacts, &root, &bundle, &layout, disk);
    let facts = BuildFacts::new(plan, lock, &selection, timings);
    let facts = staging.publish(&manifest, facts)?;
    show(plan, &manifest, &facts, context)
}

/// The unpacked boot packages: systemd-boot and its stub.
fn boot_tree(packages: &[PackageFile], context: &Context) -> anyhow::Result<Tree> {
    let task = context.printer.task("unpacking boot files", None);
    let unpacked = unpack_all(packages, &Exclusions::new(&[])?, &task);
    Ok(unpacked.context("unpacking boot packages")?.tree)
}

fn lay(
    plan: &Plan,
    bundle: &Bundle,
    root: &Root,
    staging: &Staging,
    context: &Context,
) -> anyhow::Result<(DiskLayout, FileFacts)> {
    let task = context.printer.task("laying the disk", None);
    let uki = std::fs::read(staging.path().join(seal::UKI)).context("reading the UKI back")?;
    let efi = plan.arch.efi().to_ascii_uppercase();
    let loader = "timeout 0\neditor no\n";
    let esp = [
        (format!("EFI/BOOT/BOOT{efi}.EFI"), bundle.boot_loader.clone()),
        ("EFI/Linux/imgbuild_1.efi".to_owned(), uki.into()),
        ("loader/loader.conf".to_owned(), loader.into()),
    ];
    let contents = DiskContents {
        arch: plan.arch,
        root_hash: bundle.root_hash,
        time: root.date,
        root: &staging.path().join(seal::ROOT),
        verity: &staging.path().join(seal::VERITY),
        esp: &esp,
    };
    let path = staging.path().join(folder::DISK);
    let layout = disk::write(&contents, &plan.image, &path)?;
    let facts = folder::facts(&path)?;
    task.finish(&format!("{} partitions, {}", layout.partitions.len(), layout.size));
    Ok((layout, facts))
}

fn describe(
    plan: &Plan,
    selection: &Selection,
    artifacts: &Artifacts,
    root: &Root,
    bundle: &Bundle,
    layout: &DiskLayout,
    disk: FileFacts,
) -> Manifest {
    let installed = |name: &str| {
        let files = root.debs.iter().find(|deb| deb.name == name).map(|deb| deb.files.as_slice());
        files.unwrap_or_default().iter().map(|path| file_size(&root.tree, path)).sum()
    };
    let package = |package: &crate::archive::lock::LockedPackage, is_installed: bool| Package {
        name: package.name.clone(),
        version: package.version.clone(),
        arch: package.arch.clone(),
        sha256: package.sha256,
        installed: Bytes(if is_installed { installed(&package.name) } else { 0 }),
    };
    let files = bundle.files.iter().map(|(name, facts)| ((*name).to_owned(), *facts));
    Manifest {
        format: manifest::FORMAT,
        profile: plan.profile.name.clone(),
        image: plan.image.name.clone(),
        arch: plan.arch,
        debug: plan.profile.debug,
        date: root.date,
        root_hash: bundle.root_hash,
        kernel: root.kernel.release.clone(),
        command_line: bundle.command_line.clone(),
        initrd_size: bundle.initrd_size,
        files: files.chain([(folder::DISK.to_owned(), disk)]).collect(),
        partitions: layout.partitions.iter().map(|partition| used(partition, bundle)).collect(),
        packages: selection.packages.iter().map(|item| package(item, true)).collect(),
        boot_packages: selection.boot_packages.iter().map(|item| package(item, false)).collect(),
        artifacts: artifacts.supplied.iter().map(manifest::Artifact::from).collect(),
        unpinned: artifacts.unpinned(),
        absent: artifacts.absent.clone(),
        programs: [("firstboot", &plan.programs.firstboot), ("stage0", &plan.programs.stage0)]
            .into_iter()
            .map(|(name, program)| (name.to_owned(), ProgramFacts::of(program)))
            .collect(),
    }
}

fn file_size(tree: &Tree, path: &str) -> u64 {
    match tree.get(path).map(|entry| &entry.kind) {
        Some(Kind::File(content)) => Bytes::of(content).0,
        _ => 0,
    }
}

/// How much of a partition is in use: the file laid into it, or the boot files of the ESP.
fn used(placed: &disk::PlacedPartition, bundle: &Bundle) -> Partition {
    let size = |wanted: &str| {
        let facts = bundle.files.iter().find(|(name, _)| *name == wanted).map(|(_, facts)| facts.size);
        facts.unwrap_or_default()
    };
    let used = match placed.label.as_str() {
        "root-a" => size(seal::ROOT),
        "root-a-verity" => size(seal::VERITY),
        "esp" => Bytes(size(seal::UKI).0.saturating_add(Bytes::of(&bundle.boot_loader).0)),
        _ => Bytes(0),
    };
    Partition {
        label: placed.label.clone(),
        kind: placed.partition_type,
        partuuid: placed.partuuid,
        first: placed.first,
        size: placed.size,
        used,
    }
}

fn show(plan: &Plan, manifest: &Manifest, facts: &BuildFacts, context: &Context) -> anyhow::Result<()> {
    #[derive(Serialize)]
    struct Shown<'a> {
        folder: &'a std::path::Path,
        manifest: &'a Manifest,
        build: &'a BuildFacts,
    }
    if context.printer.is_json() {
        let shown = Shown { folder: &plan.output, manifest, build: facts };
        return Ok(context.printer.json(&shown)?);
    }
    let mut text = format!("{}\n", plan.output.display());
    for (name, file) in &manifest.files {
        let _ = writeln!(text, "  {name:<12} {:>10}  {}", file.size.to_string(), file.sha256);
    }
    let _ = writeln!(text, "  root hash    {:>10}  {}", "", manifest.root_hash);
    for (what, names) in [("unpinned", &manifest.unpinned), ("absent", &manifest.absent)] {
        if !names.is_empty() {
            let _ = writeln!(text, "  {what}: {}", names.join(", "));
        }
    }
    Ok(context.printer.data(&text)?)
}
