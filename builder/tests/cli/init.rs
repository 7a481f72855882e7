//! `imgbuild init`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::program::{Place, SMALL};

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ada@example.org";

#[test]
fn makes_a_folder_that_is_valid_as_it_stands() {
    let place = Place::new();
    insta::assert_snapshot!(place.run(&["init", "lab"]), @"
    exit code 0
    --- stderr
    wrote [place]/home/.config/imgbuild/lab.key, which opens the identity: keep it secret, and a copy
    wrote lab/.gitignore
    wrote lab/identity.age
    wrote lab/cluster.toml

    lab/identity.age is the cluster: who loses it, or what opens it, loses the cluster, as nothing in it can be made
    again. It is encrypted and belongs in Git; keep a copy of what opens it elsewhere, apart from it.

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
fn makes_an_identity_that_opens_by_itself_and_asks_nobody() {
    let place = Place::new();
    assert_eq!(place.output(&["init", "lab"], &place.path()).0, 0);
    let key_file = place.home().join(".config/imgbuild/lab.key");
    assert_eq!(fs::metadata(key_file).unwrap().permissions().mode() & 0o777, 0o600);
    let (code, stdout, stderr) = place.output(&["identity", "show"], &place.path().join("lab"));
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(stdout.contains("CN=lab k3s root CA") && stdout.contains(", epoch 1\n"), "{stdout}");

    place.write("passphrase", "correct horse\n");
    let options = ["init", "other", "--passphrase-file", "passphrase"];
    assert_eq!(place.output(&options, &place.path()).0, 0);
    assert!(!place.home().join(".config/imgbuild/other.key").exists());
    let options = ["init", "third", "--no-identity"];
    assert_eq!(place.output(&options, &place.path()).0, 0);
    assert!(!place.path().join("third/identity.age").exists());
    // The key must not lie beside what it opens, and nothing is left behind where there is no other place.
    let (code, stderr) = place
        .run_in(&["init", "fourth"], &[("XDG_CONFIG_HOME", place.path().join("fourth").to_str().unwrap())]);
    assert_eq!(code, 2);
    assert!(stderr.contains("fourth/imgbuild/fourth.key` would lie beside what it opens"), "{stderr}");
    assert_eq!(fs::read_dir(place.path().join("fourth")).unwrap().count(), 0);
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
    place.write("identity.age", "mine too\n");
    insta::assert_snapshot!(place.run(&["init"]), @"
    exit code 0
    --- stderr
    kept identity.age
    kept .gitignore
    wrote cluster.toml

    edit cluster.toml, then:
      imgbuild check        # every fault, or what the file describes
      imgbuild lock         # choose package versions
      imgbuild build cloud  # make the image of the control plane
    ");
    assert_eq!(place.read(".gitignore"), "mine\n");
    assert_eq!(place.read("identity.age"), "mine too\n");
    assert_eq!(place.names(), [".gitignore", "cluster.toml", "identity.age"]);
    assert!(!place.home().join(".config").exists(), "a key file was made for nothing");
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
    let expected = serde_json::json!({ "folder": ".", "wrote": ["identity.age", "cluster.toml"], "kept": [".gitignore"] });
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
