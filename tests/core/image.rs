//! What independent tools say of a built image.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use firstboot::artifacts::Artifacts;
use imgbuild::bundle::manifest::{DiskFacts, Manifest};
use imgbuild::units::Bytes;
use machine::{Bundle, Scene, check_table, oracle, partitions};

/// What firmware reads at every boot, and what a first boot from a slow disk waits for.
const LARGEST_INITRD: Bytes = Bytes(1_600_000);
const LARGEST_UKI: Bytes = Bytes(15_000_000);

#[test]
fn independent_tools_accept_the_image() -> anyhow::Result<()> {
    let scene = Scene::open()?;
    let bundle = scene.build("cloud")?;
    let scratch = tempfile::tempdir_in(scene.folder()).context("making a folder")?;
    check_digests(&bundle)?;
    check_partitions(&bundle)?;
    let manifest = &bundle.manifest;
    ensure!(manifest.initrd_size < LARGEST_INITRD, "the initrd has {}", manifest.initrd_size);
    let uki = manifest.files.get("os.efi").context("the manifest has no UKI")?.size;
    ensure!(uki < LARGEST_UKI, "the UKI has {uki}");

    let [esp, root, verity] =
        ["esp", "root-a", "root-a-verity"].map(|label| extract(&bundle, label, scratch.path()));
    let (esp, root, verity) = (esp?, root?, verity?);
    oracle::run("fsck.vfat", [Path::new("-n"), &esp])?;
    let hash = manifest.root_hash.to_string();
    oracle::run("veritysetup", ["verify".as_ref(), root.as_os_str(), verity.as_os_str(), hash.as_ref()])?;
    let tree = scratch.path().join("tree");
    let extract = format!("--extract={}", tree.display());
    oracle::run("fsck.erofs", [extract.as_ref(), "--no-preserve".as_ref(), root.as_os_str()])?;
    check_artifacts(&tree, manifest)?;
    check_no_login(&tree)
}

/// The stand-in for k3s is unpacked, and image and manifest say alike what is not as pinned.
fn check_artifacts(tree: &Path, manifest: &Manifest) -> anyhow::Result<()> {
    let shown =
        fs::read(tree.join("usr/lib/imgbuild/artifacts.json")).context("reading the list of artifacts")?;
    let shown: Artifacts = serde_json::from_slice(&shown).context("reading the list of artifacts")?;
    ensure!(shown.unpinned == ["k3s"] && shown.unpinned == manifest.unpinned, "{shown:?}");
    ensure!(shown.absent == manifest.absent && shown.absent.len() == 4, "{shown:?}");
    let data = tree.join("usr/lib/k3s/data");
    let folder = fs::read_dir(data).context("reading k3s' folder")?.next().context("k3s is not unpacked")?;
    let bin = folder.context("reading k3s' folder")?.path().join("bin");
    for (link, target) in [("kubectl", "k3s"), ("host-local", "cni"), ("aux/modprobe", "../busybox")] {
        let found = fs::read_link(bin.join(link)).with_context(|| format!("reading link `{link}`"))?;
        ensure!(found == Path::new(target), "`{link}` leads to `{}`", found.display());
    }
    let program = oracle::run(&bin.join("k3s").display().to_string(), ["--version"])?;
    ensure!(program == "k3s stand-in --version\n", "{program}");
    Ok(())
}

/// Sizes and digests of the manifest are those that `sha256sum` and `fsverity` find.
fn check_digests(bundle: &Bundle) -> anyhow::Result<()> {
    let names: Vec<_> = bundle.manifest.files.keys().map(String::as_str).collect();
    let expected =
        ["os.efi", "provenance.json", "root.erofs", "root.verity", "sbom.cdx.json", "sbom.spdx.json"];
    ensure!(names == expected, "{names:?}");
    for (name, facts) in &bundle.manifest.files {
        let path = bundle.file(name);
        let size = fs::metadata(&path).with_context(|| format!("looking at `{name}`"))?.len();
        ensure!(facts.size.0 == size, "`{name}` has {size} bytes, the manifest says {}", facts.size);
        let words = oracle::run("sha256sum", [&path])?;
        let digest = words.split(' ').next().unwrap_or_default();
        ensure!(
            facts.sha256.to_string() == digest,
            "`{name}` is {digest}, the manifest says {}",
            facts.sha256
        );
    }
    let disk = bundle.file("disk.raw");
    let size = fs::metadata(&disk).context("looking at `disk.raw`")?.len();
    let digest = oracle::fs_verity(&disk)?;
    let DiskFacts { size: said, fs_verity } = bundle.manifest.disk;
    ensure!(said.0 == size, "`disk.raw` has {size} bytes, the manifest says {said}");
    ensure!(digest == fs_verity.to_string(), "`disk.raw` is {digest}, the manifest says {fs_verity}");
    Ok(())
}

/// `sgdisk` finds no fault, `fdisk` the partitions of the manifest.
fn check_partitions(bundle: &Bundle) -> anyhow::Result<()> {
    let disk = bundle.file("disk.raw");
    let sector_size = bundle.manifest.sector_size;
    check_table(&disk, sector_size)?;
    let seen: Vec<_> = partitions(&disk, sector_size)?
        .into_iter()
        .map(|seen| (seen.label, seen.kind, seen.partuuid, seen.first, seen.sectors * 512))
        .collect();
    let said: Vec<_> = bundle
        .manifest
        .partitions
        .iter()
        .map(|said| {
            (said.label.clone(), said.kind.to_string(), said.partuuid.to_string(), said.first.0, said.size.0)
        })
        .collect();
    ensure!(seen == said, "fdisk: {seen:#?}\nmanifest: {said:#?}");
    Ok(())
}

/// A partition's bytes as a sparse file.
fn extract(bundle: &Bundle, label: &str, folder: &Path) -> anyhow::Result<PathBuf> {
    let partition = bundle.partition(label)?;
    let path = folder.join(label);
    let mut disk = File::open(bundle.file("disk.raw")).context("opening the disk")?;
    disk.seek(SeekFrom::Start(partition.first.0 * 512)).context("reading the disk")?;
    let target = File::create_new(&path).context("making a file for a partition")?;
    target.set_len(partition.size.0).context("making a file for a partition")?;
    let mut block = vec![0; 1 << 20];
    // Partitions are multiples of 1 MiB.
    for at in (0..partition.size.0).step_by(block.len()) {
        disk.read_exact(&mut block).context("reading the disk")?;
        if block.iter().any(|byte| *byte != 0) {
            target.write_all_at(&block, at).context("writing a partition")?;
        }
    }
    Ok(path)
}

/// A production image has no way in: nobody has a password, nothing that lets people in is started.
fn check_no_login(tree: &Path) -> anyhow::Result<()> {
    let shadow = fs::read_to_string(tree.join("etc/shadow")).context("reading the image's shadow file")?;
    let open: Vec<_> =
        shadow.lines().filter(|line| !matches!(line.split(':').nth(1), Some("*" | "!*" | "!"))).collect();
    ensure!(open.is_empty(), "accounts that can have a password: {open:?}");
    let enabled =
        oracle::run("find", [tree.join("etc/systemd/system").as_os_str(), "-type".as_ref(), "l".as_ref()])?;
    for way in ["wants/ssh.service", "wants/ssh.socket", "getty@", "debug-shell"] {
        ensure!(!enabled.contains(way), "the image starts `{way}`:\n{enabled}");
    }
    ensure!(enabled.contains("firstboot.service"), "the image does not start firstboot:\n{enabled}");
    Ok(())
}
