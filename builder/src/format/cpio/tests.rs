use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use super::*;
use crate::format::oracle;
use crate::tree::{Entry, Metadata};

const OPTIONS: Options = Options { timestamp: Timestamp(1_700_000_000), console: false };

fn archive(tree: &Tree, options: Options) -> Vec<u8> {
    let mut bytes = Vec::new();
    let size = write(tree, &options, &mut bytes).unwrap();
    assert_eq!(size, Bytes::of(&bytes));
    bytes
}

fn sample() -> Tree {
    let mut tree = Tree::default();
    tree.write("init", Metadata::root(0o755), vec![b'x'; 4097]).unwrap();
    tree.directory("etc", Metadata { mode: 0o1777, uid: 70_000, gid: 5 }).unwrap();
    tree.write("etc/empty", Metadata::FILE, &b""[..]).unwrap();
    tree.write("etc/setuid", Metadata::root(0o4755), &b"abc"[..]).unwrap();
    tree.symlink("sbin", "usr/sbin").unwrap();
    for length in 1..9 {
        let name = "n".repeat(length);
        tree.write(&format!("pad/{name}"), Metadata::FILE, name.into_bytes()).unwrap();
    }
    tree
}

/// Reads an archive back by the format's text alone: path, mode, owner, group and data per entry.
fn read(mut rest: &[u8]) -> Vec<(String, u32, u32, u32, Vec<u8>)> {
    let mut entries = Vec::new();
    loop {
        assert_eq!(&rest[..6], b"070701", "entry {}", entries.len());
        let number = |index: usize| {
            let digits = std::str::from_utf8(&rest[6 + index * 8..14 + index * 8]).unwrap();
            u32::from_str_radix(digits, 16).unwrap()
        };
        let size = |index| usize::try_from(number(index)).unwrap();
        let (mode, uid, gid, filesize, namesize) = (number(1), number(2), number(3), size(6), size(11));
        let path = std::str::from_utf8(&rest[110..110 + namesize - 1]).unwrap().to_owned();
        assert_eq!(rest[110 + namesize - 1], 0, "{path}");
        if path == TRAILER {
            assert_eq!(rest.len(), (110 + namesize).next_multiple_of(4), "nothing follows the trailer");
            return entries;
        }
        assert_eq!(number(0), u32::try_from(entries.len()).unwrap() + 1, "inode number of {path}");
        assert_eq!(number(5), 1_700_000_000, "time of {path}");
        let start = (110 + namesize).next_multiple_of(4);
        let data = rest[start..start + filesize].to_vec();
        rest = &rest[(start + filesize).next_multiple_of(4)..];
        entries.push((path, mode, uid, gid, data));
    }
}

#[test]
fn holds_every_entry_of_the_tree_after_its_directory() {
    let tree = sample();
    let expected: Vec<_> = tree
        .iter()
        .map(|(path, Entry { metadata, kind })| {
            let (file_type, data) = match kind {
                Kind::Directory => (0o040_000, Vec::new()),
                Kind::File(content) => (0o100_000, content.to_vec()),
                Kind::Symlink(target) => (0o120_000, target.clone().into_bytes()),
            };
            let mode = file_type | u32::from(metadata.mode);
            (path.to_owned(), mode, metadata.uid, metadata.gid, data)
        })
        .collect();
    assert_eq!(read(&archive(&tree, OPTIONS)), expected);
}

#[test]
fn cpio_lists_what_we_wrote() {
    let mut tree = Tree::default();
    tree.directory("etc", Metadata { mode: 0o1777, uid: 70_000, gid: 5 }).unwrap();
    tree.write("etc/setuid", Metadata::root(0o4755), &b"abc"[..]).unwrap();
    tree.symlink("sbin", "usr/sbin").unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), archive(&tree, Options { console: true, ..OPTIONS })).unwrap();
    let arguments = ["--list", "--verbose", "--numeric-uid-gid", "--quiet", "--file"];
    let mut arguments: Vec<&std::ffi::OsStr> = arguments.iter().map(AsRef::as_ref).collect();
    arguments.push(file.path().as_os_str());
    insta::assert_snapshot!(oracle::must_accept("cpio", &arguments), @"
    drwxr-xr-x   2 0        0               0 Nov 14  2023 dev
    crw-------   1 0        0          5,   1 Nov 14  2023 dev/console
    drwxrwxrwt   2 70000    5               0 Nov 14  2023 etc
    -rwsr-xr-x   1 0        0               3 Nov 14  2023 etc/setuid
    lrwxrwxrwx   1 0        0               8 Nov 14  2023 sbin -> usr/sbin
    ");
}

#[test]
fn cpio_unpacks_what_we_wrote() {
    let tree = sample();
    let folder = tempfile::tempdir().unwrap();
    let (file, target) = (folder.path().join("archive"), folder.path().join("unpacked"));
    std::fs::write(&file, archive(&tree, OPTIONS)).unwrap();
    let arguments =
        ["--extract", "--make-directories", "--no-absolute-filenames", "--preserve-modification-time"];
    let mut arguments: Vec<&std::ffi::OsStr> = arguments.iter().map(AsRef::as_ref).collect();
    arguments.extend(["--quiet".as_ref(), "--directory".as_ref(), target.as_os_str()]);
    arguments.extend(["--file".as_ref(), file.as_os_str()]);
    std::fs::create_dir(&target).unwrap();
    oracle::must_accept("cpio", &arguments);
    for (path, entry) in tree.iter() {
        let on_disk = target.join(path);
        let metadata = on_disk.symlink_metadata().unwrap();
        match &entry.kind {
            Kind::Directory => assert!(metadata.is_dir(), "{path}"),
            Kind::File(content) => {
                assert_eq!(std::fs::read(&on_disk).unwrap(), content[..], "{path}");
                assert_eq!(metadata.mtime(), 1_700_000_000, "{path}");
                // Without privileges cpio drops the set-user-ID bit.
                let mode = metadata.permissions().mode() & 0o777;
                assert_eq!(mode, u32::from(entry.metadata.mode & 0o777), "{path}");
            }
            Kind::Symlink(text) => {
                assert_eq!(std::fs::read_link(&on_disk).unwrap().to_str(), Some(text.as_str()), "{path}");
            }
        }
    }
}

#[test]
fn gives_an_empty_tree_an_empty_archive() {
    assert_eq!(read(&archive(&Tree::default(), OPTIONS)), []);
}

#[test]
fn refuses_what_the_kernel_would_skip_or_misread() {
    let fault = |path: &str, kind: Kind, options: Options| {
        let mut tree = Tree::default();
        tree.insert(path, Entry { metadata: Metadata::FILE, kind }).unwrap();
        write(&tree, &options, &mut Vec::new()).unwrap_err().to_string()
    };
    let link = |length: usize| Kind::Symlink("x".repeat(length));
    let file = || Kind::File(bytes::Bytes::new());
    let console = Options { console: true, ..OPTIONS };
    let late = Options { timestamp: Timestamp(1 << 32), ..OPTIONS };
    insta::assert_snapshot!(fault("l", link(0), OPTIONS), @"the target of link `l` has 0 bytes, the kernel unpacks 1 to 4095");
    insta::assert_snapshot!(fault("l", link(4096), OPTIONS), @"the target of link `l` has 4096 bytes, the kernel unpacks 1 to 4095");
    insta::assert_snapshot!(fault("a\0b", file(), OPTIONS), @r"`a\0b` cannot be named in a cpio archive");
    insta::assert_snapshot!(fault(TRAILER, file(), OPTIONS), @"`TRAILER!!!` cannot be named in a cpio archive");
    insta::assert_snapshot!(fault("x", file(), late), @"mtime of `x` is 4294967296, cpio holds at most 4294967295");
    insta::assert_snapshot!(fault("dev/console", file(), console), @"`dev/console` is in the tree and was to be added");
    insta::assert_snapshot!(fault("dev", file(), console), @"`dev` is in the tree and was to be added");
    let long = fault(&format!("{}xx", "d/".repeat(2047)), file(), OPTIONS);
    assert!(long.ends_with("xx` has 4096 bytes, the kernel unpacks 4095"), "{long}");
    let mut tree = Tree::default();
    tree.write("x", Metadata::root(0o10_644), &b""[..]).unwrap();
    let mode = write(&tree, &OPTIONS, &mut Vec::new()).unwrap_err().to_string();
    assert_eq!(mode, "the mode of `x` is 0o10644, the greatest is 0o7777");
}
