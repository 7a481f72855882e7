//! A disk whose machine has another firmware at each start.

use anyhow::ensure;
use imgbuild::machine::{Bus, FirmwareKind};
use machine::{Disk, Power, Scene, Vm, report};

const MACHINE_ID: &str = "lib/imgbuild/machine-id";

#[test]
fn one_disk_boots_by_bios_then_by_uefi_and_keeps_its_state() -> anyhow::Result<()> {
    let scene = Scene::open()?;
    let disk = Disk::of(&scene.build("cloud")?, &scene)?;
    disk.allow_late_timers()?;
    let by_bios = start("bios", FirmwareKind::Bios, &disk, &scene)?;
    for part in
        ["imgbuild: starting slot a, generation 1", "stage0: booted from /dev/sda (the kernel command line"]
    {
        ensure!(by_bios.contains(part), "`{part}` is not on the console:\n{by_bios}");
    }
    let environment = disk.esp_file("grub/grubenv")?;
    ensure!(environment.contains("\nfailures=0\n"), "GRUB counts a good start as failed:\n{environment}");
    let machine_id = disk.state_file(MACHINE_ID)?;

    let by_uefi = start("uefi", FirmwareKind::Uefi, &disk, &scene)?;
    let part = "stage0: booted from /dev/sda (the boot loader";
    ensure!(by_uefi.contains(part), "`{part}` is not on the console:\n{by_uefi}");
    ensure!(disk.state_file(MACHINE_ID)? == machine_id, "state was made anew");
    disk.check_table()
}

/// Boots from the bus of Hetzner's servers to firstboot's report, and returns the console.
fn start(name: &str, firmware: FirmwareKind, disk: &Disk, scene: &Scene) -> anyhow::Result<String> {
    let record = Some(scene.record("cp1")?);
    let power = Power { record, firmware, bus: Bus::Scsi, ..Power::default() };
    let mut vm = Vm::start(name, disk, power, scene)?;
    vm.wait_until_up()?;
    let console = vm.shut_down()?;
    let report = report(&console)?;
    ensure!(report.contains("node cp1, ") && report.contains("phase       configured"), "{report}");
    ensure!(!report.contains("GRUB"), "firstboot has a note on GRUB:\n{report}");
    Ok(console)
}
