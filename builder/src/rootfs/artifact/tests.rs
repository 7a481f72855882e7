use std::error::Error;
use std::fmt::Write as _;

use super::*;
use crate::rootfs::sample::{Elf, Item, compress, tar};

/// A release with this asset: an ELF program, the asset's name, the asset.
fn release(items: &[Item]) -> Bytes {
    let archive = compress(".zst", &tar(items));
    let name = format!("build/data/{}.tar.zst", Sha256::of(&archive));
    [Elf::default().build().as_slice(), name.as_bytes(), &archive, b"more"].concat().into()
}

fn k3s() -> Vec<Item> {
    vec![
        Item::directory("./bin/"),
        Item::file("./bin/k3s", b"k3s stand-in").mode(0o755).owned(1000, 1000),
        Item::symlink("./bin/kubectl", "k3s"),
        Item::file("./bin/busybox", b"busybox").mode(0o4777),
        Item::directory("./bin/aux/"),
        Item::symlink("./bin/aux/mount", "../busybox"),
        Item::directory("./etc/"),
        Item::file("./etc/strongswan.conf", b""),
    ]
}

fn into_k3s() -> Placement {
    Placement::K3s { folder: "usr/lib/k3s".to_owned() }
}

fn members(pairs: &[(&str, &str)]) -> Placement {
    let member =
        |(pattern, path): &(&str, &str)| Member { pattern: (*pattern).to_owned(), path: (*path).to_owned() };
    Placement::Members { members: pairs.iter().map(member).collect() }
}

/// Paths with mode and content, owners that are not root, and link targets.
fn listed(tree: &Tree) -> String {
    let mut text = String::new();
    for (path, Entry { metadata, kind }) in tree.iter() {
        assert_eq!((metadata.uid, metadata.gid), (0, 0), "{path}");
        let kind = match kind {
            Kind::Directory => continue,
            Kind::File(content) => format!("{:o} {:?}", metadata.mode, String::from_utf8_lossy(content)),
            Kind::Symlink(target) => format!("-> {target}"),
        };
        writeln!(text, "{path} {kind}").unwrap();
    }
    text
}

fn refusal(content: &Bytes, placement: &Placement) -> String {
    let fault = place(&mut Tree::default(), content, placement).unwrap_err();
    let cause = fault.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{fault}{cause}")
}

#[test]
fn unpacks_k3s_as_it_would_unpack_itself() {
    let mut tree = Tree::default();
    place(&mut tree, &release(&k3s()), &into_k3s()).unwrap();
    let mut settings = insta::Settings::clone_current();
    settings.add_filter("[0-9a-f]{64}", "[digest]");
    settings.bind(|| {
        insta::assert_snapshot!(listed(&tree), @r##"
        usr/lib/k3s/data/[digest]/bin/aux/mount -> ../busybox
        usr/lib/k3s/data/[digest]/bin/busybox 755 "busybox"
        usr/lib/k3s/data/[digest]/bin/k3s 755 "k3s stand-in"
        usr/lib/k3s/data/[digest]/bin/kubectl -> k3s
        usr/lib/k3s/data/[digest]/etc/strongswan.conf 644 ""
        usr/lib/k3s/environment 644 "# For k3s' unit: the search path that its self-extracting release would set.\nPATH=/var/lib/rancher/k3s/data/cni:/usr/lib/k3s/data/[digest]/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/usr/lib/k3s/data/[digest]/bin/aux\n"
        "##);
    });
    let asset = compress(".zst", &tar(&k3s()));
    let folder = format!("usr/lib/k3s/data/{}", Sha256::of(&asset));
    assert_eq!(tree.get(&folder).map(|entry| &entry.kind), Some(&Kind::Directory));
}

#[test]
fn refuses_what_no_k3s_release_carries() {
    let with = |item: Item| release(&k3s().into_iter().chain([item]).collect::<Vec<_>>());
    for (content, message) in [
        (Bytes::from_static(b"#!/bin/sh"), "no k3s release: it is no 64-bit ELF file"),
        (Elf::default().build().into(), "no k3s release: it names no `<sha256>.tar.zst`"),
        (
            with(Item::file("../etc/passwd", b"")),
            "reading the archive: entry at byte 5120: path `../etc/passwd` is not plain",
        ),
        (
            with(Item::file("/etc/passwd", b"")),
            "reading the archive: entry at byte 5120: path `/etc/passwd` is absolute",
        ),
        (
            with(Item::file("./usr/bin/sh", b"")),
            "it carries `usr/bin/sh`, which is neither below `bin` nor below `etc`",
        ),
        (
            with(Item::symlink("./bin/x", "/etc/shadow")),
            "it carries the link `bin/x` to `/etc/shadow`, which leads out of the archive",
        ),
        (
            with(Item::symlink("./bin/aux/x", "../../../x")),
            "it carries the link `bin/aux/x` to `../../../x`, which leads out of the archive",
        ),
        (
            with(Item::symlink("./bin/x", "a/../../../etc/x")),
            "it carries the link `bin/x` to `a/../../../etc/x`, which leads out of the archive",
        ),
        (
            with(Item::hard_link("./bin/x", "../x")),
            "reading the archive: entry at byte 5120: path `../x` is not plain",
        ),
        (
            with(Item::new("./bin/null", tar::EntryType::Char)),
            "reading the archive: entry at byte 5120: `bin/null` is a character device, which no image holds",
        ),
        (
            with(Item::file("./bin/huge", b"").claiming(1 << 40)),
            "reading the archive: entry at byte 5120: `bin/huge` claims 1099511627776 bytes, at most \
             1073736704 may follow",
        ),
        (
            release(&[Item::symlink("./bin/k3s", "busybox"), Item::file("./bin/busybox", b"")]),
            "it carries no program `bin/k3s`",
        ),
        (release(&[Item::file("./bin/k3s", b"")]), "it carries no program `bin/k3s`"),
        (
            release(&[Item::file("./bin/k3s", b"").mode(0o755), Item::file("./etc", b"")]),
            "it carries `etc`, which is neither below `bin` nor below `etc`",
        ),
    ] {
        assert_eq!(refusal(&content, &into_k3s()), message);
    }
}

/// 2 GiB of zeros, in an archive of 200 KiB.
#[test]
fn a_bomb_is_stopped_at_the_limit() {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..2048 {
        std::io::Write::write_all(&mut encoder, &zeros).unwrap();
    }
    let archive = encoder.finish().unwrap();
    assert!(archive.len() < 1 << 20, "{}", archive.len());
    let name = format!("{}.tar.zst", Sha256::of(&archive));
    let bomb = [Elf::default().build().as_slice(), name.as_bytes(), &archive].concat().into();
    assert_eq!(refusal(&bomb, &into_k3s()), "decompressing the archive: more than 1 GiB come out");
}

#[test]
fn takes_the_named_files_of_an_archive() {
    let archive: Bytes = compress(
        ".gz",
        &tar(&[
            Item::directory("tailscale_1_amd64/"),
            Item::file("tailscale_1_amd64/tailscale", b"cli").mode(0o775).owned(501, 20),
            Item::file("tailscale_1_amd64/tailscaled", b"daemon").mode(0o755),
            Item::file("tailscale_1_amd64/systemd/tailscale", b"other"),
        ]),
    )
    .into();
    let mut tree = Tree::default();
    let both = members(&[("*/tailscale", "usr/bin/tailscale"), ("*/tailscaled", "usr/sbin/tailscaled")]);
    place(&mut tree, &archive, &both).unwrap();
    insta::assert_snapshot!(listed(&tree), @r#"
    usr/bin/tailscale 755 "cli"
    usr/sbin/tailscaled 755 "daemon"
    "#);
    for (pattern, message) in [
        ("*/headscale", "0 files of the archive fit `*/headscale`, and one must"),
        ("*/*", "2 files of the archive fit `*/*`, and one must"),
    ] {
        assert_eq!(refusal(&archive, &members(&[(pattern, "usr/bin/x")])), message);
    }
    let message = "decompressing the archive: damaged after 0 decompressed bytes";
    assert_eq!(refusal(&Bytes::from_static(b"no gzip at all"), &both), message);
}

#[test]
fn names_a_whole_file_by_its_digest_and_replaces_nothing() {
    let placement = Placement::Whole { path: "usr/lib/images-{digest}.tar.zst".to_owned(), mode: 0o644 };
    // A zstd frame begins so (RFC 8878, 3.1.1).
    let content = Bytes::from_static(b"\x28\xb5\x2f\xfdimages");
    let mut tree = Tree::default();
    place(&mut tree, &content, &placement).unwrap();
    let digest = &Sha256::of(&content).to_string()[..16];
    assert_eq!(tree.file(&format!("usr/lib/images-{digest}.tar.zst")), Some(&content));
    let fault = place(&mut tree, &content, &placement).unwrap_err();
    assert_eq!(fault.to_string(), format!("`usr/lib/images-{digest}.tar.zst` is in the root already"));
}

#[test]
fn a_whole_file_is_compressed_as_its_name_says() {
    let whole = |path: &str| Placement::Whole { path: path.to_owned(), mode: 0o644 };
    for (path, begin, name) in [
        ("a.tar.zst", &b"\x28\xb5\x2f\xfd"[..], "zstd"),
        ("a.tgz", b"\x1f\x8b", "gzip"),
        ("a.gz", b"\x1f\x8b", "gzip"),
        ("a.tar.xz", b"\xfd7zXZ\0", "xz"),
    ] {
        let placement = whole(path);
        assert_eq!(expected(&placement), format!("a file compressed by {name}"));
        let said = format!("it does not begin like a file compressed by {name}");
        assert_eq!(refusal(&Bytes::from_static(b"<!DOCTYPE html>"), &placement), said);
        place(&mut Tree::default(), &Bytes::from_static(begin), &placement).unwrap();
    }
    place(&mut Tree::default(), &Bytes::from_static(b"apiVersion: v1"), &whole("install.yaml")).unwrap();
}
