//! Power cuts in a staging: whatever state it leaves boots, by either firmware.
//!
//! `N` states (default 6) from the one that `SEED` (default 1) begins with, as in the suite of slots that fail; `SEED`
//! also chooses which writes a cut loses.

use std::time::Instant;

use anyhow::{Context as _, ensure};
use imgbuild::machine::FirmwareKind::{Bios, Uefi};
use machine::{Disk, Power, Random, Scene, Staging, Vm, number};

use super::slots::{ON_A, window};

/// Each state of boot entries and slots that a staging goes through is booted, by either firmware.
#[test]
fn engine_slots_boot_from_every_state_of_a_staging() -> anyhow::Result<()> {
    let scene = Scene::open()?;
    let (old, new) = (scene.build("cloud")?, scene.build("cloud-debug")?);
    let staging = Staging::record(&old, &new, &scene)?;
    println!("{} states", staging.states());
    ensure!(staging.states() >= 6, "a staging has only {} states", staging.states());
    // Every state by both firmwares.
    let count = staging.states() * 2;
    let mut random = Random::new(number("SEED", 1)?);
    for index in window(count, 6)? {
        let (state, firmware) = (index / 2, if index % 2 == 0 { Uefi } else { Bios });
        let started = Instant::now();
        let disk = Disk::of(&old, &scene)?;
        let cut = staging.cut(state, &disk, &mut random)?;
        disk.allow_late_timers()?;
        let name = format!("state-{state}-{firmware:?}").to_lowercase();
        println!("{name}: {cut:?}");
        let mut vm = Vm::start(&name, &disk, Power { firmware, ..Power::default() }, &scene)?;
        vm.wait_until_up().with_context(|| format!("after {cut:?}"))?;
        let console = vm.shut_down()?;
        let said = [ON_A, "slot        b, generation 2, on trial"];
        ensure!(said.iter().any(|part| console.contains(part)), "neither system runs:\n{console}");
        disk.check_table()?;
        // The next staging works, whatever this one has left.
        disk.stage(&new, &scene)?;
        disk.check_esp()?;
        println!("case {} of {count}: {name} boots, {} s", index + 1, started.elapsed().as_secs());
    }
    Ok(())
}
