//! `imgbuild usb` and `flash`, as far as they go without a stick and a build.

use serde_json::Value;

use super::cluster_secrets::place;
use super::plan::CLUSTER;
use super::program::{Place, SMALL};

#[test]
fn a_cluster_that_nobody_finds_gets_no_sticks() {
    let without = SMALL.replace("endpoint = \"lab.example.org\"\n", "");
    insta::assert_snapshot!(Place::with(&without).run(&["usb", "edge1"]), @"
    exit code 2
    --- stderr
    error: `[cluster]` lacks the key `endpoint`
     --> cluster.toml:3:1
      |
    3 | [cluster]
      | ^^^^^^^^^

    hint: `endpoint` in `[cluster]` is a name or address of a control plane: with `[hetzner]` and `dns-zone`, `imgbuild up` makes both, and `imgbuild plan` shows them before
    ");
    let template = SMALL.replace("lab.example.org", "cluster.example.org");
    insta::assert_snapshot!(Place::with(&template).run(&["usb", "edge1"]), @"
    exit code 2
    --- stderr
    error: a node finds no way to `cluster.example.org`, which stands for an address to come

    hint: `endpoint` in `[cluster]` is a name or address of a control plane: with `[hetzner]` and `dns-zone`, `imgbuild up` makes both, and `imgbuild plan` shows them before
    ");
    // Another fault has another hint.
    let other = SMALL.replace("version = \"v1.36.4+k3s1\"", "");
    let (code, _, stderr) = Place::with(&other).output(&["usb", "edge1"], &Place::new().path());
    assert_eq!((code, stderr.contains("hint")), (2, true), "{stderr}");
}

#[test]
fn only_nodes_that_join_by_a_stick_get_one() {
    let place = place();
    insta::assert_snapshot!(place.run(&["usb", "egde1"]), @"
    exit code 2
    --- stderr
    error: the cluster `lab` has no node `egde1`

    hint: did you mean `edge1`?
    ");
    insta::assert_snapshot!(place.run(&["usb", "cp1"]), @"
    exit code 2
    --- stderr
    error: node `cp1` is a control plane, which is handed its certificates by `imgbuild up` and by no stick
    ");
    insta::assert_snapshot!(place.run(&["usb", "edge1", "edge1"]), @"
    exit code 2
    --- stderr
    error: node `edge1` is named twice
    ");
    let worker = "\n[[node]]\nname = \"w1\"\nrole = \"worker\"\nprivate-address = \"10.0.0.9\"\n";
    place.write("cluster.toml", format!("{CLUSTER}{worker}"));
    insta::assert_snapshot!(place.run(&["usb", "w1"]), @"
    exit code 2
    --- stderr
    error: node `w1` is a server at Hetzner, which `imgbuild up` makes
    ");
}

#[test]
fn what_is_not_built_is_not_written() {
    let place = place();
    for target in [&["--device", "/dev/null"][..], &["--output", "edge1.img"]] {
        let shown = place.run(&[&["usb", "edge1"], target].concat());
        insta::allow_duplicates! { insta::assert_snapshot!(shown, @"
        exit code 2
        --- stderr
        error: the image of node `edge1`, `out/edge-amd64`, is not built

        hint: `imgbuild build edge --image disk --arch amd64` builds it
        "); }
    }
    assert_eq!(place.names(), ["cluster.toml", "identity.age"]);
}

#[test]
fn files_are_one_for_each_node_and_new() {
    let place = place();
    place.write("edge1.img", "kept");
    insta::assert_snapshot!(place.run(&["usb", "edge1", "-o", "edge1.img"]), @"
    exit code 2
    --- stderr
    error: `edge1.img` is there already; nothing was changed

    hint: remove it, or name another file
    ");
    insta::assert_snapshot!(place.run(&["usb", "edge1", "-o", "a", "-o", "b"]), @"
    exit code 2
    --- stderr
    error: `--output` names 2 files for 1 node

    hint: each node has a ticket of its own, and a file of its own
    ");
    insta::assert_snapshot!(place.run(&["usb", "edge1", "-o", "/dev/null"]), @"
    exit code 2
    --- stderr
    error: `/dev/null` is there already; nothing was changed

    hint: `--device` writes a stick
    ");
    assert_eq!(place.read("edge1.img"), "kept");
    let (code, _, stderr) = place.output(&["usb"], &place.path());
    assert_eq!(code, 2);
    assert!(stderr.contains("<NODE>"), "{stderr}");
    let (code, _, stderr) = place.output(&["usb", "edge1", "-o", "a", "-d", "/dev/sdz"], &place.path());
    assert_eq!(code, 2);
    assert!(stderr.contains("cannot be used with"), "{stderr}");
}

#[test]
fn all_disks_are_shown_and_why_they_are_not_written() {
    let place = Place::new();
    let (code, stdout, stderr) = place.output(&["usb", "--list", "--json"], &place.path());
    assert_eq!((code, stderr.as_str()), (0, ""));
    let all: Vec<Value> = serde_json::from_str(&stdout).unwrap();
    for disk in &all {
        let is_free = disk["obstacles"].as_array().unwrap().is_empty();
        assert_eq!(disk["isOffered"], is_free, "{disk}");
        assert!(disk["path"].as_str().unwrap().starts_with("/dev/"), "{disk}");
        assert!(disk["size"].is_u64() && disk["bus"].is_string() && disk["parts"].is_array(), "{disk}");
    }
    let (code, table, _) = place.output(&["usb", "--list"], &place.path());
    assert_eq!(code, 0);
    for disk in &all {
        assert!(table.contains(disk["path"].as_str().unwrap()), "{table}");
    }
}

#[test]
fn only_a_disk_image_is_flashed_and_only_to_a_disk() {
    let place = Place::new();
    for (name, content) in [("a.qcow2", &b"QFI\xfb\0\0\0\x03"[..]), ("empty", b""), ("a.img", &[7; 4096])] {
        place.write(name, content);
    }
    let flash = |file: &str| place.run(&["flash", file, "--device", "/dev/null"]);
    insta::assert_snapshot!(flash("a.qcow2"), @"
    exit code 2
    --- stderr
    error: `a.qcow2` is qcow2, and no disk image as it is or by gzip, xz or zstd

    hint: `qemu-img convert -O raw` makes a disk image of a qcow2
    ");
    insta::assert_snapshot!(flash("empty"), @"
    exit code 2
    --- stderr
    error: `empty` is empty
    ");
    insta::assert_snapshot!(flash("a.img"), @"
    exit code 2
    --- stderr
    error: `/dev/null` is no disk of this computer

    hint: `imgbuild usb --list` shows all disks
    ");
    insta::assert_snapshot!(flash("nowhere"), @"
    exit code 2
    --- stderr
    error: reading `nowhere`
    caused by: No such file or directory (os error 2)
    ");
}
