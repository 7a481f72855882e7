//! Machines that must not start, and say why.

use anyhow::ensure;

use crate::{Disk, Power, Scene, Vm};

/// Boots `disk` and expects stage0's screen with all of `parts`, then a restart.
pub fn expect_refusal(name: &str, disk: &Disk, parts: &[&str], scene: &Scene) -> anyhow::Result<()> {
    let mut vm = Vm::start(name, disk, Power::default(), scene)?;
    vm.wait_for("THIS MACHINE DID NOT START")?;
    // QEMU ends where the machine restarts.
    vm.wait_for_end()?;
    let console = vm.console();
    let screen = console.split_once("THIS MACHINE DID NOT START").map_or("", |(_, screen)| screen);
    for part in parts.iter().chain(&["It restarts in 10 seconds."]) {
        ensure!(screen.contains(part), "`{part}` is not on the screen:\n{screen}");
    }
    Ok(())
}
