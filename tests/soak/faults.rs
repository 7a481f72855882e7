//! Disks and records that are wrong, one fault each.

use std::fs;

use anyhow::{Context as _, ensure};
use machine::{Disk, Power, Scene, Vm, expect_refusal};

#[test]
fn faults_of_disks() -> anyhow::Result<()> {
    let scene = Scene::open()?;
    let bundle = scene.build("cloud")?;
    let looking = "what:  looking for the root on the boot disk";
    for (label, part) in [("root-a", "for the root"), ("root-a-verity", "for the hash tree of the root")] {
        let disk = Disk::of(&bundle, &scene)?;
        disk.remove_partition(label)?;
        expect_refusal(&format!("no-{label}"), &disk, &[looking, part], &scene)?;
    }
    let disk = Disk::of(&bundle, &scene)?;
    disk.flip_bit("root-a-verity", 0)?;
    expect_refusal("no-verity-superblock", &disk, &["what:  opening the root with dm-verity"], &scene)
}

/// The machine is up and says which key of the record it does not know.
#[test]
fn faults_of_records() -> anyhow::Result<()> {
    let scene = Scene::open()?;
    let bundle = scene.build("cloud-debug")?;
    let disk = Disk::of(&bundle, &scene)?;
    let record = fs::read_to_string(scene.record("cp1")?).context("reading the record")?;
    let wrong = scene.folder().join("wrong.json");
    let text = record.replacen("\"timeZone\"", "\"timezone\"", 1);
    ensure!(text != record, "the record has no time zone:\n{record}");
    fs::write(&wrong, text).context("writing the wrong record")?;
    let mut vm = Vm::start("wrong-record", &disk, Power { record: Some(wrong), ..Power::default() }, &scene)?;
    vm.wait_until_up()?;
    for part in ["this machine is no node yet", "phase       stopped", "timezone"] {
        ensure!(vm.console().contains(part), "`{part}` is not on the console:\n{}", vm.console());
    }
    vm.shut_down()?;
    disk.check_state()
}
