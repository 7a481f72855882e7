use std::fs;
use std::path::PathBuf;

use imgbuild::archive::lock::{Lock, LockedPackage};
use imgbuild::units::Arch;

use super::place::{GOOD, Place, cache};

/// The first package of the lock, and its place in the cache.
fn first_package(place: &Place) -> (LockedPackage, PathBuf) {
    let lock = Lock::load(&place.path("imgbuild.lock")).unwrap();
    let package = lock.packages(Arch::Amd64).next().unwrap().clone();
    let digest = package.sha256.to_string();
    let path = cache().join("sha256").join(&digest[..2]).join(&digest);
    (package, path)
}

#[test]
fn a_damaged_package_in_the_cache_is_noticed() {
    let place = Place::new();
    // A cache of its own, as the others are being built from.
    let own = place.path("cache");
    let (package, path) = first_package(&place);
    let copy = own.join(path.strip_prefix(cache()).unwrap());
    fs::create_dir_all(copy.parent().unwrap()).unwrap();
    let mut data = fs::read(&path).unwrap();
    let middle = data.len() / 2;
    data[middle] ^= 1;
    let lacks = format!(
        "error: offline, and the cache lacks {} {} ({})",
        package.name, package.version, package.arch
    );
    for content in [&data[..], &data[..middle], &[]] {
        fs::write(&copy, content).unwrap();
        let (code, stderr) = place.build(&["--offline", "--cache", own.to_str().unwrap()]);
        assert_eq!(code, 1, "{stderr}");
        assert!(stderr.starts_with(&lacks), "{stderr}");
        assert!(stderr.contains(" more\n"), "{stderr}");
    }
    assert!(!place.path("out").exists());
}

#[test]
fn a_lock_edited_by_hand_is_refused() {
    let place = Place::new();
    let (package, _) = first_package(&place);
    let digest = package.sha256.to_string();
    let wrong = format!("{}{}", if digest.starts_with('0') { '1' } else { '0' }, &digest[1..]);
    place.write("imgbuild.lock", &GOOD.lock.replace(&digest, &wrong));
    let (code, stderr) = place.build(&[]);
    assert_eq!(code, 1, "{stderr}");
    let said = format!("has sha256 {digest}, expected {wrong}\n");
    assert!(stderr.starts_with("error: `http") && stderr.ends_with(&said), "{stderr}");
    assert_eq!(place.made(), Vec::<String>::new());
}

#[test]
fn an_unusable_lock_is_the_users_input() {
    let place = Place::new();
    let half = &GOOD.lock[..GOOD.lock.len() / 2];
    let other_format = GOOD.lock.replacen("version = 1", "version = 9", 1);
    for (text, said) in [
        (half, "error: reading `imgbuild.lock`\ncaused by: lock is malformed\n"),
        ("", "error: reading `imgbuild.lock`\ncaused by: lock is malformed\n"),
        (&other_format, "error: lock has format 9, this program reads format 1"),
    ] {
        place.write("imgbuild.lock", text);
        let (code, stderr) = place.build(&[]);
        assert_eq!(code, 2, "{stderr}");
        assert!(stderr.starts_with(said), "{stderr}");
    }
    assert_eq!(place.made(), Vec::<String>::new());
}

#[test]
fn a_full_disk_leaves_nothing() {
    let place = Place::new();
    fs::create_dir(place.path("small")).unwrap();
    for (size, file) in [("50m", "root.erofs"), ("130m", "disk.raw")] {
        // A file system of this size that only the build sees.
        let script = format!(
            "mount -t tmpfs -o size={size} small small && '{}' --quiet build cloud --without-artifacts -o small/out; \
             echo \"exit $?, left:\" $(ls -A small) >&2",
            env!("CARGO_BIN_EXE_imgbuild")
        );
        let unshare = ["--user", "--map-root-user", "--mount", "sh", "-c", &script];
        let output = place.command("unshare").args(unshare).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        let first = format!("error: writing `small/out.partial/{file}`\n");
        assert!(stderr.starts_with(&first), "{stderr}");
        let last = "caused by: No space left on device (os error 28)\nexit 1, left:\n";
        assert!(stderr.ends_with(last), "{stderr}");
    }
}

#[test]
fn an_output_folder_that_is_not_ours_is_the_users_input() {
    let place = Place::new();
    place.write("file", "mine");
    fs::create_dir(place.path("folder")).unwrap();
    place.write("folder/file", "mine");
    for (output, said) in [
        ("file", "error: reading folder `file`\ncaused by: Not a directory (os error 20)\n"),
        ("folder", "error: `folder` holds files that no build has made\n"),
        ("..", "error: output folder `..` has no name of its own\n"),
        ("/", "error: output folder `/` has no name of its own\n"),
    ] {
        let (code, stderr) = place.run(&["--quiet", "build", "cloud", "-o", output]);
        assert_eq!(code, 2, "{output}: {stderr}");
        assert!(stderr.starts_with(said), "{output}: {stderr}");
    }
    assert_eq!(place.made(), ["file", "folder", "folder/file"]);
}

#[test]
fn unknown_names_are_the_users_input() {
    let place = Place::new();
    for (arguments, said) in [
        (["build", "clod"].as_slice(), "error: there is no profile `clod`; known are "),
        (&["build", "cloud", "--image", "dsk"], "error: there is no image `dsk`; known are "),
        (&["build", "../cloud"], "error: there is no profile `../cloud`; known are "),
        (&["--mirror", "nonsense", "build", "cloud"], "error: mirror `nonsense` (from --mirror) is no http "),
    ] {
        let (code, stderr) = place.run(arguments);
        assert_eq!(code, 2, "{arguments:?}: {stderr}");
        assert!(stderr.starts_with(said), "{arguments:?}: {stderr}");
    }
    assert_eq!(place.made(), Vec::<String>::new());
}

#[test]
fn a_mirror_that_does_not_answer_is_named() {
    let place = Place::new();
    fs::remove_file(place.path("imgbuild.lock")).unwrap();
    let mirror = "http://127.0.0.1:9/debian";
    let (code, stderr) = place.build(&["--mirror", mirror, "--cache", "cache"]);
    assert_eq!(code, 1, "{stderr}");
    assert!(
        stderr.starts_with(&format!("error: downloading `{mirror}/dists/trixie/InRelease`\n")),
        "{stderr}"
    );
    assert!(!place.path("imgbuild.lock").exists() && !place.path("out").exists());
}

#[test]
fn a_unit_that_no_package_has_is_the_users_input() {
    let place = Place::new();
    fs::create_dir(place.path("profiles")).unwrap();
    place.write(
        "profiles/mine.toml",
        "version = 1\ndescription = \"mine\"\ninherits = \"cloud\"\n[units]\nenable = [\"no.service\"]\n",
    );
    let (code, stderr) = place.run(&["--quiet", "build", "mine", "-o", "out", "--without-artifacts"]);
    assert_eq!(code, 2, "{stderr}");
    assert_eq!(
        stderr,
        "error: setting up the root\ncaused by: units cannot be enabled\n\
         caused by: unit `no.service` is enabled by the profile, but not in the root\n"
    );
    assert_eq!(place.made(), ["profiles", "profiles/mine.toml"]);
}

#[test]
fn a_file_of_the_profile_where_a_folder_is_is_the_users_input() {
    let place = Place::new();
    fs::create_dir(place.path("profiles")).unwrap();
    place.write(
        "profiles/mine.toml",
        "version = 1\ndescription = \"mine\"\ninherits = \"cloud\"\n[[file]]\npath = \"usr\"\ntext = \"x\"\n",
    );
    let (code, stderr) = place.run(&["--quiet", "build", "mine", "-o", "out", "--without-artifacts"]);
    assert_eq!(code, 2, "{stderr}");
    assert_eq!(
        stderr,
        "error: `usr` is a folder in the image, which no file can replace\n \
         --> profiles/mine.toml:5:8\n  |\n5 | path = \"usr\"\n  |        ^^^^^\n  \
         = help: give the path of a file in it: `usr/NAME`\n"
    );
    assert_eq!(place.made(), ["profiles", "profiles/mine.toml"]);
}

#[test]
fn a_slot_that_the_bundle_fills_is_the_users_input() {
    let place = Place::new();
    fs::create_dir(place.path("images")).unwrap();
    place.write(
        "images/small.toml",
        "version = 1\ndescription = \"small\"\nlayout = 1\nstate-minimum = \"1 GiB\"\n\
         [[partition]]\nrole = \"esp\"\nsize = \"64 MiB\"\n\
         [[partition]]\nrole = \"root-a\"\nsize = \"16 MiB\"\n\
         [[partition]]\nrole = \"root-a-verity\"\nsize = \"1 MiB\"\n",
    );
    let (code, stderr) = place.build(&["--image", "small"]);
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.ends_with(", which is more than 80 % of its slot of 16 MiB\n"), "{stderr}");
    assert_eq!(place.made(), ["images", "images/small.toml"]);
}

#[test]
fn a_lock_whose_inputs_did_not_change_composes_nothing() {
    let place = Place::new();
    let cluster = place.read("cluster.toml");
    let edge = cluster.find("[[node]]\nname = \"edge").expect("the second node is an edge");
    place.write("cluster.toml", &cluster[..edge]);
    let composed = |place: &Place| {
        let (code, stderr) = place.run(&["--verbose", "lock"]);
        assert_eq!(code, 0, "{stderr}");
        stderr.contains("setting up the root")
    };
    let review = |place: &Place, note: &str| {
        // The cache outlives this test: a name that no run had makes inputs that are new for sure.
        let note = format!("{note} of {}", place.path("").display());
        place.write("reviewed.toml", &format!("[[package]]\nname = \"nothing\"\nnote = \"{note}\"\n"));
    };
    review(&place, "one form");
    assert_eq!((composed(&place), composed(&place)), (true, false));
    review(&place, "another form");
    assert!(composed(&place), "other reviews may bring other users");
    assert_eq!(place.read("imgbuild.lock"), GOOD.lock);
}
