//! `usb` with a real build: what lies in the file then, and that there is a whole one or none.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::process::Stdio;
use std::time::SystemTime;

use firstboot::fat::{Fat, Stamp};
use firstboot::gpt::{self, BlockDisk, CopyState, Guid, Lba, SectorSize, Window};
use firstboot::source::Item;
use firstboot::{cluster, record, ticket};
use imgbuild::bundle::manifest::Manifest;
use imgbuild::image::Role;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::place::Place;

/// A build, an identity, and two nodes that are made of the build.
struct Scene {
    place: Place,
    /// Keys lie apart from what they open.
    home: TempDir,
}

fn with_build() -> Scene {
    let scene = Scene { place: Place::new(), home: tempfile::tempdir().unwrap() };
    let place = &scene.place;
    let nodes = ["edge1", "edge2"]
        .map(|name| format!("[[node]]\nname = \"{name}\"\nrole = \"edge\"\nprofile = \"cloud\"\n"));
    place.write(
        "cluster.toml",
        &format!(
            "version = 1\n[cluster]\nname = \"lab\"\nendpoint = \"lab.example.net\"\n[k3s]\nversion = \"v1.36.4+k3s1\"\n\
             [[node]]\nname = \"cp1\"\nrole = \"control-plane\"\n{}",
            nodes.concat()
        ),
    );
    assert_eq!(scene.run(&["identity", "create"]).0, 0);
    let (code, _, stderr) = scene.run(&["build", "cloud", "--without-artifacts"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    scene
}

impl Scene {
    #[expect(clippy::disallowed_types, reason = "runs the program under test")]
    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = self.place.command(env!("CARGO_BIN_EXE_imgbuild"));
        command.args(arguments).env("HOME", self.home.path());
        command
    }

    /// Exit code, standard output and standard error without progress.
    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let mut command = self.command(arguments);
        let output = command.arg("--quiet").stdout(Stdio::piped()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }
}

/// GUIDs of disk and ESP, record, and ticket of a written file.
fn judge(place: &Place, name: &str) -> (Guid, Guid, String, String) {
    let path = place.path(name);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "a ticket is in it");
    let manifest = Manifest::load(&place.path("out/cloud-amd64")).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), manifest.disk.size.0);
    let disk = BlockDisk::over(File::open(&path).unwrap(), SectorSize::S512).unwrap();
    let copies = gpt::read(&disk).unwrap();
    assert_eq!((&copies.primary, &copies.backup), (&CopyState::Good, &CopyState::Good));
    let image = File::open(place.path("out/cloud-amd64/disk.raw")).unwrap();
    for role in [Role::BiosBoot, Role::RootA, Role::RootAVerity, Role::RootB, Role::RootBVerity] {
        let Some(partition) = manifest.partitions.iter().find(|other| other.label == role.name()) else {
            continue;
        };
        let first = partition.first.0 * 512;
        let written = disk.file();
        let difference =
            imgbuild::bundle::sparse::first_difference((&image, first), (written, first), partition.size.0);
        assert_eq!(difference.unwrap(), None, "{}", role.name());
    }
    let esp = manifest.partition(Role::Esp).unwrap();
    let entry =
        copies.table.entries().find(|(_, entry)| entry.extent.first == Lba(esp.first.0)).unwrap().1.id;
    let window = Window::new(disk, Lba(esp.first.0), esp.size.0 / 512);
    let volume = Fat::open(window, Stamp::from_unix(manifest.date.0)).unwrap();
    let text = |item: Item| String::from_utf8(volume.read(item.esp_file()).unwrap().unwrap()).unwrap();
    let known = cluster::parse(text(Item::Cluster).as_bytes()).unwrap();
    let signed = text(Item::Record);
    let record = record::open(signed.as_bytes(), Some(&known)).unwrap();
    let opened = ticket::open(text(Item::Ticket).as_bytes(), &known, SystemTime::now()).unwrap();
    assert_eq!(record.node.name, opened.node);
    assert!(volume.read("EFI/Linux/imgbuild_1.efi").unwrap().is_some());
    (copies.table.disk_id, entry, opened.node.clone(), text(Item::Ticket))
}

#[test]
fn a_file_is_the_image_with_what_its_node_needs_to_join() {
    let scene = with_build();
    let place = &scene.place;
    let (code, stdout, stderr) = scene.run(&["usb", "edge1", "-o", "edge1.img"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(
        stdout.starts_with("edge1 is on edge1.img: ") && stdout.ends_with(" written and read back\n"),
        "{stdout}"
    );
    for said in
        ["edge1: the image is unsigned: a box with Secure Boot on", "edge1: the image was built without k3s"]
    {
        assert!(stderr.contains(said), "{stderr}");
    }
    let (code, stdout, _) =
        scene.run(&["--json", "usb", "edge2", "edge1", "--output", "b.img", "--output", "c.img"]);
    assert_eq!(code, 0);
    let told: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((&told[0]["node"], &told[0]["path"]), (&"edge2".into(), &"b.img".into()));
    assert!(told[1]["written"].as_u64().unwrap() > 100 << 20, "{told}");
    let all = ["edge1.img", "b.img", "c.img"].map(|name| judge(place, name));
    assert_eq!(all.each_ref().map(|one| one.2.as_str()), ["edge1", "edge2", "edge1"]);
    for (one, other) in [(0, 1), (0, 2), (1, 2)] {
        let (one, other) = (&all[one], &all[other]);
        assert!(
            one.0 != other.0 && one.1 != other.1 && one.3 != other.3,
            "two sticks share what is one's own"
        );
    }

    // A build that is not what it says is no node's.
    let root = File::options().write(true).open(place.path("out/cloud-amd64/root.erofs")).unwrap();
    root.write_all_at(b"!", 100_000).unwrap();
    let (code, _, stderr) = scene.run(&["usb", "edge1", "-o", "d.img"]);
    assert_eq!(code, 1, "{stderr}");
    assert!(
        stderr.contains("`root.erofs` has sha256 ") && stderr.contains("hint: `imgbuild build cloud "),
        "{stderr}"
    );
    assert!(!place.path("d.img").exists());
}

#[test]
fn there_is_a_whole_file_or_none() {
    let scene = with_build();
    let place = &scene.place;
    let before = place.made();
    let (code, _, stderr) = scene.run(&["usb", "edge1", "-o", "nowhere/edge1.img"]);
    assert_eq!(code, 1);
    assert!(
        stderr.ends_with("error: writing `nowhere/edge1.img`\ncaused by: entity not found\n"),
        "{stderr}"
    );
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut child = scene.command(&["usb", "edge1", "-o", "edge1.img"]).spawn().unwrap();
        let mut words = child.stderr.take().unwrap();
        // Once it reads back, there is all of a file but its name.
        let mut said = Vec::new();
        while !said.ends_with("edge1: writing … written".as_bytes()) {
            let mut byte = [0];
            assert_eq!(words.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&said));
            said.extend(byte);
        }
        kill_process(Pid::from_child(&child), signal).unwrap();
        let mut rest = String::new();
        words.read_to_string(&mut rest).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code), "{rest}");
        assert!(rest.contains("`edge1.img` was interrupted: it is not finished"), "{rest}");
        assert_eq!(place.made(), before);
    }
}
