//! `docs/reference/` says what the program does: each page is made anew from the code and compared.
//!
//! `UPDATE_REFERENCE=1 cargo test --release -p imgbuild --test reference` writes the pages.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use imgbuild::image::Image;
use imgbuild::profile::Profile;
use imgbuild::settings::Kind;
use imgbuild::units::Arch;

use super::schema::Page;
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
    compare("cluster-file.md", &schema::CLUSTER.text(&imgbuild::cluster::schema().to_value()));
}

#[test]
fn profiles_and_images_are_current() {
    compare("profile.md", &schema::PROFILE.text(&imgbuild::profile::schema().to_value()));
    compare("image.md", &schema::IMAGE.text(&imgbuild::image::schema().to_value()));
}

/// The example of a page, loaded as people's files are, with `change` made to its tables.
fn load(kind: Kind, page: &Page, change: impl Fn(&mut toml::Table)) -> Result<(), String> {
    let mut file: toml::Table = page.example.unwrap().parse().unwrap();
    change(&mut file);
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join(kind.folder())).unwrap();
    fs::write(folder.path().join(kind.folder()).join("mine.toml"), file.to_string()).unwrap();
    let loaded = match kind {
        Kind::Profile => Profile::load("mine", Arch::Amd64, folder.path()).map(drop),
        Kind::Image => Image::load("mine", folder.path()).map(drop),
    };
    loaded.map_err(|fault| fault.to_string())
}

/// The tables that a header stands for, as `a.b` does for `[a.b]`; none for the top level.
fn tables(header: &str) -> Vec<Vec<&str>> {
    if header == "Top level" {
        return vec![Vec::new()];
    }
    header.split(", ").map(|header| header.trim_matches(['[', ']']).split('.').collect()).collect()
}

fn table<'file>(file: &'file mut toml::Table, path: &[&str]) -> &'file mut toml::Table {
    path.iter().fold(file, |table, name| match table.get_mut(*name) {
        Some(toml::Value::Array(list)) => list[0].as_table_mut().unwrap(),
        Some(toml::Value::Table(table)) => table,
        other => panic!("the example has no table `{name}` but {other:?}"),
    })
}

#[test]
fn examples_have_every_key_that_schema_and_parser_know() {
    for (kind, page, schema) in [
        (Kind::Profile, schema::PROFILE, imgbuild::profile::schema()),
        (Kind::Image, schema::IMAGE, imgbuild::image::schema()),
    ] {
        let schema = schema.to_value();
        assert_eq!(load(kind, &page, |_| {}), Ok(()));
        for (header, pointer) in page.tables {
            let known: BTreeSet<String> =
                schema::keys(&schema, pointer).map(|(key, _)| key.clone()).collect();
            for path in tables(header) {
                let own: BTreeSet<String> = known
                    .iter()
                    .filter(|key| path.len() < 2 || !["amd64", "arm64"].contains(&key.as_str()))
                    .cloned()
                    .collect();
                let fault = load(kind, &page, |file| {
                    table(file, &path).insert("qqqqqqqqqqqqqqqqqqqqqqqq".to_owned(), 1.into());
                });
                let fault = fault.unwrap_err();
                let help =
                    fault.split("known keys are ").nth(1).unwrap_or_else(|| panic!("{header}: {fault}"));
                let of_parser: BTreeSet<String> = help
                    .lines()
                    .next()
                    .unwrap()
                    .split(", ")
                    .map(|key| key.trim_matches('`').to_owned())
                    .collect();
                assert_eq!(of_parser, own, "{path:?}");
            }
            let mut example: toml::Table = page.example.unwrap().parse().unwrap();
            let mut shown: BTreeSet<String> = BTreeSet::new();
            for path in tables(header) {
                shown.extend(table(&mut example, &path).keys().cloned());
                // Of `text` and `symlink` a file has one.
                if let (Some(toml::Value::Array(list)), 1) =
                    (example.get(path.first().copied().unwrap_or_default()), path.len())
                {
                    shown.extend(list.iter().flat_map(|item| item.as_table().unwrap().keys().cloned()));
                }
            }
            assert_eq!(shown, known, "{header}");
        }
    }
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
