//! Builds that exist, looked into: `verify`, `diff` and `size` on a real one, whole and damaged.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;

use imgbuild::bundle::manifest::Manifest;

use super::place::Place;

/// A place with an identity, a build in `out` that it signed, its public key in `key.pub` and another one in `other.pub`.
fn signed() -> Place {
    let place = Place::new();
    place.write("passphrase", "correct horse\n");
    let unlocked = |arguments: &[&str]| {
        let (code, stdout, stderr) = place.ask(&[arguments, &["--passphrase-file", "passphrase"]].concat());
        assert_eq!(code, 0, "{stderr}");
        stdout
    };
    let identity = unlocked(&["--json", "identity", "secure-boot"]);
    let identity: serde_json::Value = serde_json::from_str(&identity).unwrap();
    place.write("key.pub", identity["manifest_signing"].as_str().unwrap());
    let mut keygen = place.command("ssh-keygen");
    keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", "tester", "-f", "other"]);
    assert!(keygen.status().unwrap().success());
    assert_eq!(place.build(SIGNING), (0, String::new()));
    place
}

/// A new identity in place of any other, whose public key goes to `key.pub`; it has nothing but the signing key.
fn create_identity(place: &Place) {
    let _ = fs::remove_file(place.path("identity.age"));
    place.write("passphrase", "correct horse\n");
    let (code, stdout, stderr) = place.ask(&[&["--json", "identity", "create"], SIGNING].concat());
    assert_eq!(code, 0, "{stderr}");
    let identity: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(identity["secure_boot"], serde_json::Value::Null);
    place.write("key.pub", identity["manifest_signing"].as_str().unwrap());
}

#[test]
fn the_signature_follows_the_key_where_all_else_is_up_to_date() {
    let place = Place::new();
    create_identity(&place);
    assert_eq!(place.build(SIGNING), (0, String::new()));
    let disk = || fs::metadata(place.path("out/disk.raw")).unwrap().modified().unwrap();
    let built = disk();
    assert_eq!(place.ask(&["verify", "out", "--key", "key.pub"]).0, 0);

    create_identity(&place);
    let (code, _, stderr) = place.ask(&["verify", "out", "--key", "key.pub"]);
    assert_eq!(code, 1, "{stderr}");
    assert_eq!(place.build(SIGNING), (0, String::new()));
    assert_eq!(place.ask(&["verify", "out", "--key", "key.pub"]).0, 0);

    assert_eq!(place.build(&["--unsigned"]), (0, String::new()));
    assert!(!place.path("out/manifest.json.sig").exists(), "an older signature is left");
    assert_eq!(place.build(&["--unsigned"]), (0, String::new()));
    let (_, stdout, _) = place.ask(&["verify", "out"]);
    assert!(stdout.contains("\nsignature   none"), "{stdout}");
    assert_eq!(disk(), built, "the build was not up to date");
}

/// Options of a build that the identity signs.
const SIGNING: &[&str] = &["--passphrase-file", "passphrase"];

fn manifest(place: &Place) -> Manifest {
    Manifest::load(&place.path("out")).unwrap()
}

/// Inverts one byte of a file of the build.
fn flip(place: &Place, name: &str, at: u64) {
    let file = File::options().read(true).write(true).open(place.path("out").join(name)).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[!byte[0]], at).unwrap();
}

/// The faults that `verify` lists, and its hint.
fn faults(place: &Place, arguments: &[&str]) -> (Vec<String>, String) {
    let (code, stdout, stderr) = place.ask(&[&["verify", "out"], arguments].concat());
    assert_eq!((code, stdout.as_str()), (1, ""), "{stderr}");
    let (list, hint) = stderr.split_once("\n\nhint: ").unwrap_or_else(|| panic!("no hint: {stderr}"));
    let mut lines = list.lines();
    assert_eq!(lines.next(), Some("error: `out` is not what it should be:"));
    (lines.map(|line| line.trim_start().to_owned()).collect(), hint.trim_end().to_owned())
}

#[test]
fn verify_accepts_what_was_built_and_says_who_signed_it() {
    let place = signed();
    let (code, stdout, stderr) = place.ask(&["verify", "out", "--key", "key.pub"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(stdout.starts_with("files       7 as the manifest says\nroot hash   "), "{stdout}");
    assert!(stdout.contains("\nsignature   by SHA256:"), "{stdout}");
    assert!(stdout.ends_with(", as asked for\nprograms    the ones here\n"), "{stdout}");
    let (code, stdout, _) = place.ask(&["verify", "out"]);
    assert!(code == 0 && stdout.contains(", whoever that is: `--key FILE` would tell\n"), "{stdout}");

    let (list, hint) = faults(&place, &["--key", "other.pub"]);
    assert!(list.len() == 1 && list[0].starts_with("`manifest.json` is signed by SHA256:"), "{list:?}");
    assert_eq!(hint, "`ssh-keygen -l -f FILE` shows the fingerprint of a key");
    fs::remove_file(place.path("out/manifest.json.sig")).unwrap();
    let (list, hint) = faults(&place, &["--key", "key.pub"]);
    assert_eq!(list, ["there is no signature `out/manifest.json.sig`"]);
    assert_eq!(hint, "with the identity that `imgbuild identity create` makes, `imgbuild build` signs");
    // As the hint says, and what is built already is not built again.
    let built = fs::metadata(place.path("out/disk.raw")).unwrap().modified().unwrap();
    assert_eq!(place.build(SIGNING), (0, String::new()));
    assert_eq!(fs::metadata(place.path("out/disk.raw")).unwrap().modified().unwrap(), built);
    assert_eq!(place.ask(&["verify", "out", "--key", "key.pub"]).0, 0);
}

#[test]
fn verify_names_whatever_is_damaged() {
    let place = signed();
    let manifest = manifest(&place);
    let partition = |label: &str| manifest.partitions.iter().find(|it| it.label == label).unwrap();
    let makes_anew = "`imgbuild build cloud` makes it anew from the lock";

    flip(&place, "root.erofs", 5 * 4096 + 7);
    let (list, hint) = faults(&place, &[]);
    assert!(list[0].starts_with("`root.erofs` has sha256 "), "{list:?}");
    assert!(
        list[1].starts_with("the root hash does not vouch for `root.erofs`: data block 5 has digest "),
        "{list:?}"
    );
    assert_eq!((&list[2][..], list.len()), ("partition `root-a` does not hold `root.erofs`", 3));
    assert_eq!(hint, makes_anew);
    flip(&place, "root.erofs", 5 * 4096 + 7);

    let behind = (partition("root-a").first.0 + 1) * 512 + partition("root-a").used.0;
    flip(&place, "disk.raw", behind);
    let (list, _) = faults(&place, &[]);
    assert!(list[0].starts_with("`disk.raw` has fs-verity digest "), "{list:?}");
    assert_eq!(list[1..], ["partition `root-a` does not hold `root.erofs`"]);
    flip(&place, "disk.raw", behind);

    // The first entry's label: UEFI 2.10, table 5.6.
    flip(&place, "disk.raw", 1024 + 56);
    let (list, _) = faults(&place, &[]);
    assert!(list[1].starts_with("reading the partition table of `out/disk.raw`: "), "{list:?}");
    flip(&place, "disk.raw", 1024 + 56);

    for name in ["os.efi", "disk.raw"] {
        let path = place.path("out").join(name);
        fs::rename(&path, place.path("kept")).unwrap();
        assert_eq!(faults(&place, &[]).0, [format!("`{name}` is missing")]);
        fs::rename(place.path("kept"), path).unwrap();
    }

    let honest = place.read("out/manifest.json");
    let program = manifest.programs["firstboot"].sha256.to_string();
    let other = "0".repeat(64);
    place.write("out/manifest.json", &honest.replace(&program, &other));
    let (list, _) = faults(&place, &[]);
    assert!(list[0].ends_with(" is not over this `manifest.json`"), "{list:?}");
    assert_eq!(
        list[1..],
        [format!("`usr/bin/firstboot` in the root has sha256 {program}, the manifest says {other}")]
    );
    // A name in other words, so that the file is named by nobody and another one is missing.
    place.write("out/manifest.json", &honest.replace("\"os.efi\": {", "\"os.img\": {"));
    let (list, _) = faults(&place, &[]);
    assert_eq!(list[1..], ["the manifest does not name `os.efi`", "`os.img` is missing"]);

    for name in ["/dev/zero", "../disk.raw", "..", "\\u001b[31m"] {
        let hostile = format!("\"{name}\": {{");
        place.write("out/manifest.json", &honest.replace("\"os.efi\": {", &hostile));
        let (code, stdout, stderr) = place.ask(&["verify", "out"]);
        let shown = name.replace("\\u001b", "\\u{1b}");
        let said = format!(
            "error: manifest `out/manifest.json` names the file `{shown}`, which is no name in a folder\n\n\
             hint: it is damaged: `imgbuild build` makes the folder anew\n"
        );
        assert_eq!((code, stdout, stderr), (2, String::new(), said));
    }
    place.write("out/manifest.json", &honest);
    assert_eq!(place.ask(&["verify", "out"]).0, 0);
}

#[test]
fn other_programs_are_told_from_another_image() {
    let place = signed();
    let programs = place.path("programs/amd64");
    fs::create_dir_all(&programs).unwrap();
    let beside = std::path::Path::new(env!("CARGO_BIN_EXE_imgbuild")).parent().unwrap();
    for name in ["firstboot", "stage0"] {
        let mut program = fs::read(beside.join(name)).unwrap();
        // Still an ELF file that runs: nothing looks behind its end.
        program.push(0);
        fs::write(programs.join(name), program).unwrap();
    }
    let mut build = place.command(env!("CARGO_BIN_EXE_imgbuild"));
    build.args(["--quiet", "build", "cloud", "--without-artifacts", "-o", "other-programs"]).args(SIGNING);
    assert!(build.env("IMGBUILD_PROGRAMS", place.path("programs")).status().unwrap().success());

    let (code, stdout, stderr) = place.ask(&["verify", "other-programs"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(stdout.contains("\nprograms    `firstboot` in the image is "), "{stdout}");
    assert!(stdout.ends_with("so a build here would not be the same; the image is\n"), "{stdout}");

    let (code, stdout, stderr) = place.ask(&["diff", "out", "other-programs"]);
    assert_eq!((code, stderr.as_str()), (1, ""));
    assert!(
        stdout.starts_with("other programs: all else that goes in is the same\nfirst: partition `"),
        "{stdout}"
    );
    assert!(stdout.contains(", file `usr/bin/firstboot`\n"), "{stdout}");
    assert!(stdout.contains("\nusr/bin/firstboot  -        size "), "{stdout}");
    assert!(!stdout.contains("PACKAGE  ") || stdout.contains("FILE"), "{stdout}");

    assert_eq!(place.ask(&["diff", "out", "out"]), (0, "no difference\n".to_owned(), String::new()));
    finds_damage(&place);
    let (code, stdout, stderr) = place.ask(&["diff", "out", "nowhere"]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert!(stderr.starts_with("error: reading manifest `nowhere/manifest.json`\n"), "{stderr}");
}

/// Two folders of one manifest, of which one is not what it says; and one that says something else.
fn finds_damage(place: &Place) {
    assert!(place.command("cp").args(["-a", "--sparse=always", "out", "copy"]).status().unwrap().success());
    let differ = || {
        let (code, stdout, stderr) = place.ask(&["diff", "copy", "out"]);
        assert_eq!((code, stderr.as_str()), (1, ""));
        stdout
    };
    flip(place, "root.erofs", 5 * 4096 + 7);
    let stdout = differ();
    let said = "damaged: what the manifests say is compared, what is in the files is not\n\n\
                `out` is not what its manifest says:\n  `root.erofs` has sha256 ";
    assert!(stdout.starts_with(said), "{stdout}");
    let (_, stdout, _) = place.ask(&["--json", "diff", "copy", "out"]);
    let found: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((&found["cause"], &found["damaged"][0]["folder"]), (&"damaged".into(), &"out".into()));
    assert_eq!(found["damaged"][0]["faults"].as_array().unwrap().len(), 3, "{found}");
    flip(place, "root.erofs", 5 * 4096 + 7);

    let disk = File::options().write(true).open(place.path("out/disk.raw")).unwrap();
    let length = disk.metadata().unwrap().len();
    disk.set_len(length + 512).unwrap();
    let said = format!("  `disk.raw` has {} bytes, the manifest says {length}\n", length + 512);
    let stdout = differ();
    assert!(stdout.contains(&said), "{stdout}");
    disk.set_len(length).unwrap();

    let honest = place.read("out/manifest.json");
    let manifest = manifest(place);
    let (root, verity) = (&manifest.partitions[2], &manifest.partitions[3]);
    place.write(
        "out/manifest.json",
        &honest.replace(&root.partuuid.to_string(), &verity.partuuid.to_string()),
    );
    let stdout = differ();
    let said = format!(
        "  the PARTUUID of partition `root-a` is {}, the manifest says {}\n",
        root.partuuid, verity.partuuid
    );
    assert!(stdout.contains(&said) && stdout.contains("\nroot-a: PARTUUID  "), "{stdout}");
    place.write("out/manifest.json", &honest);
    assert_eq!(place.ask(&["diff", "copy", "out"]).1, "no difference\n");
}

#[test]
fn sizes_add_up_to_what_the_file_system_holds() {
    let place = signed();
    let (code, stdout, stderr) = place.ask(&["--json", "size", "out", "--svg", "out.svg"]);
    assert_eq!(code, 0, "{stderr}");
    let sizes: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let sum = |list: &serde_json::Value, key: &str| -> u64 {
        list.as_array().unwrap().iter().map(|item| item[key].as_u64().unwrap()).sum()
    };
    let packages = sum(&sizes["packages"], "installed");
    assert_eq!(packages + sum(&sizes["others"], "size"), sizes["files"].as_u64().unwrap());
    assert_eq!(sum(&sizes["partitions"], "used"), sizes["used"].as_u64().unwrap());
    let esp = sizes["partitions"].as_array().unwrap().iter().find(|it| it["label"] == "esp").unwrap();
    assert_eq!(sum(&sizes["boot"], "size"), esp["used"].as_u64().unwrap());
    for package in sizes["packages"].as_array().unwrap() {
        assert_eq!(sum(&package["folders"], "size"), package["installed"].as_u64().unwrap(), "{package}");
    }
    // The oracle counts what lies in the image.
    let extracted = place.path("extracted");
    let mut extract = place.command("fsck.erofs");
    extract.env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap()));
    extract.arg(format!("--extract={}", extracted.display())).args(["--no-preserve", "out/root.erofs"]);
    assert!(extract.status().unwrap().success());
    let mut find = place.command("find");
    let output =
        find.args(["extracted", "-type", "f", "-printf", "%s\n"]).stdout(std::process::Stdio::piped());
    let output = String::from_utf8(output.output().unwrap().stdout).unwrap();
    let counted: u64 = output.lines().map(|line| line.parse::<u64>().unwrap()).sum();
    assert_eq!(counted, sizes["files"].as_u64().unwrap());

    let drawing = place.read("out.svg");
    for package in manifest(&place).packages.iter().filter(|package| package.installed.0 > 1 << 20) {
        assert!(drawing.contains(&format!("<title>root-a / {}: ", package.name)), "{}", package.name);
    }
}
