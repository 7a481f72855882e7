//! A production image without a record, and power cuts while its disk is made.

use anyhow::ensure;
use machine::{Random, Recording, Scene, number};

/// How many power cuts fit into `make test`.
const CUTS: u64 = 2;

#[test]
fn an_unclaimed_machine_waits_and_survives_power_cuts_while_it_makes_its_state() -> anyhow::Result<()> {
    let scene = Scene::open()?;
    let bundle = scene.build("cloud")?;
    let mut recording = Recording::start("unclaimed", &bundle, &scene)?;
    recording.vm.wait_until_up()?;
    let console = recording.vm.console();
    for part in ["this machine is no node yet", "fingerprint ", "phase       unclaimed", "hint "] {
        ensure!(console.contains(part), "`{part}` is not on the console:\n{console}");
    }
    ensure!(!console.contains("login:"), "the console offers a login:\n{console}");
    ensure!(!console.contains("DEBUG IMAGE"), "a production image marks itself as debug image");
    let greeting = recording.vm.ssh_greeting()?;
    ensure!(greeting.is_empty(), "a production image has an SSH server: {greeting}");
    let first_boot = recording.finish()?;
    let mut random = Random::new(number("SEED", 1)?);
    for _ in 0..CUTS {
        first_boot.cut_and_boot(&bundle, &mut random, &scene)?;
    }
    Ok(())
}
