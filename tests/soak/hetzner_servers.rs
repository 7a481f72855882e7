//! The Hetzner simulator's servers are machines: judged from inside its network by a program of its own.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use machine::Scene;

/// Two starts of a rescue system, by emulation on a busy host, and the packages that it is made of.
const DEADLINE: Duration = Duration::from_mins(25);

/// One is written in its rescue system, becomes a snapshot, and another is made of that.
#[test]
fn hetzner_servers_are_machines() -> anyhow::Result<()> {
    let scene = Scene::open()?;
    let folder = scene.folder().join("hetzner");
    let mut running = scene
        .hetzner_machines(&folder)?
        .arguments(["--disk", "4", "--"])
        .argument(Path::new(env!("CARGO_BIN_EXE_hetzner-guest")))
        .argument(scene.key())
        .start()?;
    let status = running.wait(DEADLINE);
    let said = running.said().context("reading what the simulator said")?;
    print!("{said}");
    ensure!(status?.success(), "a claim does not hold:\n{said}");
    ensure!(said.contains("Hetzner simulator: "), "it does not say that it is a simulator:\n{said}");
    for name in ["servers", "images"] {
        let left = std::fs::read_dir(folder.join(name)).context("looking for what is left")?.count();
        ensure!(left == 0, "{left} {name} are left in its folder");
    }
    Ok(())
}
