//! What others write we read, and what we write others read.

use std::ffi::OsStr;

use bytes::Bytes;

use super::*;

#[test]
fn fsck_sees_what_we_break() {
    let mut broken = image(&small()).to_vec();
    broken[SUPER_OFFSET + 0x10] ^= 1;
    let verdict = fsck(&Bytes::from(broken), &[]);
    assert!(!verdict.accepts || verdict.output.contains("<E>"), "{}", verdict.output);
}

/// The reader must agree with other people's writer, not only with ours.
#[test]
fn reads_what_mkfs_erofs_writes() {
    const TAILS: &str = "-Eztailpacking";
    for (image, arguments) in [
        ("flat", &[][..]),
        ("lz4hc", &["-zlz4hc,9", "-C65536"]),
        ("tails", &["-zlz4", "-C16384", TAILS]),
        ("zstd", &["-zzstd,3", "-C131072", TAILS]),
    ] {
        reads_what_mkfs_writes(image, arguments);
    }
}

fn reads_what_mkfs_writes(image: &str, more: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let (source, target) = (folder.path().join("tree"), folder.path().join("image"));
    let mut tree = Tree::default();
    tree.write("usr/bin/tool", Metadata::root(0o755), file(3 * BLOCK + 100, 2)).unwrap();
    tree.write("usr/empty", Metadata::FILE, &b""[..]).unwrap();
    for length in [500, 3000, 20_000, 500_000] {
        tree.write(&format!("mixed/{length}"), Metadata::FILE, mixed(length, 1)).unwrap();
    }
    tree.symlink("bin", "usr/bin").unwrap();
    for index in 0..600 {
        tree.write(&format!("many/{index}"), Metadata::FILE, format!("{index}")).unwrap();
    }
    std::fs::create_dir(&source).unwrap();
    for (path, entry) in tree.iter() {
        let path = source.join(path);
        match &entry.kind {
            Kind::Directory => std::fs::create_dir(&path).unwrap(),
            Kind::File(content) => std::fs::write(&path, content).unwrap(),
            Kind::Symlink(text) => std::os::unix::fs::symlink(text, &path).unwrap(),
        }
        if !matches!(entry.kind, Kind::Symlink(_)) {
            let permissions = std::os::unix::fs::PermissionsExt::from_mode(entry.metadata.mode.into());
            std::fs::set_permissions(&path, permissions).unwrap();
        }
    }
    std::fs::set_permissions(&source, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let arguments = ["--all-root", "-x-1", "-T1700000000"];
    let mut arguments: Vec<&OsStr> = arguments.iter().chain(more).map(AsRef::as_ref).collect();
    arguments.extend([target.as_os_str(), source.as_os_str()]);
    oracle::must_accept("mkfs.erofs", &arguments);
    let written = Bytes::from(std::fs::read(&target).unwrap());
    assert!(read(&written).unwrap() == tree, "{image}");
}

/// The tree that `fsck.erofs` unpacks, without owners and special bits, which need privileges.
#[test]
fn fsck_unpacks_the_contents_that_went_in() {
    let mut tree = small();
    for length in [1, 4095, 4096, 4097, 8191, 100_000] {
        tree.write(&format!("sizes/{length}"), Metadata::FILE, file(length, 11)).unwrap();
    }
    for length in [4000, 70_000, 700_000] {
        tree.write(&format!("mixed/{length}"), Metadata::FILE, mixed(length, 1)).unwrap();
    }
    tree.symlink("long", &"t/".repeat(2040)).unwrap();
    for compression in compressions().map(Some).into_iter().chain([None]) {
        compare_with_what_fsck_unpacks(&tree, compression);
    }
}

fn compare_with_what_fsck_unpacks(tree: &Tree, compression: Option<Compression>) {
    let folder = tempfile::tempdir().unwrap();
    let (on_disk, unpacked) = (folder.path().join("image"), folder.path().join("unpacked"));
    std::fs::write(&on_disk, image_with(tree, compression)).unwrap();
    let extract = format!("--extract={}", unpacked.display());
    oracle::must_accept("fsck.erofs", &[extract.as_ref(), "--no-preserve".as_ref(), on_disk.as_os_str()]);
    let mut found = 0;
    for (path, entry) in tree.iter() {
        let path = unpacked.join(path);
        match &entry.kind {
            Kind::Directory => found += std::fs::read_dir(&path).unwrap().count(),
            Kind::File(content) => assert!(std::fs::read(&path).unwrap() == content[..], "{path:?}"),
            Kind::Symlink(target) => {
                assert_eq!(std::fs::read_link(&path).unwrap().to_str(), Some(target.as_str()));
            }
        }
    }
    found += std::fs::read_dir(&unpacked).unwrap().count();
    assert_eq!(found, tree.iter().count(), "entries below all directories");
}
