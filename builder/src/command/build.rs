//! `imgbuild build`: from the cluster file to a bootable disk image.

mod artifacts;
mod cached;
mod documents;
mod folder;
mod plan;
mod timings;

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;

use self::cached::BuildFacts;
use self::folder::Unfinished;
use self::plan::Plan;
pub(super) use self::plan::folder_name;
use self::timings::Timings;
use super::Context;
use super::identity::Unlock;
use super::interrupt::{self, Cleanup};
use super::locking::Locking;
use crate::archive::lock::Selection;
use crate::bundle::artifacts::Artifacts;
use crate::bundle::manifest::{self, DiskFacts, Manifest, Package, Partition};
use crate::bundle::programs::ProgramFacts;
use crate::bundle::root::{self, Ingredients, Root};
use crate::bundle::seal::{self, Bundle};
use crate::derived::{self, DerivedCache};
use crate::image::Role;
use crate::medium::bios::{BiosBoot, BiosSlot};
use crate::medium::disk::{self, DiskContents, DiskLayout};
use crate::medium::esp::BootFiles;
use crate::rootfs::compose::Unpacked;
use crate::rootfs::{Exclusions, PackageFile, unpack_all};
use crate::secure_boot::SignedBy;
use crate::tree::{Kind, Tree};
use crate::units::{Arch, Bytes};

/// The image that is meant where none is named.
const IMAGE: &str = "disk";

/// Arguments of `build`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Profile to build, e.g. cloud
    profile: String,
    /// Image to lay it on
    #[arg(long, value_name = "NAME", default_value = IMAGE)]
    image: String,
    /// Architecture to build for
    #[arg(long, value_enum, default_value_t = Arch::Amd64)]
    arch: Arch,
    /// Folder for the result; without it, out/PROFILE-ARCH beside the cluster
    /// file, and out/PROFILE-IMAGE-ARCH for images other than disk
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
    /// Sign nothing, though there is an identity
    #[arg(long)]
    unsigned: bool,
    #[command(flatten)]
    unlock: Unlock,
}

/// Runs the command. Interrupted, it removes what it had begun; the cache stays usable.
pub(super) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let plan = Plan::load(arguments, context)?;
    let (manifest, facts) = interrupt::guard(|cleanup| build(&plan, arguments.locked, cleanup, context))?;
    show(&plan, &manifest, &facts, context)
}

/// Builds an image as the command does that is given nothing but its name.
pub(super) fn make(
    profile: &str,
    image: &str,
    arch: Arch,
    unlock: &Unlock,
    context: &Context,
) -> anyhow::Result<()> {
    let arguments = Arguments {
        profile: profile.to_owned(),
        image: image.to_owned(),
        arch,
        output: None,
        locked: false,
        artifacts: Vec::new(),
        without_artifacts: false,
        unsigned: false,
        unlock: unlock.clone(),
    };
    let plan = Plan::load(&arguments, context)?;
    interrupt::guard(|cleanup| build(&plan, false, cleanup, context).map(drop))
}

fn build(
    plan: &Plan,
    is_locked: bool,
    cleanup: &Cleanup,
    context: &Context,
) -> anyhow::Result<(Manifest, BuildFacts)> {
    let printer = &context.printer;
    let mut timings = Timings::start();
    let mut locking = Locking::open(&plan.cluster, context, is_locked)?;
    let selection = timings.measure("lock", || locking.selection(&plan.profile))?;
    plan.given.refuse_other_k3s(&plan.profile, &selection, &plan.cluster)?;
    if let Some(built) = cached::find(plan, locking.lock(), &selection) {
        printer.note(&format!("`{}` is up to date", plan.output.display()));
        documents::sign(&plan.output, plan.signing_key.as_ref())?;
        return Ok((built.manifest, built.facts));
    }
    let (packages, boot) = timings.measure("fetch", || locking.fetch(&selection))?;
    let artifacts =
        timings.measure("artifacts", || plan.given.supply(&plan.profile, &selection, &locking))?;
    artifacts::note(&artifacts, printer);
    let unfinished = Unfinished::begin(&plan.output, &plan.partial, cleanup)?;
    let cache = context.derived(plan.imgbuild)?;
    let ingredients = Ingredients {
        profile: &plan.profile,
        lock: locking.lock(),
        date: selection.date,
        packages: &packages,
        artifacts: &artifacts,
        reviews: &plan.reviews,
        programs: &plan.programs,
        cache: &cache,
    };
    let root = timings.measure("compose", || root::compose(&ingredients, printer))?;
    locking.add_numbers(&root.added)?;
    let lock = locking.lock();
    let boot = timings.measure("compose", || unpack_boot(&boot, &cache, context))?;
    let bundle = timings.measure("seal", || {
        let parts = seal::Parts {
            root: &root,
            boot: &boot.tree,
            profile: &plan.profile,
            image: &plan.image,
            stage0: &plan.programs.stage0,
            signer: plan.secure_boot.as_ref().map(|keys| &keys.database),
            cache: &cache,
        };
        let bundle = seal::seal(&parts, unfinished.path(), printer);
        cache.trim(derived::LIMIT);
        bundle
    })?;
    let laid = timings.measure("lay", || lay(plan, &bundle, &root, &boot.tree, &unfinished, context))?;
    let mut manifest = describe(plan, &selection, &artifacts, &root, &bundle, &laid);
    documents::write(&mut manifest, &selection, &root, &boot, unfinished.path())?;
    let facts = BuildFacts::new(plan, lock, &selection, timings);
    let facts = unfinished.publish(&manifest, facts, plan.signing_key.as_ref())?;
    Ok((manifest, facts))
}

/// The unpacked boot packages: systemd-boot and its stub, GRUB's files.
fn unpack_boot(
    packages: &[PackageFile],
    cache: &dyn DerivedCache,
    context: &Context,
) -> anyhow::Result<Unpacked> {
    let task = context.printer.task("unpacking boot files", None);
    let unpacked = unpack_all(packages, &Exclusions::new(&[])?, cache, &task);
    unpacked.context("unpacking boot packages")
}

/// A written disk.
struct Laid {
    layout: DiskLayout,
    disk: DiskFacts,
    /// Bytes in use by the files of the ESP.
    esp: Bytes,
    /// Bytes in use in the BIOS boot partition.
    bios_boot: Bytes,
}

fn lay(
    plan: &Plan,
    bundle: &Bundle,
    root: &Root,
    boot: &Tree,
    unfinished: &Unfinished,
    context: &Context,
) -> anyhow::Result<Laid> {
    let task = context.printer.task("laying the disk", None);
    let bios = bios_boot(plan, boot)?;
    let uki = std::fs::read(unfinished.path().join(seal::UKI)).context("reading the UKI back")?;
    let slot = BiosSlot {
        kernel: root.kernel.image.clone(),
        microcode: root.microcode.clone(),
        initrd: bundle.initrd.clone(),
        command_line: format!("{} {}", bundle.command_line, plan.image.full_command_line()),
    };
    let boot_files = BootFiles {
        arch: plan.arch,
        boot_loader: bundle.boot_loader.clone(),
        uki: uki.into(),
        addon: bundle.addon.clone(),
        secure_boot: plan.secure_boot.as_ref().map(|keys| (keys, plan.image.secure_boot)),
        bios: bios.is_some().then_some(slot),
    };
    let esp = boot_files.files()?;
    let contents = DiskContents {
        arch: plan.arch,
        root_hash: bundle.root_hash,
        time: root.date,
        root: &unfinished.path().join(seal::ROOT),
        verity: &unfinished.path().join(seal::VERITY),
        esp: &esp,
        bios: bios.as_ref(),
    };
    let path = unfinished.path().join(manifest::DISK);
    let layout = disk::write(&contents, &plan.image, &path)?;
    let disk = folder::facts(&path)?;
    task.finish(&format!("{} partitions, {}", layout.partitions.len(), layout.size));
    let esp = Bytes(esp.iter().map(|(_, content)| Bytes::of(content).0).sum());
    Ok(Laid { layout, disk, esp, bios_boot: bios.map_or(Bytes(0), |bios| bios.size()) })
}

/// What BIOS machines boot by, where the architecture has any and the image a partition for it.
fn bios_boot(plan: &Plan, boot: &Tree) -> anyhow::Result<Option<BiosBoot>> {
    let number = |role| plan.image.partitions.iter().position(|partition| partition.role == role);
    match (plan.arch, number(Role::BiosBoot), number(Role::Esp)) {
        (Arch::Amd64, Some(_), Some(esp)) => Ok(Some(BiosBoot::assemble(boot, esp.saturating_add(1))?)),
        _ => Ok(None),
    }
}

fn describe(
    plan: &Plan,
    selection: &Selection,
    artifacts: &Artifacts,
    root: &Root,
    bundle: &Bundle,
    laid: &Laid,
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
        image_command_line: plan.image.full_command_line(),
        secure_boot: match &plan.secure_boot {
            None => SignedBy::Nobody,
            Some(keys) => SignedBy::Certificate(keys.database.fingerprint()),
        },
        initrd_size: Bytes::of(&bundle.initrd),
        microcode_size: root.microcode.as_deref().map_or(Bytes(0), Bytes::of),
        disk: laid.disk,
        files: files.collect(),
        sector_size: laid.layout.sector_size,
        partitions: laid.layout.partitions.iter().map(|partition| used(partition, laid, bundle)).collect(),
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

/// How much of a partition is in use: the file laid into it, or the boot files.
fn used(placed: &disk::PlacedPartition, laid: &Laid, bundle: &Bundle) -> Partition {
    let size = |wanted: &str| {
        let facts = bundle.files.iter().find(|(name, _)| *name == wanted).map(|(_, facts)| facts.size);
        facts.unwrap_or_default()
    };
    let used = match placed.role {
        Role::RootA => size(seal::ROOT),
        Role::RootAVerity => size(seal::VERITY),
        Role::Esp => laid.esp,
        Role::BiosBoot => laid.bios_boot,
        Role::RootB | Role::RootBVerity => Bytes(0),
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
        /// Whose signature was made, if one was.
        signer: Option<String>,
    }
    let signer = plan.signing_key.as_ref().map(|key| key.public().to_string());
    if context.printer.is_json() {
        let shown = Shown { folder: &plan.output, manifest, build: facts, signer };
        return Ok(context.printer.json(&shown)?);
    }
    let mut text = format!("{}\n", plan.output.display());
    let mut line = |name: &str, size: &str, fact: &str| {
        let _ = writeln!(text, "  {name:<15} {size:>10}  {fact}");
    };
    for (name, file) in &manifest.files {
        line(name, &file.size.to_string(), &file.sha256.to_string());
    }
    line(manifest::DISK, &manifest.disk.size.to_string(), &format!("fs-verity {}", manifest.disk.fs_verity));
    line("root hash", "", &manifest.root_hash.to_string());
    line("secure boot", "", &String::from(manifest.secure_boot));
    if let Some(signer) = signer {
        line("signed by", "", &signer);
    }
    for (what, names) in [("unpinned", &manifest.unpinned), ("absent", &manifest.absent)] {
        if !names.is_empty() {
            let _ = writeln!(text, "  {what}: {}", names.join(", "));
        }
    }
    Ok(context.printer.data(&text)?)
}
