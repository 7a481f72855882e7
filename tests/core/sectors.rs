//! A disk with 4096-byte sectors, from its table to its second boot.

use anyhow::{Context as _, ensure};
use imgbuild::units::{Arch, Bytes, SectorSize};
use machine::{Disk, Power, Scene, Vm, oracle, report};

const MACHINE_ID: &str = "lib/imgbuild/machine-id";
/// How much the disk grows between two boots.
const GROWTH: Bytes = Bytes(1 << 30);

#[test]
fn a_disk_with_4096_byte_sectors_boots_and_keeps_its_state() -> anyhow::Result<()> {
    let scene = Scene::open()?;
    let bundle = scene.build_on("disk-4k", "cloud", Arch::Amd64)?;
    ensure!(bundle.manifest.sector_size == SectorSize::B4096, "{:?}", bundle.manifest.sector_size);
    let disk = Disk::of(&bundle, &scene)?;
    check_partitions(&disk, &bundle.manifest.partitions)?;
    start("sectors-first", &disk, &scene)?;
    let machine_id = disk.state_file(MACHINE_ID)?;
    let state = disk.partition("state")?;

    disk.grow(GROWTH)?;
    let console = start("sectors-second", &disk, &scene)?;
    ensure!(!console.contains("making the state partition"), "state was made anew:\n{console}");
    ensure!(disk.state_file(MACHINE_ID)? == machine_id, "the machine has another id");
    let grown = disk.partition("state")?;
    ensure!(grown.sectors * 4096 == state.sectors * 4096 + GROWTH.0, "{state:?} became {grown:?}");
    ensure!((grown.first, &grown.partuuid) == (state.first, &state.partuuid), "{state:?} became {grown:?}");
    refuses_bios(&bundle.folder, &scene)
}

/// `fdisk` sees the partitions of the manifest, whole mebibytes each.
fn check_partitions(disk: &Disk, said: &[imgbuild::bundle::manifest::Partition]) -> anyhow::Result<()> {
    for said in said.iter().filter(|said| said.label != "_empty") {
        let seen = disk.partition(&said.label)?;
        ensure!(seen.partuuid == said.partuuid.to_string(), "fdisk: {seen:?}, manifest: {said:?}");
        ensure!((seen.first, seen.sectors * 4096) == (said.first.0, said.size.0), "{seen:?} is not {said:?}");
        ensure!(seen.first * 4096 % Bytes::MIB.0 == 0, "{seen:?}");
    }
    Ok(())
}

/// Boots by UEFI to firstboot's report; table and state must be whole then. Returns the console.
fn start(name: &str, disk: &Disk, scene: &Scene) -> anyhow::Result<String> {
    let power = Power { record: Some(scene.record("cp1")?), ..Power::default() };
    let mut vm = Vm::start(name, disk, power, scene)?;
    vm.wait_until_up()?;
    let failed = vm.console().contains("FAILED");
    let console = vm.shut_down()?;
    let report = report(&console)?;
    ensure!(report.contains("node cp1, ") && report.contains("phase       configured"), "{report}");
    ensure!(!failed, "a unit failed:\n{console}");
    disk.check_table()?;
    disk.check_state()?;
    Ok(console)
}

/// `boot --firmware bios` would show a machine that finds nothing to start.
fn refuses_bios(folder: &std::path::Path, scene: &Scene) -> anyhow::Result<()> {
    let boot = scene.imgbuild().argument("boot").argument(folder).arguments(["--firmware", "bios"]);
    let fault = boot.output(oracle::DEADLINE).err().context("a BIOS starts from 4096-byte sectors")?;
    let fault = fault.to_string();
    ensure!(fault.contains("error: image `disk-4k` has no partition `bios-boot`\n"), "{fault}");
    Ok(())
}
