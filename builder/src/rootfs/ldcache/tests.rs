use std::path::Path;

use super::*;
use crate::rootfs::sample::Elf;

/// A tree with every case that `ldconfig` treats in its own way.
fn tree() -> Tree {
    let mut tree = Tree::default();
    let mut library = |path: &str, soname: Option<&str>| {
        let elf = Elf { soname, needed: &["libc.so.6"], ..Elf::default() };
        tree.write(path, Metadata::FILE, elf.build()).unwrap();
    };
    for (path, soname) in [
        ("usr/lib/x86_64-linux-gnu/libten.so.10", Some("libten.so.10")),
        ("usr/lib/x86_64-linux-gnu/libten.so.9", Some("libten.so.9")),
        ("usr/lib/x86_64-linux-gnu/libx.so.1.2.10", Some("libx.so.1")),
        ("usr/lib/x86_64-linux-gnu/libx.so.1.2.9", Some("libx.so.1")),
        ("usr/lib/x86_64-linux-gnu/libkey1.so.1", Some("libkey1.so.1")),
        ("usr/lib/x86_64-linux-gnu/libkeyutils.so.1", Some("libkeyutils.so.1")),
        ("usr/lib/x86_64-linux-gnu/libkey.so.1", Some("libkey.so.1")),
        ("usr/lib/x86_64-linux-gnu/libnone.so.3", None),
        ("usr/lib/x86_64-linux-gnu/plugin.so", Some("plugin.so")),
        ("usr/lib/x86_64-linux-gnu/deeper/libdeep.so.1", Some("libdeep.so.1")),
        ("usr/local/lib/libx.so.1", Some("libx.so.1")),
        ("opt/lib/libopt+-_.so.1", Some("libopt+-_.so.1")),
    ] {
        library(path, soname);
    }
    tree.symlink("usr/lib/x86_64-linux-gnu/libx.so.1", "libx.so.1.2.10").unwrap();
    tree.symlink("usr/lib/x86_64-linux-gnu/libx.so", "libx.so.1").unwrap();
    tree.symlink("usr/lib/x86_64-linux-gnu/libother.so.2", "libten.so.9").unwrap();
    tree.symlink("usr/lib/x86_64-linux-gnu/libgone.so.1", "nowhere").unwrap();
    tree.symlink("lib", "usr/lib").unwrap();
    let foreign = Elf { soname: Some("libarm.so.1"), machine: Some(183), ..Elf::default() };
    tree.write("usr/lib/x86_64-linux-gnu/libarm.so.1", Metadata::FILE, foreign.build()).unwrap();
    tree.write("usr/lib/x86_64-linux-gnu/libtext.so", Metadata::FILE, &b"INPUT(libx.so.1)"[..]).unwrap();
    tree.write("etc/ld.so.conf", Metadata::FILE, &b"include /etc/ld.so.conf.d/*.conf\n"[..]).unwrap();
    let configured = "/usr/local/lib\n/lib/x86_64-linux-gnu\n/opt/lib\n";
    tree.write("etc/ld.so.conf.d/a.conf", Metadata::FILE, configured.as_bytes()).unwrap();
    tree
}

/// Lines of `ldconfig -p`, without the head that names the file and the foot that names the generator.
fn listed(arguments: &[&str], file: &Path) -> Vec<String> {
    #[expect(clippy::disallowed_types, reason = "the oracle of a test, not a step of a build")]
    let output = std::process::Command::new("/sbin/ldconfig")
        .args(arguments)
        .arg(file)
        .env("LC_ALL", "C")
        .output()
        .expect("ldconfig is part of libc-bin, which every Debian system has");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter(|line| line.starts_with('\t')).map(str::to_owned).collect()
}

/// Only libraries and links matter to `ldconfig`: no owners, so no root.
fn extract(tree: &Tree, folder: &Path) {
    for (path, entry) in tree.iter() {
        let path = folder.join(path);
        match &entry.kind {
            Kind::Directory => std::fs::create_dir_all(path).unwrap(),
            Kind::File(content) => std::fs::write(path, content).unwrap(),
            Kind::Symlink(target) => std::os::unix::fs::symlink(target, path).unwrap(),
        }
    }
}

#[test]
fn lists_what_ldconfig_would_list_in_its_order() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    extract(&tree(), &root);
    listed(&["-X", "-r"], &root);
    let theirs = listed(&["-p", "-C"], &root.join(PATH));

    let mut ours = tree();
    install(&mut ours, Arch::Amd64).unwrap();
    let cache = folder.path().join("cache");
    std::fs::write(&cache, ours.file(PATH).unwrap()).unwrap();
    assert_eq!(listed(&["-p", "-C"], &cache), theirs);
    assert!(theirs.len() > 5, "the oracle saw the libraries: {theirs:?}");
}

#[test]
fn names_the_architecture_of_every_entry() {
    let libraries = [Library { soname: "libx.so.1".to_owned(), path: "/lib/libx.so.1".to_owned() }];
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    for (arch, shown) in [(Arch::Amd64, "x86-64"), (Arch::Arm64, "AArch64")] {
        std::fs::write(&cache, encode(&libraries, arch)).unwrap();
        let expected = format!("\tlibx.so.1 (libc6,{shown}) => /lib/libx.so.1");
        assert_eq!(listed(&["-p", "-C"], &cache), [expected], "{arch}");
    }
}

#[test]
fn orders_digits_as_numbers() {
    for (one, other, order) in [
        ("libx.so.9", "libx.so.10", Ordering::Less),
        ("libx.so.1", "libx.so", Ordering::Greater),
        ("lib2", "libx", Ordering::Greater),
        ("libx.so.007", "libx.so.7", Ordering::Equal),
        ("libx.so.99999999999999999999999", "libx.so.100000000000000000000000", Ordering::Less),
    ] {
        assert_eq!(compare(one, other), order, "{one} {other}");
        assert_eq!(compare(other, one), order.reverse(), "{other} {one}");
    }
}
