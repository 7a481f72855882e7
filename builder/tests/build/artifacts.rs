use std::fs;

use imgbuild::bundle::manifest::{Artifact, Manifest};
use imgbuild::units::{Arch, Bytes, Sha256};

use super::place::{GOOD, Place, cache};
use super::stand_in;

/// The digest by which k3s for amd64 is pinned.
const PIN: &str = "835873f37245fc615f547a2fe2af9402a347875f13fa64a1f136de644955ea3f";
const BUILD: [&str; 5] = ["--quiet", "build", "cloud", "-o", "out"];

/// A place with a stand-in for k3s, as `k3s-stand-in`.
fn place() -> (Place, Vec<u8>) {
    let place = Place::new();
    let stand_in = stand_in::k3s_release(Arch::Amd64);
    fs::write(place.path("k3s-stand-in"), &stand_in).unwrap();
    (place, stand_in)
}

/// Declares k3s with the digest of `content`.
fn declare(place: &Place, version: &str, content: &[u8]) {
    fs::create_dir_all(place.path("profiles")).unwrap();
    let text = format!(
        "version = 1\n[[artifact]]\nname = \"k3s\"\nversion = \"{version}\"\nunpack = \"k3s\"\nto = \"usr/lib/k3s\"\n\
         [artifact.amd64]\nurl = \"http://127.0.0.1:9/k3s\"\nsha256 = \"{}\"\nevidence = \"a stand-in\"\n",
        Sha256::of(content)
    );
    place.write("profiles/artifacts.toml", &text);
}

#[test]
fn an_artifact_that_cannot_be_had_is_named_with_what_to_do() {
    let (place, _) = place();
    let (code, stderr) = place.run(&[&BUILD[..], &["--offline", "--artifact", "k3s=k3s-stand-in"]].concat());
    assert_eq!(code, 1, "{stderr}");
    let shown = stderr.replace(cache().to_str().unwrap(), "[cache]");
    insta::assert_snapshot!(shown, @r"
    error: 4 artifacts are not in the cache
      argocd v3.5.1
        https://raw.githubusercontent.com/argoproj/argo-cd/v3.5.1/manifests/install.yaml
        sha256 795a3a972224da6a7f9d32c3e946445f062b60fb46028476715affeb688236e3
      headscale 0.29.4
        https://github.com/juanfont/headscale/releases/download/v0.29.4/headscale_0.29.4_linux_amd64
        sha256 212ed0a884c0d3541e094c4bebbe94397df6f4e01bd3d7f059c520cb55e0d757
      k3s-images v1.36.4+k3s1
        https://github.com/k3s-io/k3s/releases/download/v1.36.4%2Bk3s1/k3s-airgap-images-amd64.tar.zst
        sha256 9024613e2d468c51ba0e5ba21898604c41339354449fb3338cc6a7931189eb6a
      tailscale 1.102.4
        https://pkgs.tailscale.com/stable/tailscale_1.102.4_amd64.tgz
        sha256 50748df1045e60b5b695f19f4c56b0da36c019948b440fb456b6584a50f0d8b9
    caused by: offline, and the cache lacks argocd v3.5.1, headscale 0.29.4, k3s-images v1.36.4+k3s1, tailscale 1.102.4

    hint: leave `--offline` out to download it
    hint: `--without-artifacts` builds an image without those that are not given
    hint: `--artifact argocd=FILE` takes `argocd` from a file, as does a file `[cache]/sha256/79/795a3a972224da6a7f9d32c3e946445f062b60fb46028476715affeb688236e3`; so with the others
    ");
    assert!(!place.path("out").exists());
}

#[test]
fn a_file_that_is_not_the_pinned_one_is_taken_and_marked() {
    let (place, stand_in) = place();
    assert_eq!(place.build(&["--artifact", "k3s=k3s-stand-in"]), (0, String::new()));
    let manifest = Manifest::load(&place.path("out")).unwrap();
    let expected = Artifact {
        name: "k3s".to_owned(),
        version: None,
        sha256: Sha256::of(&stand_in),
        size: Bytes::of(&stand_in),
        pinned: false,
        places: vec!["usr/lib/k3s".to_owned()],
    };
    assert_eq!(manifest.artifacts, [expected]);
    assert_eq!(manifest.unpinned, ["k3s"]);
    assert_eq!(manifest.absent, ["argocd", "headscale", "k3s-images", "tailscale"]);
    // Another file is another image.
    assert_ne!(place.read("out/manifest.json"), GOOD.manifest);
    let built = place.read("out/build.json");
    assert_eq!(place.build(&["--artifact", "k3s=k3s-stand-in"]), (0, String::new()));
    assert_eq!(place.read("out/build.json"), built, "built again without need");
    assert_eq!(place.build(&[]), (0, String::new()));
    assert_eq!(place.read("out/manifest.json"), GOOD.manifest);
}

#[test]
fn the_pinned_file_given_by_hand_is_pinned_and_one_version_has_one_content() {
    let (place, stand_in) = place();
    let given = ["--locked", "--artifact", "k3s=k3s-stand-in"];
    declare(&place, "v1.36.4+k3s1", &stand_in);
    let (code, stderr) = place.build(&given);
    let digest = Sha256::of(&stand_in);
    assert_eq!(code, 2, "{stderr}");
    assert_eq!(
        stderr,
        format!(
            "error: artifacts have other contents under the same version\n  \
             k3s v1.36.4+k3s1: locked {PIN}, declared {digest}\n"
        )
    );
    place.write("imgbuild.lock", &GOOD.lock.replace(PIN, &digest.to_string()));
    assert_eq!(place.build(&given), (0, String::new()));
    let manifest = Manifest::load(&place.path("out")).unwrap();
    let k3s = manifest.artifacts.first().unwrap();
    assert_eq!((k3s.version.as_deref(), k3s.pinned), (Some("v1.36.4+k3s1"), true));
    assert_eq!(manifest.unpinned, Vec::<String>::new());

    // The lock decides, and nodes are told the cluster's version.
    declare(&place, "v1.37.0+k3s1", b"another");
    assert_eq!(place.build(&given), (0, String::new()));
    let cluster = place.read("cluster.toml").replace("v1.36.4+k3s1", "v1.37.0+k3s1");
    place.write("cluster.toml", &cluster);
    // Also where the folder is as it would be built.
    let (code, stderr) =
        place.run(&["build", "cloud", "-o", "out", "--without-artifacts", given[1], given[2]]);
    assert_eq!(code, 2, "{stderr}");
    let note = "artifact `k3s` stays at v1.36.4+k3s1 as locked, though v1.37.0+k3s1 is declared: \
                `imgbuild lock --update k3s` takes it\n";
    assert!(stderr.contains(note), "{stderr}");
    let fault = "error: `cluster.toml` wants k3s v1.37.0+k3s1, artifact `k3s` is v1.36.4+k3s1\n";
    assert!(stderr.contains(fault), "{stderr}");
}

#[test]
fn wrong_artifacts_are_the_users_input() {
    let (place, _) = place();
    place.write("script", "#!/bin/sh\n");
    fs::write(place.path("for-arm64"), stand_in::k3s_release(Arch::Arm64)).unwrap();
    for (arguments, code, said) in [
        (
            ["k3ss=k3s-stand-in"].as_slice(),
            2,
            "error: profile `cloud` has no artifact `k3ss`\n\nhint: did you mean `k3s`?\n",
        ),
        (
            &["firefox=k3s-stand-in"],
            2,
            "error: profile `cloud` has no artifact `firefox`\n\n\
             hint: its artifacts are `argocd`, `headscale`, `k3s`, `k3s-images`, `tailscale`\n",
        ),
        (
            &["k3s=nowhere"],
            2,
            "error: reading artifact `k3s` from `nowhere`\ncaused by: No such file or directory (os error 2)\n",
        ),
        (
            &["k3s=/dev/zero"],
            2,
            "error: reading artifact `k3s` from `/dev/zero`\ncaused by: it is no regular file\n",
        ),
        (&["k3s=k3s-stand-in", "k3s=script"], 2, "error: `--artifact` gives `k3s` twice\n"),
        (
            &["k3s=script"],
            2,
            "error: putting artifact `k3s` into the root\n\
             caused by: `script` is no artifact `k3s`, which is k3s' release for Linux: an ELF program with an \
             archive inside\n\
             caused by: no k3s release: it is no 64-bit ELF file\n",
        ),
        (
            &["k3s-images=script"],
            2,
            "error: putting artifact `k3s-images` into the root\n\
             caused by: `script` is no artifact `k3s-images`, which is a file compressed by zstd\n\
             caused by: it does not begin like a file compressed by zstd\n",
        ),
        (
            &["tailscale=script"],
            2,
            "error: putting artifact `tailscale` into the root\n\
             caused by: `script` is no artifact `tailscale`, which is a tar archive, compressed by gzip, with \
             `*/tailscale`, `*/tailscaled`\n\
             caused by: decompressing the archive\n\
             caused by: damaged after 0 decompressed bytes\n\
             caused by: invalid gzip header\n",
        ),
        (
            &["headscale=for-arm64"],
            2,
            "error: looking for the libraries of every program\n\
             caused by: `for-arm64`, given as artifact `headscale`, has programs that do not run in the image\n\
             caused by: `usr/bin/headscale` is for ELF machine 183, the image for amd64\n",
        ),
    ] {
        let given: Vec<&str> = arguments.iter().flat_map(|given| ["--artifact", given]).collect();
        assert_eq!(place.build(&given), (code, said.to_owned()), "{arguments:?}");
    }
    let (code, stderr) = place.build(&["--artifact", "k3s"]);
    let said = "error: invalid value 'k3s' for '--artifact <NAME=FILE>': it has the form NAME=FILE\n";
    assert!(code == 2 && stderr.starts_with(said), "{stderr}");
    assert!(!place.path("out").exists());
}
