//! A whole cluster at the Hetzner simulator, whose servers get other images.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use imgbuild::process::Program;
use machine::{Scene, remove_folder};

/// Two uploads by a rescue system and six boots, by emulation on a busy host.
const DEADLINE: Duration = Duration::from_hours(1);
/// For each command before.
const PREPARING: Duration = Duration::from_mins(15);

/// The cluster file of `imgbuild init`, made one for servers.
const EDITS: [(&str, &str); 2] = [
    ("# private-range", "private-range"),
    ("role = \"control-plane\"", "private-address = \"10.0.0.2\"\nrole = \"control-plane\""),
];
const MORE: &str = r#"
[[node]]
name = "worker1"
role = "worker"
private-address = "10.0.0.3"

[hetzner]
location = "fsn1"
server-type = "cx23"
dns-zone = "example.org"
"#;

#[test]
fn hetzner_workers_join_and_edges_come_back_to_servers_of_another_image() -> anyhow::Result<()> {
    let scene = Scene::open()?;
    let inside = Path::new(env!("CARGO_MANIFEST_DIR")).join("setup/hetzner-rebuild.sh");
    let [folder, keys] = ["rebuild", "rebuild-keys"].map(|name| scene.folder().join(name));
    remove_folder(&folder)?;
    remove_folder(&keys)?;
    let program = scene.program();
    let programs = program.parent().context("the program has no folder")?;
    // By the name that people type.
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", programs.display());
    let with_keys =
        |program: Program| program.environment("XDG_CONFIG_HOME", &keys).environment("PATH", &path);
    let prepare = |purpose: &'static str, name: &str, arguments: &[&str]| {
        let program = Program::new(purpose, programs.join(name));
        let program =
            program.arguments(arguments.iter().copied()).environment("IMGBUILD_CACHE", scene.cache());
        with_keys(program).folder(if folder.exists() { &folder } else { scene.folder() }).output(PREPARING)
    };
    prepare("making a cluster", "imgbuild", &["init", "rebuild"])?;
    let file = folder.join("cluster.toml");
    let mut text = fs::read_to_string(&file).context("reading the cluster file")?;
    for (from, to) in EDITS {
        ensure!(text.contains(from), "the cluster file has no `{from}`");
        text = text.replacen(from, to, 1);
    }
    fs::write(&file, text + MORE).context("writing the cluster file")?;
    prepare("packing the k3s stand-in", "k3s-standin", &["pack", "k3s-stand-in"])?;
    // There is no Internet where the servers are.
    for profile in ["cloud", "cloud-debug"] {
        let build = ["build", profile, "--without-artifacts", "--artifact", "k3s=k3s-stand-in"];
        prepare("building an image", "imgbuild", &build)?;
    }
    let simulator = folder.join("simulator");
    let mut running = with_keys(scene.hetzner_machines(&simulator)?)
        .argument("--")
        .argument(inside)
        .environment("IMGBUILD_CACHE", scene.cache())
        .folder(&folder)
        .start()?;
    let status = running.wait(DEADLINE);
    let said = running.said().context("reading what was said")?;
    print!("{said}");
    ensure!(status?.success(), "it fails:\n{said}");
    for name in ["servers", "images"] {
        let left = fs::read_dir(simulator.join(name)).context("looking for what is left")?.count();
        ensure!(left == 0, "{left} {name} are left in the simulator's folder");
    }
    Ok(())
}
