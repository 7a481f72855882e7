//! The edge image: what is in it by other people's tools, and a boot from a USB stick.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use imgbuild::machine::{Bus, FirmwareKind};
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

/// No emulated processor takes microcode, and the kernel looks for it on none: what can be shown is that GRUB lays it
/// in memory where the kernel looks, at the very beginning of what it is given as its initrd.
#[test]
fn engine_edge_hands_microcode_to_the_kernel_by_bios() -> anyhow::Result<()> {
    let scene = Scene::open()?;
    let disk = Disk::of(&scene.build("edge")?, &scene)?;
    disk.allow_late_timers()?;
    let config = disk.esp_file("grub/a/slot.cfg")?;
    // The kernel gives its initrd's memory to others unless it is told to keep it.
    let keeping = config.replacen(" imgbuild.esp=", " retain_initrd imgbuild.esp=", 1);
    disk.change_esp_file("grub/a/slot.cfg", keeping.as_bytes())?;
    let file = |name: &str| {
        let copy = disk.folder().join(name);
        disk.copy_from_esp(&format!("grub/a/{name}"), &copy)?;
        fs::read(&copy).context("reading a file of the ESP")
    };
    let mut expected = file("microcode")?;
    let sections = oracle::run(
        "cpio",
        ["--list", "--quiet", "-F", &disk.folder().join("microcode").display().to_string()],
    )?;
    ensure!(sections.contains("kernel/x86/microcode/GenuineIntel.bin\n"), "{sections}");
    expected.resize(expected.len().next_multiple_of(4), 0);
    expected.extend(file("initrd")?);

    let record = Some(scene.record("edge1")?);
    let power = Power { record, firmware: FirmwareKind::Bios, ..Power::default() };
    let mut vm = Vm::start("edge-bios", &disk, power, &scene)?;
    vm.wait_until_up()?;
    let (start, size) = initrd_memory(vm.console())?;
    let memory = vm.memory(start, size)?;
    ensure!(memory.starts_with(&expected), "the kernel was not given microcode, then the initrd");
    ensure!(memory.len() - expected.len() < 4096, "the kernel was given {size} for {}", expected.len());
    ensure!(!vm.console().contains("FAILED"), "a unit failed:\n{}", vm.console());
    vm.shut_down()?;
    Ok(())
}

/// Where the initrd lies, in whole pages, as the kernel says: `RAMDISK: [mem 0x35f9d000-0x36ffffff]`.
fn initrd_memory(console: &str) -> anyhow::Result<(u64, Bytes)> {
    let range = console.split_once("RAMDISK: [mem 0x").and_then(|(_, rest)| rest.split_once(']'));
    let (range, _) =
        range.with_context(|| format!("the kernel does not say where its initrd lies:\n{console}"))?;
    let (start, last) = range.split_once("-0x").with_context(|| format!("`{range}` is no range"))?;
    let address = |text| u64::from_str_radix(text, 16).with_context(|| format!("`{text}` is no address"));
    let (start, last) = (address(start)?, address(last)?);
    Ok((start, Bytes(last.checked_sub(start).context("the initrd ends before it begins")? + 1)))
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
