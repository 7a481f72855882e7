use std::fs;

use super::*;
use crate::converge::Mode;

const OLD: &str = "0000000000000000000000000000000000000000000000000000000000000000";
const NEW: &str = "1111111111111111111111111111111111111111111111111111111111111111";

/// A node whose root has this release, with k3s' layout of plug-ins.
fn node(digest: &str) -> (tempfile::TempDir, System) {
    let folder = tempfile::tempdir().unwrap();
    let system = System::new(folder.path(), Mode::Apply);
    install(&system, digest);
    (folder, system)
}

fn install(system: &System, digest: &str) {
    let bin = format!("{RELEASE}/data/{digest}/bin");
    system.ensure_file(&format!("{bin}/k3s"), b"k3s", 0o755).unwrap();
    system.ensure_file(&format!("{bin}/cni"), b"cni", 0o755).unwrap();
    for (name, to) in [("bridge", "cni"), ("host-local", "cni"), ("kubectl", "k3s")] {
        system.ensure_symlink(&format!("{bin}/{name}"), to).unwrap();
    }
    system.ensure_file(&format!("{RELEASE}/images/airgap-{}.tar.zst", &digest[..16]), b"zst", 0o644).unwrap();
}

/// Another root in the slot, with the same state.
fn replace_root(system: &System, digest: &str) {
    fs::remove_dir_all(system.path(RELEASE)).unwrap();
    install(system, digest);
}

/// Links below k3s' data directory, with their targets.
fn links(system: &System) -> Vec<String> {
    let mut links = Vec::new();
    for folder in ["data", "data/cni", "agent/images"] {
        for name in names(system, &format!("{DATA}/{folder}")).unwrap() {
            if let Some(target) = target(system, &format!("{DATA}/{folder}/{name}")) {
                links.push(format!("{folder}/{name} -> {target}"));
            }
        }
    }
    links
}

#[test]
fn k3s_finds_all_that_it_would_have_unpacked() {
    let (_folder, system) = node(NEW);
    assert_eq!(prepare(&system).unwrap(), Outcome::Changed);
    let data = format!("{DATA}/data/{NEW}");
    assert_eq!(
        links(&system),
        [
            format!("data/{NEW} -> {RELEASE}/data/{NEW}"),
            format!("data/current -> {data}"),
            format!("data/cni/bridge -> {data}/bin/cni"),
            format!("data/cni/cni -> {data}/bin/cni"),
            format!("data/cni/host-local -> {data}/bin/cni"),
            format!(
                "agent/images/airgap-1111111111111111.tar.zst -> {RELEASE}/images/airgap-1111111111111111.tar.zst"
            ),
        ]
    );
    assert_eq!(system.read(&format!("{DATA}/agent/images/.cache.json")).unwrap().unwrap(), b"{}");
    // Every start begins so, and there is nothing to do.
    fs::create_dir_all(system.path(&format!("{DATA}/agent/containerd"))).unwrap();
    assert_eq!(prepare(&system).unwrap(), Outcome::Unchanged);
}

#[test]
fn no_link_of_another_root_is_left_and_nothing_of_others_is_touched() {
    let (_folder, system) = node(OLD);
    prepare(&system).unwrap();
    let others = [
        format!("{DATA}/data/cni/calico"),
        format!("{DATA}/data/cni/bridge"),
        format!("{DATA}/agent/images/mine.tar"),
    ];
    system.ensure_absent(&others[1]).unwrap();
    for path in &others {
        system.ensure_file(path, b"mine", 0o755).unwrap();
    }
    system.ensure_symlink(&format!("{DATA}/data/cni/tuning"), "/opt/cni/bin/tuning").unwrap();
    replace_root(&system, NEW);
    assert_eq!(prepare(&system).unwrap(), Outcome::Changed);
    let links = links(&system);
    assert!(links.iter().all(|link| !link.contains(OLD) && !link.contains("0000000000000000")), "{links:?}");
    assert!(links.contains(&"data/cni/tuning -> /opt/cni/bin/tuning".to_owned()), "{links:?}");
    for path in &others {
        assert_eq!(system.read(path).unwrap().as_deref(), Some(&b"mine"[..]), "{path}");
    }
}

#[test]
fn what_was_imported_is_forgotten_together_with_the_store() {
    let (_folder, system) = node(NEW);
    let (cache, store) = (format!("{DATA}/agent/images/.cache.json"), format!("{DATA}/agent/containerd"));
    let imported = br#"{"a.tar":{"size":1}}"#;
    prepare(&system).unwrap();
    fs::create_dir_all(system.path(&store)).unwrap();
    system.ensure_file(&cache, imported, 0o600).unwrap();
    assert_eq!(prepare(&system).unwrap(), Outcome::Unchanged);
    assert_eq!(system.read(&cache).unwrap().unwrap(), imported);
    fs::remove_dir_all(system.path(&store)).unwrap();
    assert_eq!(prepare(&system).unwrap(), Outcome::Changed);
    assert_eq!(system.read(&cache).unwrap().unwrap(), b"{}");
}

#[test]
fn the_node_password_survives_boots() {
    let (_folder, system) = node(NEW);
    prepare(&system).unwrap();
    assert_eq!(system.read("/etc/rancher/node/password").unwrap(), None);
    system.ensure_file(password::KEPT, b"secret\n", 0o600).unwrap();
    prepare(&system).unwrap();
    assert_eq!(system.read("/etc/rancher/node/password").unwrap().unwrap(), b"secret\n");
}

#[test]
fn an_image_without_k3s_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let system = System::new(folder.path(), Mode::Apply);
    assert_eq!(prepare(&system).unwrap_err().to_string(), "the image has no k3s in `/usr/lib/k3s/data`");
    for digest in [OLD, NEW] {
        install(&system, digest);
    }
    let expected = "the image has 2 releases of k3s in `/usr/lib/k3s/data`, expected one";
    assert_eq!(prepare(&system).unwrap_err().to_string(), expected);
}

#[test]
fn a_dry_run_prepares_nothing() {
    let (folder, system) = node(NEW);
    let dry_run = System::new(folder.path(), Mode::DryRun);
    assert_eq!(prepare(&dry_run).unwrap(), Outcome::Changed);
    assert_eq!(names(&system, DATA).unwrap(), Vec::<String>::new());
}

#[test]
fn each_role_has_its_unit_and_none_starts_by_itself() {
    for (mode, name) in [(RunMode::Server, "k3s.service"), (RunMode::Agent, "k3s-agent.service")] {
        assert_eq!(mode.unit_name(), name);
        let unit = mode.unit();
        assert!(unit.contains("\nType=notify\n"), "{unit}");
        assert!(unit.contains(&format!("\nExecStart=/usr/bin/firstboot k3s {}\n", mode.name())), "{unit}");
        assert!(!unit.contains("[Install]") && !unit.contains('@'), "{unit}");
    }
}
