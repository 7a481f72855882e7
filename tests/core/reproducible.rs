//! The same inputs give the same bytes, whoever builds, where, when and how.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use imgbuild::archive::cache::Cache;
use imgbuild::archive::lock::Lock;
use imgbuild::bundle::manifest;
use imgbuild::units::Arch;
use machine::{Bundle, Mirror, Scene, oracle};

/// Builds as nobody, with a /dev of three devices and packages from another mirror. Arguments: the folder, the mirror, then
/// a program that gives up all rights.
const STRANGER: &str = r#"
set -eu
place=$1 mirror=$2; shift 2
mkdir "$place/dev"
mount -t tmpfs none "$place/dev"
for device in null zero urandom; do
  touch "$place/dev/$device"
  mount --bind "/dev/$device" "$place/dev/$device"
done
mount --rbind "$place/dev" /dev
test "$(echo /dev/*)" = "/dev/null /dev/urandom /dev/zero"
umask 077
cd "$place/cluster"
export no_proxy=127.0.0.1 LC_ALL=de_DE.UTF-8 TZ=Asia/Tokyo RAYON_NUM_THREADS=1 HOME=/nonexistent
exec "$@" "$place/bin/imgbuild" --mirror "$mirror" --cache "$place/cache" build cloud --locked \
  --without-artifacts --artifact k3s="$place/k3s-stand-in"
"#;

#[test]
fn a_stranger_builds_the_same_bytes() -> anyhow::Result<()> {
    let scene = Scene::open()?;
    let ours = scene.build("cloud")?;
    let built = fs::read(ours.file("build.json")).context("reading build.json")?;
    let again = scene.build("cloud")?;
    ensure!(
        fs::read(again.file("build.json")).context("reading build.json")? == built,
        "built again without need"
    );

    // Not below the user's own folder, which a stranger may not be able to enter.
    let place = tempfile::Builder::new().prefix("imgbuild-stranger-").tempdir().context("making a folder")?;
    let theirs = build_as_stranger(&scene, place.path())?;
    for name in ours.manifest.files.keys().map(String::as_str).chain([manifest::DISK, manifest::FILE]) {
        oracle::run("cmp", [ours.file(name), theirs.file(name)])
            .with_context(|| format!("comparing `{name}`"))?;
    }
    Ok(())
}

fn build_as_stranger(scene: &Scene, place: &Path) -> anyhow::Result<Bundle> {
    let copy = |from: &Path, to: &str| {
        oracle::run("cp", ["-R".as_ref(), from.as_os_str(), place.join(to).as_os_str()])
    };
    // As `make install` places them.
    for folder in ["bin", "lib/imgbuild/amd64", "cluster"] {
        fs::create_dir_all(place.join(folder)).context("making a folder for the stranger")?;
    }
    copy(&scene.program(), "bin")?;
    copy(&scene.k3s_stand_in(Arch::Amd64)?, "k3s-stand-in")?;
    let nodes = scene.node_programs(Arch::Amd64)?;
    for (name, program) in [("firstboot", &nodes.firstboot), ("stage0", &nodes.stage0)] {
        fs::write(place.join("lib/imgbuild/amd64").join(name), program).context("copying a node program")?;
    }
    let lock = Lock::load(&scene.cluster_file().with_file_name("imgbuild.lock"))?;
    let selection = lock.selection("cloud", Arch::Amd64).context("the lock has no packages")?;
    let packages: Vec<_> = selection.packages.iter().chain(&selection.boot_packages).collect();
    let mirror = Mirror::start(&packages, &Cache::open(&scene.cache())?)?;
    for name in ["cluster.toml", "imgbuild.lock"] {
        copy(&scene.cluster_file().with_file_name(name), &format!("cluster/{name}"))?;
    }
    let is_root = rustix::process::geteuid().is_root();
    let (enter, leave): (&[&str], &[&str]) = if is_root {
        oracle::run("chown", ["-R".as_ref(), "65534:65534".as_ref(), place.as_os_str()])?;
        (&["--mount"], &["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"])
    } else {
        (&["--mount", "--map-root-user"], &["unshare", "--map-user=65534", "--map-group=65534"])
    };
    oracle::program("unshare")?
        .arguments(enter)
        .arguments(["sh", "-c", STRANGER, "sh"])
        .argument(place)
        .argument(mirror.url())
        .arguments(leave)
        .output(Duration::from_mins(10))
        .context("building as nobody; this needs root, or user namespaces for ordinary users")?;
    // Else they came from the snapshot archive.
    mirror.check_all_served()?;
    Bundle::load(place.join("cluster/out/cloud-amd64"))
}
