//! `imgbuild deployment render`, and what `check` says of a file that asks for more than this release does.

use super::program::{Place, SMALL};

const FILE: &str = "deployment/cluster-values.yaml";

#[test]
fn writes_the_rendered_file_once() {
    let place = Place::with(SMALL);
    let (code, stdout, stderr) = place.output(&["deployment", "render"], &place.path());
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (0, "", "wrote deployment/cluster-values.yaml\n"));
    let text = place.read(FILE);
    assert!(text.starts_with("# Made by `imgbuild deployment render`"), "{text}");
    assert!(text.contains("\n  apiServer: \"api.lab.internal\"\n"), "{text}");
    let (code, _, stderr) = place.output(&["deployment", "render"], &place.path());
    assert_eq!((code, stderr.as_str()), (0, "deployment/cluster-values.yaml is current\n"));
    assert_eq!(place.output(&["deployment", "render", "--check"], &place.path()).0, 0);
}

#[test]
fn shows_what_has_drifted_and_changes_nothing() {
    let place = Place::with(SMALL);
    place.output(&["deployment", "render"], &place.path());
    let before = place.read(FILE);
    place.write("cluster.toml", SMALL.replace("name = \"lab\"", "name = \"port\""));
    let (code, stdout, stderr) = place.output(&["deployment", "render", "--check"], &place.path());
    assert_eq!(code, 1);
    let shown = "\n-  apiServer: \"api.lab.internal\"\n+  apiServer: \"api.port.internal\"\n";
    assert!(stdout.contains(shown), "{stdout}");
    let fault = "error: `deployment/cluster-values.yaml` is not what the cluster file says\n";
    assert!(stderr.starts_with(fault), "{stderr}");
    assert_eq!(place.read(FILE), before);
}

#[test]
fn a_file_that_was_never_rendered_has_drifted() {
    let place = Place::with(SMALL);
    assert_eq!(place.output(&["deployment", "render", "--check", "-q"], &place.path()).0, 1);
    assert_eq!(place.names(), ["cluster.toml"]);
}

#[test]
fn renders_into_the_folder_that_argocd_syncs() {
    let gitops = "\n[gitops]\nrepository = \"https://git.example.org/lab.git\"\npath = \"a/b\"\n";
    let place = Place::with(&format!("{SMALL}{gitops}"));
    assert_eq!(place.output(&["deployment", "render"], &place.path()).0, 0);
    assert!(place.read("a/b/cluster-values.yaml").contains("\n  path: \"a/b\"\n"));
}

#[test]
fn check_says_what_is_not_there_yet() {
    let more = [
        "name = \"w1\"\nrole = \"worker\"",
        "name = \"w2\"\nrole = \"worker\"\nendpoint = \"w2.example.org\"",
        "name = \"cp2\"\nrole = \"control-plane\"",
        "name = \"cp3\"\nrole = \"control-plane\"",
    ];
    let more = more.map(|node| format!("\n[[node]]\n{node}\n")).concat();
    let text = format!("{SMALL}{more}").replace("[k3s]", "[network]\nvpn = \"headscale\"\n\n[k3s]");
    let place = Place::with(&text);
    let (code, stdout, stderr) = place.output(&["check"], &place.path());
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("cluster `lab`, 6 nodes"), "{stdout}");
    assert!(stderr.contains("warning: 3 control planes are not there yet"), "{stderr}");
    assert!(stderr.contains("warning: worker `w1` has no `endpoint`"), "{stderr}");
    assert!(!stderr.contains("`w2`"), "{stderr}");
    assert!(stderr.contains("warning: `vpn = \"headscale\"` is not there yet"), "{stderr}");
}
