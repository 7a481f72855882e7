//! The edge image: what is in it by other people's tools, and a boot from a USB stick.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use imgbuild::machine::Bus;
use imgbuild::units::Bytes;
use machine::{Bundle, Disk, Power, Scene, Vm, oracle};

/// With the drivers of many disks, USB and watchdogs.
const LARGEST_INITRD: Bytes = Bytes(8_000_000);
/// Firmware that an edge box must not miss, by what it is for.
const FIRMWARE: [(&str, &str); 3] = [
    ("Ethernet by USB", "rtl_nic/rtl8153b-2.fw"),
    ("Ethernet of Broadcom", "tigon/tg3.bin"),
    ("Ethernet of Intel, by a link", "intel/ice/ddp/ice.pkg"),
];

#[test]
fn engine_edge_boots_from_a_usb_stick() -> anyhow::Result<()> {
    let scene = Scene::open()?;
    let bundle = scene.build("edge")?;
    let initrd = bundle.manifest.initrd_size;
    ensure!(initrd <= LARGEST_INITRD, "the initrd has {initrd}");
    let disk = Disk::of(&bundle, &scene)?;
    let power = Power { record: Some(scene.record("edge1")?), bus: Bus::Usb, ..Power::default() };
    let mut vm = Vm::start("edge-usb", &disk, power, &scene)?;
    vm.wait_for("stage0: watchdog runs")?;
    vm.wait_for("stage0: booted from /dev/sda ")?;
    vm.wait_until_up()?;
    let console = vm.shut_down()?;
    ensure!(!console.contains("FAILED"), "a unit failed:\n{console}");
    disk.check_table()?;
    disk.check_state()
}

/// `modinfo` names every firmware file in the root, and the root has what a box needs.
#[test]
fn engine_edge_has_the_firmware_that_its_modules_name() -> anyhow::Result<()> {
    let scene = Scene::open()?;
    let bundle = scene.build("edge")?;
    let scratch = tempfile::tempdir_in(scene.folder()).context("making a folder")?;
    let tree = scratch.path().join("tree");
    let extract = format!("--extract={}", tree.display());
    let root = bundle.file("root.erofs");
    oracle::run("fsck.erofs", [extract.as_ref(), "--no-preserve".as_ref(), root.as_os_str()])?;

    let mut modules = Vec::new();
    find(&tree.join("usr/lib/modules"), &mut modules)?;
    modules.retain(|path| path.to_string_lossy().ends_with(".ko.xz"));
    let arguments = ["-F", "firmware"].into_iter().map(Into::into).chain(modules);
    let listed = oracle::run("modinfo", arguments.collect::<Vec<PathBuf>>())?;
    let folder = tree.join("usr/lib/firmware");
    // By what they lead to: the file that a link names is as good as named.
    let named: BTreeSet<PathBuf> =
        listed.lines().filter_map(|name| fs::canonicalize(folder.join(name)).ok()).collect();
    let mut files = Vec::new();
    find(&folder, &mut files)?;
    ensure!(files.len() > 50, "the root has no more than {} firmware files", files.len());
    for file in &files {
        let file = fs::canonicalize(file).with_context(|| format!("following `{}`", file.display()))?;
        ensure!(named.contains(&file), "no module names `{}`", file.display());
    }
    for (what, name) in FIRMWARE {
        ensure!(folder.join(name).is_file(), "`{name}` is missing, for {what}");
    }
    for package in bundle.manifest.packages.iter().filter(|package| package.name.starts_with("firmware-")) {
        let licence = tree.join("usr/share/doc").join(&package.name).join("copyright");
        ensure!(licence.is_file(), "`{}` came without its licence", package.name);
    }
    Ok(())
}

// Debian has the tool for x86 only.
#[cfg(target_arch = "x86_64")]
/// `iucode_tool` finds the same updates in the UKI as in Intel's package.
#[test]
fn engine_edge_brings_every_microcode_update() -> anyhow::Result<()> {
    let scene = Scene::open()?;
    let bundle = scene.build("edge")?;
    let scratch = tempfile::tempdir_in(scene.folder()).context("making a folder")?;
    let at = scratch.path();
    let archive = at.join("early.cpio");
    let section = format!("--dump-section=.ucode={}", archive.display());
    let copy = at.join("copy.efi");
    oracle::run("objcopy", [section.as_ref(), bundle.file("os.efi").as_os_str(), copy.as_os_str()])?;
    let folder = format!("--directory={}", at.display());
    let file = format!("--file={}", archive.display());
    oracle::run("cpio", ["--extract", "--make-directories", "--quiet", &folder, &file])?;
    let deb = cached(&bundle, "intel-microcode", &scene)?;
    let package = at.join("package");
    oracle::run("dpkg-deb", ["-x".as_ref(), deb.as_os_str(), package.as_os_str()])?;

    let ours = updates(&["-tb".as_ref(), &at.join("kernel/x86/microcode/GenuineIntel.bin")])?;
    let theirs = updates(&["-tr".as_ref(), &package.join("usr/lib/firmware/intel-ucode")])?;
    ensure!(ours.len() > 100, "no more than {} updates", ours.len());
    ensure!(ours == theirs, "{:?}", ours.symmetric_difference(&theirs).collect::<Vec<_>>());
    let amd = fs::metadata(at.join("kernel/x86/microcode/AuthenticAMD.bin")).context("looking for AMD's")?;
    ensure!(amd.len() > 100_000, "AMD's updates have {} bytes", amd.len());
    Ok(())
}

/// Processor, platforms, date, revision and size of each update that `iucode_tool` would load.
fn updates(arguments: &[&Path]) -> anyhow::Result<BTreeSet<String>> {
    let listed = oracle::run("iucode_tool", [Path::new("-l")].into_iter().chain(arguments.iter().copied()))?;
    Ok(listed.lines().filter_map(|line| Some(line.split_once("sig ")?.1.to_owned())).collect())
}

/// The .deb of a package that the bundle was made of.
fn cached(bundle: &Bundle, name: &str, scene: &Scene) -> anyhow::Result<PathBuf> {
    let package = bundle.manifest.packages.iter().find(|package| package.name == name);
    let sha256 = package.with_context(|| format!("the manifest has no package `{name}`"))?.sha256.to_string();
    let start = sha256.get(..2).context("a digest has more than two digits")?;
    Ok(scene.cache().join("sha256").join(start).join(&sha256))
}

/// Files and links below `folder`.
fn find(folder: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let reading = || format!("reading `{}`", folder.display());
    for entry in fs::read_dir(folder).with_context(reading)? {
        let entry = entry.with_context(reading)?;
        if entry.file_type().with_context(reading)?.is_dir() {
            find(&entry.path(), found)?;
        } else {
            found.push(entry.path());
        }
    }
    Ok(())
}
