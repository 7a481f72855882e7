use std::io::Cursor;

use super::*;
use crate::profile::Exclusion;
use crate::rootfs::sample::{Item, deb};
use crate::tree::Metadata;

fn read(name: &str, data: &[Item]) -> Deb {
    Deb::parse(Cursor::new(deb(name, data)), &|_| true).unwrap()
}

fn merge(mut debs: Vec<Deb>) -> Result<Tree, UnpackError> {
    unpack(&mut debs, &Exclusions::default()).map(|(tree, _)| tree)
}

fn conflict(path: &str) -> Result<Tree, UnpackError> {
    Err(UnpackError::Conflict { path: path.to_owned(), first: "one".to_owned(), second: "two".to_owned() })
}

#[test]
fn merges_directories_with_the_metadata_of_the_first_by_name() {
    let one = [Item::directory("./srv/").mode(0o700), Item::file("./srv/one", b"1")];
    let two = [Item::directory("./srv/").mode(0o755), Item::file("./srv/two", b"2")];
    let tree = merge(vec![read("two", &two), read("one", &one)]).unwrap();
    assert_eq!(tree, merge(vec![read("one", &one), read("two", &two)]).unwrap());
    assert_eq!(tree.get("srv").map(|entry| entry.metadata), Some(Metadata::root(0o700)));
    assert_eq!(tree.iter().map(|(path, _)| path).collect::<Vec<_>>(), ["srv", "srv/one", "srv/two"]);
}

#[test]
fn an_implied_directory_takes_the_metadata_of_who_ships_it() {
    let one = [Item::file("./srv/one", b"1")];
    let two = [Item::directory("./srv/").mode(0o1777)];
    let tree = merge(vec![read("one", &one), read("two", &two)]).unwrap();
    assert_eq!(tree.get("srv").map(|entry| entry.metadata), Some(Metadata::root(0o1777)));
}

#[test]
fn names_both_packages_of_a_conflict() {
    let file = || vec![Item::file("./a", b"same")];
    let link = || vec![Item::symlink("./a", "b")];
    let directory = || vec![Item::directory("./a/")];
    let below = || vec![Item::file("./a/b", b"")];
    for (case, one, two, path) in [
        ("file and file", file(), file(), "a"),
        ("file and link", file(), link(), "a"),
        ("file and directory", file(), directory(), "a"),
        ("directory and link", directory(), link(), "a"),
        ("link and what lies below it", link(), below(), "a"),
        ("what lies below and link", below(), link(), "a/b"),
    ] {
        assert_eq!(merge(vec![read("two", &two), read("one", &one)]), conflict(path), "{case}");
    }
}

#[test]
fn refuses_a_package_twice() {
    let fault = merge(vec![read("one", &[]), read("one", &[])]).unwrap_err();
    assert_eq!(fault.to_string(), "package `one` is there twice, in versions 1.0 and 1.0");
}

#[test]
fn paths_below_an_aliased_directory_follow_the_link() {
    let base = [Item::symlink("./lib", "usr/lib"), Item::symlink("./sbin", "usr/sbin")];
    let old = [
        Item::directory("./lib/"),
        Item::file("./lib/x", b"1"),
        Item::directory("./libexec/"),
        Item::file("./bin/y", b"2"),
    ];
    let tree = merge(vec![read("a-old", &old), read("base", &base)]).unwrap();
    let paths: Vec<_> = tree.iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["bin", "bin/y", "lib", "libexec", "sbin", "usr", "usr/lib", "usr/lib/x"]);
    let aliased = merge(vec![
        read("base", &base),
        read("one", &[Item::file("./lib/x", b"")]),
        read("two", &[Item::file("./usr/lib/x", b"")]),
    ]);
    assert_eq!(aliased, conflict("usr/lib/x"));
}

#[test]
fn exclusions_count_for_where_an_aliased_path_really_lies() {
    let exclusion = Exclusion {
        paths: vec!["usr/lib/udev/hwdb.d/**".to_owned()],
        except: Vec::new(),
        reason: "the hardware database is not built".to_owned(),
    };
    let data = [
        Item::symlink("./lib", "usr/lib"),
        Item::file("./lib/udev/hwdb.d/x", b""),
        Item::file("./lib/udev/rules.d/x", b""),
    ];
    let (tree, files) = unpack(&mut [read("one", &data)], &Exclusions::new(&[exclusion]).unwrap()).unwrap();
    assert_eq!(files, [["lib", "usr/lib/udev/rules.d/x"]]);
    assert!(tree.get("usr/lib/udev/hwdb.d/x").is_none());
}

#[test]
fn keeps_excluded_directories_only_for_what_is_in_them() {
    let exclusions = Exclusions::new(&[Exclusion {
        paths: vec!["usr/share/doc/**".to_owned()],
        except: vec!["usr/share/doc/*/copyright".to_owned()],
        reason: "not read on a node".to_owned(),
    }])
    .unwrap();
    let data = [
        Item::directory("./usr/share/doc/").mode(0o751),
        Item::directory("./usr/share/doc/one/").mode(0o750),
        Item::file("./usr/share/doc/one/copyright", b"mine"),
        Item::directory("./usr/share/doc/two/"),
        Item::directory("./usr/share/doc/two/examples/"),
        Item::file("./usr/share/doc/two/examples/x", b""),
    ];
    let keep = |path: &str| !exclusions.excludes(path);
    let mut debs = vec![Deb::parse(Cursor::new(deb("one", &data)), &keep).unwrap()];
    let (tree, files) = unpack(&mut debs, &exclusions).unwrap();
    let paths: Vec<_> = tree.iter().map(|(path, _)| path).collect();
    assert_eq!(
        paths,
        ["usr", "usr/share", "usr/share/doc", "usr/share/doc/one", "usr/share/doc/one/copyright"]
    );
    assert_eq!(tree.get("usr/share/doc/one").map(|entry| entry.metadata), Some(Metadata::root(0o750)));
    assert_eq!(files, [["usr/share/doc/one/copyright"]]);
}
