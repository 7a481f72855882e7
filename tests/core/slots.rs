//! One disk through an update that works and one that does not, on both firmwares.

use anyhow::{Context as _, ensure};
use firstboot::slot::environment::{Environment, Trial};
use firstboot::slot::node::Standing;
use firstboot::slot::{Generation, Slot};
use firstboot::status::Status;
use imgbuild::machine::FirmwareKind;
use machine::{Disk, Power, Scene, Vm};

/// The EROFS superblock begins here.
const SUPERBLOCK: u64 = 1024;
const COMMITTED: Environment =
    Environment { committed: Slot::B, generation: Generation(2), trial: None, failures: 0 };

#[test]
fn an_update_is_committed_once_it_works_and_given_up_if_it_does_not() -> anyhow::Result<()> {
    let scene = Scene::open()?;
    let (old, new) = (scene.build("cloud")?, scene.build("cloud-debug")?);
    let disk = Disk::of(&old, &scene)?;
    let staged = disk.stage(&new, &scene)?;
    ensure!(
        staged["slot"] == "b" && staged["generation"] == 2 && staged["committed_slot"] == "a",
        "{staged}"
    );
    ensure!(disk.ukis()? == ["imgbuild_1.efi", "imgbuild_2+3.efi"], "{:?}", disk.ukis()?);
    check(&disk)?;
    update_by_uefi(&disk, &scene)?;
    ensure!(disk.ukis()? == ["imgbuild_1.efi", "imgbuild_2+5.efi"], "{:?}", disk.ukis()?);
    ensure!(disk.environment()? == COMMITTED, "{:?}", disk.environment()?);
    check(&disk)?;

    // Back to the old one, which was damaged on its way: one bit of the root.
    let staged = disk.stage(&old, &scene)?;
    ensure!(staged["slot"] == "a" && staged["generation"] == 3, "{staged}");
    disk.flip_bit("root-a", SUPERBLOCK)?;
    disk.allow_late_timers()?;
    for tries in [2, 1, 0] {
        failing_trial(tries, &disk, &scene)?;
    }
    fall_back(&disk, &scene)?;
    ensure!(disk.environment()? == COMMITTED, "{:?}", disk.environment()?);
    check(&disk)
}

fn check(disk: &Disk) -> anyhow::Result<()> {
    disk.check_table()?;
    disk.check_esp()
}

/// The trial comes up, is committed, and says so.
fn update_by_uefi(disk: &Disk, scene: &Scene) -> anyhow::Result<()> {
    let power = Power { record: Some(scene.record("cp1")?), ..Power::default() };
    let mut vm = Vm::start("trial", disk, power, scene)?;
    vm.wait_for("slot        b, generation 2, on trial")?;
    vm.wait_for("firstboot: slot b, generation 2, is committed")?;
    let status = vm.run("firstboot status --json")?;
    let status: Status = serde_json::from_str(&status).context("reading firstboot's status")?;
    let slot = status.slot.context("the status has no slot")?;
    ensure!((slot.name.as_str(), slot.standing) == ("b", Standing::Committed), "{slot:?}");
    let console = vm.shut_down()?;
    ensure!(console.contains("stage0: this slot is on trial"), "{console}");
    Ok(())
}

/// dm-verity stops the kernel at the first block that is not as it should be.
fn failing_trial(tries: u8, disk: &Disk, scene: &Scene) -> anyhow::Result<()> {
    let power = Power { firmware: FirmwareKind::Bios, ..Power::default() };
    let mut vm = Vm::start(&format!("tries-{tries}"), disk, power, scene)?;
    vm.wait_for("imgbuild: starting slot a, generation 3")?;
    vm.wait_for("Kernel panic - not syncing: dm-verity device corrupted")?;
    vm.wait_for_end()?;
    let trial = Some(Trial { slot: Slot::A, generation: Generation(3), tries });
    ensure!(disk.environment()? == Environment { trial, ..COMMITTED }, "{:?}", disk.environment()?);
    Ok(())
}

/// Also shows that what UEFI has committed is what a BIOS starts.
fn fall_back(disk: &Disk, scene: &Scene) -> anyhow::Result<()> {
    let power = Power { firmware: FirmwareKind::Bios, ..Power::default() };
    let mut vm = Vm::start("fall-back", disk, power, scene)?;
    vm.wait_for("imgbuild: slot a did not come up on trial and is given up")?;
    vm.wait_for("imgbuild: starting slot b, generation 2")?;
    vm.wait_for("slot        b, generation 2, committed")?;
    vm.wait_until_up()?;
    vm.shut_down()?;
    Ok(())
}
