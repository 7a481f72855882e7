//! `slot write` with real builds: what it says, and what it refuses before anything is written.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;

use imgbuild::machine::disk;
use imgbuild::units::{Bytes, Sha256};
use rustix::fs::{FlockOperation, fcntl_lock};

use super::place::Place;

/// A profile whose root differs.
const OTHER: &str = "version = 1\ndescription = \"Other\"\ninherits = \"cloud\"\n\n[[file]]\npath = \"etc/other\"\n\
                     text = \"other\"\n";

/// A profile whose root is the same.
const ARGUMENTS: &str = "version = 1\ndescription = \"Arguments\"\ninherits = \"cloud\"\n\n[kernel]\n\
                         command-line = [\"printk.time=0\"]\n";

/// A build in `out`, a disk of it in `machine.raw`, and another build in `other`.
fn with_disk() -> Place {
    let place = Place::new();
    assert_eq!(place.build(&[]), (0, String::new()));
    fs::create_dir_all(place.path("profiles")).unwrap();
    place.write("profiles/other.toml", OTHER);
    let build = ["--quiet", "build", "other", "-o", "other", "--without-artifacts"];
    assert_eq!(place.run(&build), (0, String::new()));
    disk::copy(&place.path("out/disk.raw"), &place.path("machine.raw"), Bytes::MIB).unwrap();
    place
}

fn write(place: &Place, arguments: &[&str]) -> (i32, String, String) {
    place.ask(&[&["slot", "write"], arguments].concat())
}

/// Digest of the disk, by which a change shows.
fn digest(place: &Place) -> Sha256 {
    imgbuild::bundle::sparse::facts(&File::open(place.path("machine.raw")).unwrap()).unwrap().fs_verity
}

#[test]
fn a_build_is_staged_once_it_is_verified_and_the_disk_is_known_to_take_it() {
    let place = with_disk();
    let before = digest(&place);
    let refused = |arguments: &[&str], expected: &str| {
        let (code, stdout, stderr) = write(&place, arguments);
        assert_eq!((code, stdout.as_str(), stderr.as_str()), (2, "", expected), "{arguments:?}");
        assert_eq!(digest(&place), before, "{arguments:?}: something was written");
    };
    refused(
        &["nowhere", "--into", "machine.raw"],
        "error: reading manifest `nowhere/manifest.json`\ncaused by: No such file or directory (os error 2)\n\n\
         hint: give a folder that `imgbuild build` has made\n",
    );
    refused(
        &["other", "--into", "cluster.toml"],
        "error: reading the partition table of `cluster.toml`\ncaused by: both copies of the partition table are \
         damaged; at the start: no GPT signature; at the end: no GPT signature\n\n\
         hint: give a whole disk that an imgbuild image was written to, or a file that is one\n",
    );
    {
        let machine = File::options().read(true).write(true).open(place.path("machine.raw")).unwrap();
        fcntl_lock(&machine, FlockOperation::NonBlockingLockExclusive).unwrap();
        refused(
            &["other", "--into", "machine.raw"],
            "error: disk `machine.raw` is in use: another program has locked it, as a running machine does\n\n\
             hint: switch the machine off, or unmount the disk\n",
        );
    }
    let root_hash = imgbuild::bundle::manifest::Manifest::load(&place.path("out")).unwrap().root_hash;
    refused(
        &["out", "--into", "machine.raw"],
        &format!(
            "error: staging on `machine.raw`\ncaused by: slot a, which is committed, holds root {root_hash} already\n\n\
             hint: this system is in force there already; build another one\n"
        ),
    );

    let (code, stdout, stderr) = write(&place, &["other", "--into", "machine.raw"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let other = imgbuild::bundle::manifest::Manifest::load(&place.path("other")).unwrap().root_hash;
    let expected = format!(
        "slot        b, on trial for 3 starts\ngeneration  2\nroot hash   {other}\ncommitted   slot a, generation 1\n"
    );
    assert_eq!(stdout, expected);
    let (code, stdout, stderr) = write(&place, &["--json", "other", "--into", "machine.raw"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let staged: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let expected = serde_json::json!({
        "slot": "b", "generation": 3, "root_hash": other.to_string(), "tries": 3,
        "committed_slot": "a", "committed_generation": 1, "programs": [],
    });
    assert_eq!(staged, expected);
}

/// Each slot must be another root to the disk, or nobody could tell which one was started.
#[test]
fn a_build_of_the_same_root_with_other_kernel_arguments_is_staged() {
    let place = with_disk();
    place.write("profiles/arguments.toml", ARGUMENTS);
    let build = ["--quiet", "build", "arguments", "-o", "arguments", "--without-artifacts"];
    assert_eq!(place.run(&build), (0, String::new()));
    let [old, new] = ["out", "arguments"]
        .map(|folder| imgbuild::bundle::manifest::Manifest::load(&place.path(folder)).unwrap());
    assert_eq!(old.files["root.erofs"], new.files["root.erofs"], "the profiles' roots are not the same");
    assert_ne!(old.root_hash, new.root_hash);
    let (code, stdout, stderr) = write(&place, &["arguments", "--into", "machine.raw"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let expected =
        format!("slot        b, on trial for 3 starts\ngeneration  2\nroot hash   {}\n", new.root_hash);
    assert!(stdout.starts_with(&expected), "{stdout}");
}

#[test]
fn a_build_that_is_damaged_or_of_another_signer_is_not_staged() {
    let place = with_disk();
    let before = digest(&place);
    place.write(
        "key.pub",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFVB1Lkc4c3Hk9x6mq2uXQF1p9WJ1lYV1JwU0u1vO6dV someone\n",
    );
    let (code, _, stderr) = write(&place, &["other", "--into", "machine.raw", "--key", "key.pub"]);
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("\n  there is no signature `other/manifest.json.sig`\n"), "{stderr}");
    let root = File::options().read(true).write(true).open(place.path("other/root.erofs")).unwrap();
    let mut byte = [0];
    root.read_exact_at(&mut byte, 100_000).unwrap();
    root.write_all_at(&[!byte[0]], 100_000).unwrap();
    let (code, _, stderr) = write(&place, &["other", "--into", "machine.raw"]);
    assert_eq!(code, 2, "{stderr}");
    assert!(
        stderr.starts_with("error: `other` is not what it should be:\n  `root.erofs` has sha256 "),
        "{stderr}"
    );
    assert_eq!(digest(&place), before, "something was written");
}
