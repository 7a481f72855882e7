//! `imgbuild init`.

use std::fs;

use super::program::{Place, SMALL};

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ada@example.org";

#[test]
fn makes_a_folder_that_is_valid_as_it_stands() {
    let place = Place::new();
    insta::assert_snapshot!(place.run(&["init", "lab"]), @"");
    let (code, stdout, stderr) = place.output(&["check"], &place.path().join("lab"));
    assert_eq!((code, stderr.as_str()), (0, ""));
    insta::assert_snapshot!(stdout, @"");
}

#[test]
fn fills_in_keys_and_time_zone() {
    let place = Place::new();
    fs::create_dir(place.home().join(".ssh")).unwrap();
    fs::write(place.home().join(".ssh/id_ed25519.pub"), format!("{KEY}\n")).unwrap();
    let (code, _, _) = place.output(&["init"], &place.path());
    assert_eq!(code, 0);
    let text = place.read("cluster.toml");
    assert!(text.contains("time-zone = \"Europe/Berlin\""), "{text}");
    assert!(text.contains(KEY), "{text}");
    assert_eq!(place.output(&["check", "-q"], &place.path()).0, 0);
}

#[test]
fn overwrites_nothing() {
    let place = Place::with(SMALL);
    insta::assert_snapshot!(place.run(&["init"]), @"");
    assert_eq!(place.read("cluster.toml"), SMALL);
    assert_eq!(place.names(), ["cluster.toml"]);
}

#[test]
fn keeps_other_files_that_are_there() {
    let place = Place::new();
    place.write(".gitignore", "mine\n");
    insta::assert_snapshot!(place.run(&["init"]), @"");
    assert_eq!(place.read(".gitignore"), "mine\n");
    assert_eq!(place.names(), [".gitignore", "cluster.toml"]);
}

#[test]
fn keeps_a_dangling_link() {
    let place = Place::new();
    std::os::unix::fs::symlink("/nowhere", place.path().join("cluster.toml")).unwrap();
    assert_eq!(place.output(&["init"], &place.path()).0, 2);
    assert_eq!(place.names(), ["cluster.toml"]);
}

#[test]
fn names_the_folder_that_cannot_be_made() {
    let place = Place::new();
    place.write("lab", "a file");
    insta::assert_snapshot!(place.run(&["init", "lab"]), @"");
    assert_eq!(place.names(), ["lab"]);
}
