//! The Hetzner simulator's servers are machines: judged from inside its network by a program of its own.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use imgbuild::process::Program;
use machine::Scene;

/// Two starts of a rescue system, by emulation on a busy host, and the packages that it is made of.
const DEADLINE: Duration = Duration::from_mins(25);

/// What `make demo-hetzner` shows: images go up, a control plane begins a cluster, an edge joins, all of it goes.
#[test]
fn the_whole_way_from_a_token_to_a_cluster_and_back_leaves_nothing() -> anyhow::Result<()> {
    let scene = Scene::open()?;
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("setup/demo-hetzner.sh");
    // Keys lie elsewhere than what they open.
    let [folder, config] = ["whole-way", "whole-way-keys"].map(|name| scene.folder().join(name));
    for folder in [&folder, &config] {
        if folder.exists() {
            std::fs::remove_dir_all(folder).context("removing the demo of an earlier run")?;
        }
    }
    let program = scene.program();
    let programs = program.parent().context("the program has no folder")?;
    let mut running = Program::new("going the whole way", demo)
        .environment("DEMO_DIR", &folder)
        .environment("DEMO_CONFIG", &config)
        .environment("DEMO_COMPILED", "1")
        .environment("PROGRAMS", programs)
        .environment("IMGBUILD_CACHE", scene.cache())
        .start()?;
    let status = running.wait(DEADLINE);
    let said = running.said().context("reading what the demo said")?;
    print!("{said}");
    ensure!(status?.success(), "the demo fails:\n{said}");
    for word in ["all cloud nodes are Ready", "edge1: Ready", "Nothing is left at the simulator"] {
        ensure!(said.contains(word), "it does not say `{word}`:\n{said}");
    }
    Ok(())
}

#[test]
fn a_server_is_written_in_its_rescue_system_and_others_are_made_of_it() -> anyhow::Result<()> {
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
