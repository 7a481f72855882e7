//! `docs/reference/` says what the program does: each page is made anew from the code and compared.
//!
//! `UPDATE_REFERENCE=1 cargo test --release -p imgbuild --test reference` writes the pages.

use std::fs;
use std::path::{Path, PathBuf};

use super::{command_line, schema, source};

/// Set, it makes the test write the pages instead of comparing them.
const UPDATE: &str = "UPDATE_REFERENCE";

fn place(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn compare(name: &str, text: &str) {
    let path = place("docs/reference").join(name);
    if std::env::var_os(UPDATE).is_some() {
        fs::write(&path, text).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    let differs = found.lines().zip(text.lines()).find(|(found, made)| found != made);
    assert!(
        found == text,
        "docs/reference/{name} is not current (first difference: {differs:?}); {UPDATE}=1 writes it"
    );
}

#[test]
fn the_command_line_is_current() {
    compare("command-line.md", &command_line::page());
}

#[test]
fn the_environment_is_current() {
    let text = fs::read_to_string(place("builder/src/environment.rs")).unwrap();
    compare("environment.md", &source::environment(&text));
}

#[test]
fn the_cluster_file_is_current() {
    compare("cluster-file.md", &schema::page(&imgbuild::cluster::schema().to_value()));
}

#[test]
fn the_build_folder_is_current() {
    let read = |path: &str| fs::read_to_string(place(path)).unwrap();
    let manifest = read("builder/src/bundle/manifest.rs");
    let programs = read("builder/src/bundle/programs.rs");
    let facts = read("builder/src/command/build/cached.rs");
    let timings = read("builder/src/command/build/timings.rs");
    compare("build-folder.md", &source::build_folder(&manifest, &programs, &facts, &timings));
}
