//! Flipped bits anywhere in the committed slot, in the root and in its hash tree by turns.
//!
//! `N` bits (default 4), chosen by `SEED`.

use std::fmt::Write as _;
use std::time::Instant;

use anyhow::{bail, ensure};
use imgbuild::machine::FirmwareKind::{self, Bios, Uefi};
use machine::{Disk, Power, Random, Scene, Vm, number};

use super::slots::{SCREEN, committed_b};

/// After so many the machine is up, whatever was damaged.
const MOST_STARTS: usize = 6;
/// A start that does not come up says one of these.
const WORDS: [&str; 4] =
    [SCREEN, "Kernel panic", "did not reach a running system", "You are in emergency mode"];
/// What the kernel says where a block is not what the tree says.
const DAMAGED: &str = "is corrupted";

/// Where nobody reads the bit, nothing happens; else the machine says something, and is up again after a few starts.
#[test]
fn engine_slots_survive_a_flipped_bit_anywhere() -> anyhow::Result<()> {
    let scene = Scene::open()?;
    let (old, new) = (scene.build("cloud")?, scene.build("cloud-debug")?);
    let (count, seed) = (number("N", 4)?, number("SEED", 1)?);
    let mut random = Random::new(seed);
    for case in 1..=count {
        let (label, source) =
            if case % 2 == 1 { ("root-b", "root-a") } else { ("root-b-verity", "root-a-verity") };
        let (offset, bit) = (random.below(new.partition(source)?.used.0), random.below(8));
        // Four cases are both parts by both firmwares.
        let firmware = if matches!(case % 4, 0 | 1) { Uefi } else { Bios };
        let disk = committed_b(&old, &new, &scene)?;
        disk.flip_bit_of_byte(label, offset, bit)?;
        let name = format!("bit-{seed}-{case}");
        println!("case {case} of {count}, SEED={seed}: bit {bit} of byte {offset} of {label}, {firmware:?}");
        let started = Instant::now();
        let story = start_until_up(&name, firmware, &disk, &scene)?;
        println!("case {case} of {count}: {story}, {} s", started.elapsed().as_secs());
    }
    Ok(())
}

/// Returns what each start said.
fn start_until_up(name: &str, firmware: FirmwareKind, disk: &Disk, scene: &Scene) -> anyhow::Result<String> {
    let mut story = String::new();
    for start in 1..=MOST_STARTS {
        let power = Power { firmware, ..Power::default() };
        let mut vm = Vm::start(&format!("{name}-{start}"), disk, power, scene)?;
        let is_up = vm.comes_up()?;
        let reports = if vm.console().contains(DAMAGED) { ", a damaged block is reported" } else { "" };
        if is_up {
            let _ = write!(story, "start {start} is up{reports}");
            return Ok(story);
        }
        let said = WORDS.iter().find(|part| vm.console().contains(**part));
        ensure!(said.is_some(), "start {start} ended in silence:\n{}", vm.console());
        let _ = write!(story, "start {start} says `{}`{reports}; ", said.unwrap_or(&""));
    }
    bail!("the machine does not come up: {story}")
}
