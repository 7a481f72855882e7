//! What lies in the place of a file and is none: told by name, never waited for, never passed over.

use std::fs;

use super::identity::tool;
use super::program::{Place, SMALL};

/// Exit code and standard error of a command.
fn run(place: &Place, arguments: &[&str]) -> (i32, String) {
    let (code, _, stderr) = place.output(arguments, &place.path());
    (code, stderr)
}

#[test]
fn a_pipe_or_folder_as_the_cluster_file_is_a_fault() {
    let place = Place::new();
    tool(&place, "mkfifo", &["cluster.toml"]);
    let said = "error: reading `cluster.toml`\ncaused by: it is no regular file\n";
    for arguments in [["check"].as_slice(), &["-f", "cluster.toml", "lock"], &["build", "cloud"]] {
        assert_eq!(run(&place, arguments), (2, said.to_owned()), "{arguments:?}");
    }
    fs::remove_file(place.path().join("cluster.toml")).unwrap();
    fs::create_dir(place.path().join("cluster.toml")).unwrap();
    let said = "error: reading `cluster.toml`\ncaused by: Is a directory (os error 21)\n";
    assert_eq!(run(&place, &["check"]), (2, said.to_owned()));
}

#[test]
fn a_pipe_or_folder_as_a_profile_or_image_does_not_make_way_for_the_shipped_one() {
    for (name, arguments) in [
        ("images/disk.toml", ["build", "cloud"].as_slice()),
        ("images/disk.toml", &["check"]),
        ("profiles/cloud.toml", &["check"]),
        ("profiles/cloud.toml", &["build", "cloud"]),
        ("profiles/artifacts.toml", &["check"]),
        ("reviewed.toml", &["check"]),
    ] {
        let place = Place::with(SMALL);
        fs::create_dir_all(place.path().join(name)).unwrap();
        let said = format!("error: reading `{name}`\ncaused by: Is a directory (os error 21)\n");
        assert_eq!(run(&place, arguments), (2, said), "{name}");
        fs::remove_dir(place.path().join(name)).unwrap();
        tool(&place, "mkfifo", &[name]);
        let said = format!("error: reading `{name}`\ncaused by: it is no regular file\n");
        assert_eq!(run(&place, arguments), (2, said), "{name}");
    }
}

#[test]
fn a_pipe_as_the_lock_is_a_fault() {
    let place = Place::with(SMALL);
    tool(&place, "mkfifo", &["imgbuild.lock"]);
    let said = "error: reading lock `imgbuild.lock`\ncaused by: it is no regular file\n";
    assert_eq!(run(&place, &["lock", "--offline"]), (2, said.to_owned()));
}

#[test]
fn what_is_missing_here_shows_before_anything_is_fetched() {
    let place = Place::with(SMALL);
    // Of a node program that is there but is none, whatever else is installed.
    for name in ["firstboot", "stage0"] {
        place.write(&format!("programs/amd64/{name}"), "#!/bin/sh\n");
    }
    let (code, stderr) = place.run_in(&["lock", "--offline"], &[("IMGBUILD_PROGRAMS", "programs")]);
    let said = "error: `programs/amd64/firstboot` is no 64-bit ELF file, not a static 64-bit program for amd64\n\n\
                hint: `make nodes` makes the node programs, `make install` installs them\n";
    assert_eq!((code, stderr.as_str()), (1, said));
    assert!(!place.path().join("imgbuild.lock").exists());
}
