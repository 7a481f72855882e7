//! The shipped profiles and images, resolved: what a change of a file changes.

use std::path::Path;

use imgbuild::image::Image;
use imgbuild::profile::Profile;
use imgbuild::settings::{self, Kind};
use imgbuild::units::{Arch, Sha256};

use super::program::{Place, SMALL};

/// A folder without settings of its own.
const NOWHERE: &str = "/nowhere";

#[test]
fn resolves_every_shipped_profile_for_every_architecture() {
    for name in settings::names(Kind::Profile, Path::new(NOWHERE)).unwrap() {
        for arch in [Arch::Amd64, Arch::Arm64] {
            let profile = Profile::load(&name, arch, Path::new(NOWHERE)).unwrap();
            insta::with_settings!({ snapshot_path => "../golden", prepend_module_to_snapshot => false }, {
                insta::assert_json_snapshot!(format!("profile-{name}-{arch}"), profile);
            });
        }
    }
}

#[test]
fn resolves_every_shipped_image() {
    for name in settings::names(Kind::Image, Path::new(NOWHERE)).unwrap() {
        let image = Image::load(&name, Path::new(NOWHERE)).unwrap();
        insta::with_settings!({ snapshot_path => "../golden", prepend_module_to_snapshot => false }, {
            insta::assert_json_snapshot!(format!("image-{name}"), image);
        });
    }
}

#[test]
fn says_of_each_shipped_dropped_package_why() {
    let profile = Profile::load("cloud", Arch::Amd64, Path::new(NOWHERE)).unwrap();
    for dropped in &profile.packages.drop {
        assert!(dropped.reason.len() > 10, "{dropped:?}");
        assert!(!profile.packages.install.contains(&dropped.name), "{dropped:?}");
    }
}

#[test]
fn takes_the_file_beside_the_cluster_file_first() {
    let place = Place::with(SMALL);
    place.write(
        "profiles/cloud.toml",
        "version = 1\ndescription = \"mine\"\n[kernel]\npackage = \"linux-mine\"\n",
    );
    let cloud = Profile::load("cloud", Arch::Amd64, &place.path()).unwrap();
    assert_eq!((cloud.description.as_str(), cloud.kernel.package.as_str()), ("mine", "linux-mine"));
    let edge = Profile::load("edge", Arch::Amd64, &place.path()).unwrap();
    assert_eq!(edge.kernel.package, "linux-image-amd64");
    assert_eq!(edge.packages.install, Vec::<String>::new(), "edge inherits the file beside");
}

#[test]
fn overlays_append_remove_and_replace() {
    let place = Place::with(SMALL);
    place.write(
        "profiles/mine.toml",
        r#"version = 1
description = "mine"
inherits = "cloud"
[packages]
install = ["tcpdump", "openssl"]
remove = ["less"]
[packages.amd64]
install = ["intel-microcode"]
[kernel]
command-line = ["quiet"]
[[file]]
path = "usr/lib/sysctl.d/60-kubernetes.conf"
symlink = "/dev/null"
[units]
mask = ["remote-fs.target"]
"#,
    );
    let load = |name, arch| Profile::load(name, arch, &place.path()).unwrap();
    let (base, mine) = (load("cloud", Arch::Amd64), load("mine", Arch::Amd64));
    let added: Vec<_> =
        mine.packages.install.iter().filter(|package| !base.packages.install.contains(package)).collect();
    assert_eq!(added, ["tcpdump", "openssl", "intel-microcode"]);
    assert!(!mine.packages.install.contains(&"less".to_owned()));
    assert!(!mine.packages.drop.iter().any(|dropped| dropped.name == "openssl"), "installed on purpose");
    assert_eq!(mine.kernel.package, "linux-image-cloud-amd64");
    assert_eq!(mine.kernel.command_line.last().map(String::as_str), Some("quiet"));
    assert_eq!(mine.files.len(), base.files.len());
    assert!(mine.units.mask.contains(&"remote-fs.target".to_owned()));
    assert!(!mine.units.enable.contains(&"remote-fs.target".to_owned()));
    let arm = load("mine", Arch::Arm64);
    assert!(!arm.packages.install.contains(&"intel-microcode".to_owned()));
}

#[test]
fn the_file_beside_the_cluster_file_adds_artifacts_and_replaces_single_ones() {
    let place = Place::with(SMALL);
    let source = |name: &str| {
        let digest = Sha256::of(name.as_bytes());
        format!(
            "[artifact.amd64]\nurl = \"https://example.org/{name}\"\nsha256 = \"{digest}\"\nevidence = \"mine\"\n"
        )
    };
    let artifact = |name: &str| {
        let place = format!("to = \"usr/bin/{name}\"");
        format!("[[artifact]]\nname = \"{name}\"\nversion = \"9\"\n{place}\n{}", source(name))
    };
    let text = format!("version = 1\n{}{}", artifact("headscale"), artifact("tool"));
    place.write("profiles/artifacts.toml", text);
    let mine = "version = 1\ndescription = \"mine\"\ninherits = \"cloud\"\n[artifacts]\n\
                install = [\"tool\"]\nremove = [\"argocd\"]\n";
    place.write("profiles/mine.toml", mine);
    let profile = Profile::load("mine", Arch::Amd64, &place.path()).unwrap();
    let versions: Vec<_> = profile
        .artifacts
        .iter()
        .map(|artifact| (artifact.name.as_str(), artifact.version.as_str()))
        .collect();
    let expected = [
        ("headscale", "9"),
        ("k3s", "v1.36.4+k3s1"),
        ("k3s-images", "v1.36.4+k3s1"),
        ("tailscale", "1.102.4"),
        ("tool", "9"),
    ];
    assert_eq!(versions, expected);
    let error = Profile::load("mine", Arch::Arm64, &place.path()).unwrap_err().into_faults().unwrap();
    let reasons: Vec<_> = error.records().iter().map(|fault| fault.reason.to_owned()).collect();
    assert_eq!(reasons, ["artifact `headscale` is not declared for arm64"]);
}

/// The cluster file that `init` makes wants the k3s that is pinned.
#[test]
fn a_new_cluster_wants_the_pinned_k3s() {
    let place = Place::new();
    place.run(&["init", "."]);
    let profile = Profile::load("cloud", Arch::Amd64, Path::new(NOWHERE)).unwrap();
    let k3s = profile.artifacts.iter().find(|artifact| artifact.name == "k3s").unwrap();
    assert!(place.read("cluster.toml").contains(&format!("version = \"{}\"", k3s.version)));
}

#[test]
fn shows_faults_of_both_files_of_an_overlay() {
    let place = Place::with(&format!("{SMALL}profile = \"mine\"\n"));
    place.write("profiles/base.toml", "version = 1\ndescription = \"\"\n[kernel]\npackage = \"linux\"\n");
    place.write(
        "profiles/mine.toml",
        "version = 1\ndescription = \"mine\"\ninherits = \"base\"\ndebgu = true\n",
    );
    insta::assert_snapshot!(place.run(&["check"]), @r#"
    exit code 2
    --- stderr
    error: the reason is empty
     --> profiles/base.toml:2:15
      |
    2 | description = ""
      |               ^^

    error: unknown key `debgu`
     --> profiles/mine.toml:4:1
      |
    4 | debgu = true
      | ^^^^^
      = help: did you mean `debug`?

    2 faults in `profiles/base.toml`, `profiles/mine.toml`
    "#);
}
