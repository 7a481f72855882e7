//! From a token to a cluster and back, at the Hetzner simulator's machines.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use imgbuild::process::Program;
use machine::Scene;

/// An upload by a rescue system and two boots, by emulation on a busy host.
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
