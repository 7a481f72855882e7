//! Wrong settings files, each named by its fault, with what the program says to it.
//!
//! A file `faults/<kind>/<fault>.toml` has its rendered error beside it as `<fault>.snap`.

use std::fs;
use std::path::{Path, PathBuf};

use super::program::{Place, SMALL};

fn folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults").join(kind)
}

/// Runs `show` on every file and compares its text; returns how many there were.
fn compare_all(kind: &str, show: impl Fn(&Path) -> String) -> usize {
    let folder = folder(kind);
    let mut paths: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    paths.sort();
    for path in &paths {
        let name = path.file_stem().unwrap().to_str().unwrap();
        insta::with_settings!({
            snapshot_path => folder.clone(),
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, {
            insta::assert_snapshot!(name, show(path));
        });
    }
    paths.len()
}

#[test]
fn shows_every_fault_of_a_cluster_file() {
    let count = compare_all("cluster", |path| {
        let place = Place::new();
        fs::copy(path, place.path().join("cluster.toml")).unwrap();
        let shown = place.run(&["check"]);
        assert!(shown.starts_with("exit code 2\n"), "{}: {shown}", path.display());
        shown
    });
    assert!(count >= 30, "{count} wrong cluster files");
}

/// The last node of the small cluster uses the faulty settings.
fn show_settings(kind: &str, path: &Path) -> String {
    let place = Place::with(&format!("{SMALL}{kind} = \"mine\"\n"));
    place.write(&format!("{kind}s/mine.toml"), fs::read(path).unwrap());
    let shown = place.run(&["check"]);
    assert!(shown.starts_with("exit code 2\n"), "{}: {shown}", path.display());
    shown
}

#[test]
fn shows_every_fault_of_a_profile() {
    assert!(compare_all("profile", |path| show_settings("profile", path)) >= 8);
}

#[test]
fn shows_every_fault_of_artifacts() {
    let count = compare_all("artifacts", |path| {
        let place = Place::with(SMALL);
        place.write("profiles/artifacts.toml", fs::read(path).unwrap());
        let shown = place.run(&["check"]);
        assert!(shown.starts_with("exit code 2\n"), "{}: {shown}", path.display());
        shown
    });
    assert!(count >= 3, "{count} wrong files");
}

#[test]
fn shows_every_fault_of_an_image() {
    assert!(compare_all("image", |path| show_settings("image", path)) >= 8);
}

#[test]
fn shows_every_fault_of_the_reviews() {
    let count = compare_all("reviewed", |path| {
        let place = Place::with(SMALL);
        place.write("reviewed.toml", fs::read(path).unwrap());
        let shown = place.run(&["check"]);
        assert!(shown.starts_with("exit code 2\n"), "{}: {shown}", path.display());
        shown
    });
    assert!(count >= 5, "{count} wrong tables");
}
