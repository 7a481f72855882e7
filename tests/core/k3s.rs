//! The k3s stand-in goes into an image as k3s does: as a release, by `--artifact`.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};
use imgbuild::units::Arch;
use machine::{Scene, oracle};

/// What the program says of itself.
const VERSION: &str = "k3s version v1.36.4+k3s1-stand-in (stand-in)\n";

#[test]
fn the_stand_in_lies_unpacked_in_an_image_and_runs() -> anyhow::Result<()> {
    let scene = Scene::open()?;
    let release = scene.k3s_cluster_stand_in(Arch::Amd64)?;
    let bundle = scene.build_as("cloud-k3s-stand-in", "disk", "cloud", Arch::Amd64, &release)?;
    ensure!(bundle.manifest.unpinned == ["k3s"], "{:?}", bundle.manifest.unpinned);
    let scratch = tempfile::tempdir_in(scene.folder()).context("making a folder")?;
    let tree = scratch.path().join("tree");
    let extract = format!("--extract={}", tree.display());
    let root = bundle.file("root.erofs");
    oracle::run("fsck.erofs", [extract.as_ref(), "--no-preserve".as_ref(), root.as_os_str()])?;
    let folder = tree.join("usr/lib/k3s");
    let environment = fs::read_to_string(folder.join("environment")).context("reading k3s' environment")?;
    let data = fs::read_dir(folder.join("data")).context("reading k3s' folder")?.next();
    let data = data.context("the stand-in is not unpacked")?.context("reading k3s' folder")?.file_name();
    let bin = format!("/usr/lib/k3s/data/{}/bin", data.display());
    ensure!(environment.contains(&format!(":{bin}:")), "{environment}");
    let bin = tree.join(bin.trim_start_matches('/'));
    ensure!(fs::read_link(bin.join("host-local")).context("reading a link")? == Path::new("cni"));
    let said = oracle::run(&bin.join("k3s").display().to_string(), ["--version"])?;
    ensure!(said == VERSION, "{said}");
    Ok(())
}
