//! `imgbuild init`.

use std::fs;

use super::program::{Place, SMALL};

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ada@example.org";

#[test]
fn makes_a_folder_that_is_valid_as_it_stands() {
    let place = Place::new();
    insta::assert_snapshot!(place.run(&["init", "lab"]), @"
    exit code 0
    --- stderr
    wrote lab/.gitignore
    wrote lab/cluster.toml

    edit lab/cluster.toml, then:
      cd lab
      imgbuild check        # every fault, or what the file describes
      imgbuild lock         # choose package versions
      imgbuild build cloud  # make the image of the control plane
    ");
    let (code, stdout, stderr) = place.output(&["check"], &place.path().join("lab"));
    assert_eq!((code, stderr.as_str()), (0, ""));
    insta::assert_snapshot!(stdout, @"
    cluster.toml is valid: cluster `lab`, 2 nodes

    NAME   ROLE           PROFILE  IMAGE  ARCH   VPN ADDRESS
    cp1    control-plane  cloud    disk   amd64  10.44.0.1
    edge1  edge           edge     disk   amd64  10.44.0.11
    ");
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
    insta::assert_snapshot!(place.run(&["init"]), @"
    exit code 2
    --- stderr
    error: `cluster.toml` is there already; nothing was changed

    hint: `imgbuild check` shows what it describes; `imgbuild init DIR` begins elsewhere
    ");
    assert_eq!(place.read("cluster.toml"), SMALL);
    assert_eq!(place.names(), ["cluster.toml"]);
}

#[test]
fn keeps_other_files_that_are_there() {
    let place = Place::new();
    place.write(".gitignore", "mine\n");
    insta::assert_snapshot!(place.run(&["init"]), @"
    exit code 0
    --- stderr
    kept .gitignore
    wrote cluster.toml

    edit cluster.toml, then:
      imgbuild check        # every fault, or what the file describes
      imgbuild lock         # choose package versions
      imgbuild build cloud  # make the image of the control plane
    ");
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
    insta::assert_snapshot!(place.run(&["init", "lab"]), @"
    exit code 2
    --- stderr
    error: making `lab`
    caused by: File exists (os error 17)
    ");
    assert_eq!(place.names(), ["lab"]);
}

#[test]
fn says_as_json_what_was_made_and_kept() {
    let place = Place::new();
    place.write(".gitignore", "mine\n");
    let (code, stdout, _) = place.output(&["init", "--json"], &place.path());
    assert_eq!(code, 0);
    let made: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let expected = serde_json::json!({ "folder": ".", "wrote": ["cluster.toml"], "kept": [".gitignore"] });
    assert_eq!(made, expected);
}

#[test]
fn says_as_json_what_was_removed_and_how_large_it_was() {
    let place = Place::with(SMALL);
    let clean = || {
        let (code, stdout, _) = place.output(&["clean", "--yes", "--json"], &place.path());
        assert_eq!(code, 0);
        serde_json::from_str::<serde_json::Value>(&stdout).unwrap()
    };
    assert_eq!(clean(), serde_json::json!({ "removed": [] }));
    place.write("out/cloud-amd64/manifest.json", vec![b'x'; 70_000]);
    let cleaned = clean();
    assert_eq!(cleaned["removed"].as_array().map(Vec::len), Some(1), "{cleaned}");
    assert_eq!(cleaned["removed"][0]["path"], "out/cloud-amd64");
    assert!(cleaned["removed"][0]["size"].as_u64().is_some_and(|size| size >= 70_000), "{cleaned}");
    assert!(!place.path().join("out/cloud-amd64").exists());
}
