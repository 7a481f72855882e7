use std::ffi::OsStr;

use bytes::Bytes;
use proptest::prelude::*;
use uuid::Uuid;

use super::dump::dump;
use super::layout::{BLOCK, SUPER_OFFSET};
use super::*;
use crate::format::oracle;
use crate::tree::{Entry, Kind, Metadata, Tree};
use crate::units::{self, Timestamp};

fn options() -> Options {
    Options {
        timestamp: Timestamp(1_700_000_000),
        uuid: Uuid::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff),
        volume_name: "root".to_owned(),
        compression: None,
    }
}

fn image(tree: &Tree) -> Bytes {
    let mut bytes = Vec::new();
    let summary = write(tree, &options(), &NoCache, &mut bytes).unwrap();
    assert_eq!(summary.size, units::Bytes::of(&bytes));
    Bytes::from(bytes)
}

fn file(length: usize, seed: u8) -> Bytes {
    let byte = |index: usize| u8::try_from((index / 7 + index / BLOCK) % 256).unwrap().wrapping_add(seed);
    (0..length).map(byte).collect()
}

fn fsck(image: &Bytes, more: &[&OsStr]) -> oracle::Verdict {
    let on_disk = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(on_disk.path(), image).unwrap();
    let arguments = [more, &["-d3".as_ref(), on_disk.path().as_os_str()]].concat();
    oracle::ask("fsck.erofs", &arguments)
}

/// What must hold of every tree: it can be read back, and others take the image for sound.
fn check(tree: &Tree) -> Bytes {
    let image = image(tree);
    assert_eq!(read(&image).unwrap(), *tree);
    let verdict = fsck(&image, &["--extract".as_ref()]);
    assert!(verdict.accepts && !verdict.output.contains("<E>"), "{}", verdict.output);
    image
}

fn small() -> Tree {
    let mut tree = Tree::default();
    tree.directory("etc", Metadata::DIRECTORY).unwrap();
    tree.write("etc/hostname", Metadata::FILE, &b"node\n"[..]).unwrap();
    tree.write("etc/+first", Metadata { mode: 0o600, uid: 65_536, gid: 7 }, &b"sorts before the dot"[..])
        .unwrap();
    tree.write("empty", Metadata::FILE, &b""[..]).unwrap();
    tree.write("two-blocks", Metadata::root(0o4755), file(2 * BLOCK, 1)).unwrap();
    tree.write("usr/copy", Metadata::FILE, [&file(2 * BLOCK, 1)[..], b"tail"].concat()).unwrap();
    tree.symlink("bin", "usr/bin").unwrap();
    tree
}

#[test]
fn lays_a_small_tree_out_as_it_did_before() {
    insta::assert_snapshot!(dump(&check(&small())), @r#"
    0x0400 super block checksum=0x29cf6249 compat=0x3 incompat=0x0 blkszbits=12 root_nid=36 inos=9 build_time=1700000000 blocks=3 meta_blkaddr=0 uuid=00112233-4455-6677-8899-aabbccddeeff volume_name="root"
    0x0480 inode nid=36 compact inline mode=0o40755 nlink=4 uid=0 gid=0 ino=1 size=111 blkaddr=- mtime=None
             "." nid=36 nameoff=84 type=2
             ".." nid=36 nameoff=85 type=2
             "bin" nid=41 nameoff=87 type=7
             "empty" nid=43 nameoff=90 type=1
             "etc" nid=44 nameoff=95 type=2
             "two-blocks" nid=53 nameoff=98 type=1
             "usr" nid=54 nameoff=108 type=2
    0x0520 inode nid=41 compact inline mode=0o120777 nlink=1 uid=0 gid=0 ino=2 size=7 blkaddr=- mtime=None
             0 bytes in blocks, tail of 7: "usr/bin"
    0x0560 inode nid=43 compact plain mode=0o100644 nlink=1 uid=0 gid=0 ino=3 size=0 blkaddr=- mtime=None
             0 bytes in blocks, tail of 0: ""
    0x0580 inode nid=44 compact inline mode=0o40755 nlink=2 uid=0 gid=0 ino=4 size=65 blkaddr=- mtime=None
             "+first" nid=48 nameoff=48 type=1
             "." nid=44 nameoff=54 type=2
             ".." nid=36 nameoff=55 type=2
             "hostname" nid=51 nameoff=57 type=1
    0x0600 inode nid=48 extended inline mode=0o100600 nlink=1 uid=65536 gid=7 ino=5 size=20 blkaddr=- mtime=Some(1700000000)
             0 bytes in blocks, tail of 20: "sorts before the"
    0x0660 inode nid=51 compact inline mode=0o100644 nlink=1 uid=0 gid=0 ino=6 size=5 blkaddr=- mtime=None
             0 bytes in blocks, tail of 5: "node\n"
    0x06a0 inode nid=53 compact plain mode=0o104755 nlink=1 uid=0 gid=0 ino=7 size=8192 blkaddr=1 mtime=None
             8192 bytes in blocks, tail of 0: ""
    0x06c0 inode nid=54 compact inline mode=0o40755 nlink=2 uid=0 gid=0 ino=8 size=43 blkaddr=- mtime=None
             "." nid=54 nameoff=36 type=2
             ".." nid=36 nameoff=37 type=2
             "copy" nid=57 nameoff=39 type=1
    0x0720 inode nid=57 compact inline mode=0o100644 nlink=1 uid=0 gid=0 ino=9 size=8196 blkaddr=1 mtime=None
             8192 bytes in blocks, tail of 4: "tail"
    "#);
}

#[test]
fn holds_an_empty_tree() {
    let image = check(&Tree::default());
    assert_eq!(image.len(), BLOCK);
}

#[test]
fn gives_the_same_bytes_for_the_same_tree() {
    let mut other = Tree::default();
    for (path, entry) in small().iter().collect::<Vec<_>>().into_iter().rev() {
        other.insert(path, entry.clone()).unwrap();
    }
    assert!(image(&small()) == image(&other), "the order of insertion shows in the image");
}

#[test]
fn takes_every_file_size_around_block_boundaries() {
    let mut tree = Tree::default();
    for blocks in 0..3 {
        // 4064 is the longest tail behind a compact inode, 4032 behind an extended one.
        for rest in [0, 1, 31, 32, 33, 2048, 4031, 4032, 4033, 4063, 4064, 4065, 4095] {
            let length = blocks * BLOCK + rest;
            tree.write(&format!("compact/{length}"), Metadata::FILE, file(length, 3)).unwrap();
            let metadata = Metadata { uid: 100_000, ..Metadata::FILE };
            tree.write(&format!("extended/{length}"), metadata, file(length, 4)).unwrap();
        }
    }
    check(&tree);
}

#[test]
fn takes_links_of_every_permitted_length() {
    let mut tree = Tree::default();
    for length in [1, 2, 59, 60, 255, 4000, 4032, 4063, 4064, 4065, 4094, 4095] {
        tree.symlink(&format!("{length}"), &"t".repeat(length)).unwrap();
    }
    check(&tree);
}

#[test]
fn takes_directories_that_span_many_blocks() {
    let mut tree = Tree::default();
    for index in 0..5000_u32 {
        let name = "n".repeat(usize::try_from(index % 200).unwrap());
        tree.write(&format!("wide/{index}-{name}"), Metadata::FILE, &b""[..]).unwrap();
    }
    let deep = vec!["d"; 200].join("/");
    tree.write(&deep, Metadata::FILE, &b"deep"[..]).unwrap();
    tree.write(&"x".repeat(255), Metadata::FILE, &b"long"[..]).unwrap();
    check(&tree);
}

/// Each entry needs 12 bytes and its name; with names of 244 bytes sixteen make exactly one block.
#[test]
fn takes_directories_that_fill_their_blocks_exactly() {
    for (directory, count) in [("fits", 16), ("spills", 17), ("three", 48)] {
        let mut tree = Tree::default();
        for index in 0..count {
            tree.write(&format!("{directory}/{index:0>244}"), Metadata::FILE, &b""[..]).unwrap();
        }
        check(&tree);
    }
}

#[test]
fn gives_directories_more_links_than_a_compact_inode_holds() {
    let mut tree = Tree::default();
    for index in 0..65_534 {
        tree.directory(&format!("d/{index}"), Metadata::DIRECTORY).unwrap();
    }
    let image = image(&tree);
    assert_eq!(read(&image).unwrap(), tree);
    let verdict = fsck(&image, &[]);
    assert!(verdict.accepts, "{}", verdict.output);
}

#[test]
fn stores_equal_blocks_once() {
    let mut tree = Tree::default();
    for name in ["a", "b", "c"] {
        tree.write(name, Metadata::FILE, file(100 * BLOCK, 9)).unwrap();
    }
    let mut bytes = Vec::new();
    let summary = write(&tree, &options(), &NoCache, &mut bytes).unwrap();
    assert_eq!(summary.shared, units::Bytes(200 * 4096));
    assert_eq!(bytes.len(), 101 * BLOCK);
    check(&tree);
}

#[test]
fn refuses_what_neither_erofs_nor_linux_can_hold() {
    let fault = |path: &str, mode: u16, kind: Kind| {
        let mut tree = Tree::default();
        tree.insert(path, Entry { metadata: Metadata::root(mode), kind }).unwrap();
        write(&tree, &options(), &NoCache, &mut Vec::new()).unwrap_err().to_string()
    };
    let link = |length: usize| Kind::Symlink("x".repeat(length));
    let long = fault(&format!("usr/{}", "é".repeat(128)), 0, Kind::Directory);
    assert!(long.ends_with("é` has 256 bytes, EROFS allows 255"), "{long}");
    let deep = fault(&format!("{}xx", "d/".repeat(2047)), 0, Kind::Directory);
    assert!(deep.ends_with("xx` has 4096 bytes, Linux follows 4095"), "{deep}");
    insta::assert_snapshot!(fault("l", 0, link(0)), @"the target of link `l` has 0 bytes, Linux allows 1 to 4095");
    insta::assert_snapshot!(fault("l", 0, link(4096)), @"the target of link `l` has 4096 bytes, Linux allows 1 to 4095");
    insta::assert_snapshot!(fault("l", 0, Kind::Symlink("a\0".to_owned())), @"`l` has a NUL byte in its name or its target");
    insta::assert_snapshot!(fault("a\0b", 0, Kind::Directory), @r"`a\0b` has a NUL byte in its name or its target");
    insta::assert_snapshot!(fault("d", 0o040_755, Kind::Directory), @"the mode of `d` is 0o40755, the greatest is 0o7777");
    let named = Options { volume_name: "sixteen letters!".to_owned(), ..options() };
    let fault = write(&Tree::default(), &named, &NoCache, &mut Vec::new()).unwrap_err().to_string();
    insta::assert_snapshot!(fault, @"`sixteen letters!` is no volume name: at most 15 bytes and no NUL");
}

#[test]
fn passes_on_why_the_output_is_full() {
    let mut full = [0_u8; 5000];
    let fault = write(&small(), &options(), &NoCache, &mut full.as_mut_slice()).unwrap_err();
    assert_eq!(fault.to_string(), "writing the file system");
    let ErofsError::Write { source } = fault else { panic!("{fault}") };
    assert_eq!(source.kind(), std::io::ErrorKind::WriteZero);
}

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
    let folder = tempfile::tempdir().unwrap();
    let (source, target) = (folder.path().join("tree"), folder.path().join("image"));
    let mut tree = Tree::default();
    tree.write("usr/bin/tool", Metadata::root(0o755), file(3 * BLOCK + 100, 2)).unwrap();
    tree.write("usr/empty", Metadata::FILE, &b""[..]).unwrap();
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
            let mode = u32::from(entry.metadata.mode);
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        }
    }
    std::fs::set_permissions(&source, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let arguments = ["--all-root", "-x-1", "-T1700000000"];
    let mut arguments: Vec<&OsStr> = arguments.iter().map(AsRef::as_ref).collect();
    arguments.extend([target.as_os_str(), source.as_os_str()]);
    oracle::must_accept("mkfs.erofs", &arguments);
    assert_eq!(read(&Bytes::from(std::fs::read(&target).unwrap())).unwrap(), tree);
}

/// The tree that `fsck.erofs` unpacks, without owners and special bits, which need privileges.
#[test]
fn fsck_unpacks_the_contents_that_went_in() {
    let mut tree = small();
    for length in [1, 4095, 4096, 4097, 8191, 100_000] {
        tree.write(&format!("sizes/{length}"), Metadata::FILE, file(length, 11)).unwrap();
    }
    tree.symlink("long", &"t/".repeat(2040)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (on_disk, unpacked) = (folder.path().join("image"), folder.path().join("unpacked"));
    std::fs::write(&on_disk, image(&tree)).unwrap();
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

/// Names from all over the byte order around `.`, from short to the longest.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-c]{1,2}",
        3 => "[!-.0-~]{1,40}",
        1 => "[ -.0-~é漢]{1,60}",
        1 => "[x-z]{240,255}",
    ]
    .prop_filter("`.` and `..` are no names", |name| name != "." && name != "..")
}

fn length() -> impl Strategy<Value = usize> {
    let around_blocks =
        (0..4_usize, 0..80_usize).prop_map(|(blocks, rest)| (blocks * BLOCK + rest).saturating_sub(40));
    prop_oneof![Just(0), 1..200_usize, around_blocks, 0..20_000_usize]
}

fn entry() -> impl Strategy<Value = Entry> {
    let owner = || prop_oneof![Just(0), 1..2000_u32, 65_530..65_540_u32, Just(u32::MAX)];
    let metadata =
        (0..=0o7777_u16, owner(), owner()).prop_map(|(mode, uid, gid)| Metadata { mode, uid, gid });
    let kind = prop_oneof![
        1 => Just(Kind::Directory),
        5 => (length(), 0..4_u8).prop_map(|(length, seed)| Kind::File(file(length, seed))),
        1 => prop_oneof![1..100_usize, 4000..=4095_usize].prop_map(|length| Kind::Symlink("l".repeat(length))),
    ];
    (metadata, kind).prop_map(|(metadata, kind)| Entry { metadata, kind })
}

/// A tree of entries at random paths; those without a place, such as below a file, are left out.
fn any_tree() -> impl Strategy<Value = Tree> {
    let path = prop::collection::vec(name(), 1..8).prop_map(|names| names.join("/"));
    let wide = prop::collection::vec(("[a-z]{1,200}", entry()), 0..150);
    (prop::collection::vec((path, entry()), 0..80), wide).prop_map(|(entries, wide)| {
        let mut tree = Tree::default();
        let wide = wide.into_iter().map(|(name, entry)| (format!("wide/{name}"), entry));
        for (path, entry) in entries.into_iter().chain(wide) {
            let _ = tree.insert(&path, entry);
        }
        tree
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn takes_any_tree(tree in any_tree()) {
        check(&tree);
    }

    /// Garbage is an error or another tree, never a panic or a loop.
    #[test]
    fn survives_any_garbage(
        tree in any_tree(),
        spots in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
    ) {
        let mut bytes = image(&tree).to_vec();
        for (spot, value) in spots {
            let length = bytes.len();
            bytes[spot.index(length)] = value;
        }
        repair_checksum(&mut bytes);
        let _ = read(&Bytes::from(bytes));
    }
}

/// Makes the first block's checksum right again, so that damage reaches the rest of the reader.
fn repair_checksum(image: &mut [u8]) {
    let block = &mut image[..BLOCK];
    block[SUPER_OFFSET + 4..SUPER_OFFSET + 8].fill(0);
    let checksum = layout::checksum(block);
    block[SUPER_OFFSET + 4..SUPER_OFFSET + 8].copy_from_slice(&checksum.to_le_bytes());
}

#[test]
fn notices_every_flipped_byte_of_the_first_block() {
    let good = image(&small());
    for offset in SUPER_OFFSET..BLOCK {
        let mut bytes = good.to_vec();
        bytes[offset] ^= 0x10;
        let fault = read(&Bytes::from(bytes)).unwrap_err();
        let expected = match offset - SUPER_OFFSET {
            0x00..0x04 => matches!(fault, ReadError::Magic { .. }),
            0x0C => matches!(fault, ReadError::Feature { field: "blkszbits", .. }),
            // Bit 4 of the first byte is a feature that we read.
            0x51..0x54 => matches!(fault, ReadError::Feature { field: "feature_incompat", .. }),
            _ => matches!(fault, ReadError::Checksum { .. }),
        };
        assert!(expected, "byte {offset:#x}: {fault}");
    }
}

#[test]
fn survives_every_flipped_bit_behind_the_checksum() {
    let good = image(&small());
    let (mut refused, mut total) = (0, 0);
    for offset in SUPER_OFFSET..good.len().min(2 * BLOCK) {
        for bit in 0..8 {
            let mut bytes = good.to_vec();
            bytes[offset] ^= 1 << bit;
            repair_checksum(&mut bytes);
            total += 1;
            refused += usize::from(read(&Bytes::from(bytes)).is_err());
        }
    }
    // Most bits are contents, padding, or permissions, which may be anything.
    assert!((500..total / 2).contains(&refused), "{refused} of {total}");
}

#[test]
fn names_what_is_wrong_with_a_damaged_image() {
    let good = image(&small());
    let damaged = |offset: usize, value: &[u8]| {
        let mut bytes = good.to_vec();
        bytes[offset..offset + value.len()].copy_from_slice(value);
        repair_checksum(&mut bytes);
        let fault = read(&Bytes::from(bytes)).map(|_| "a tree").unwrap_err();
        let cause = std::error::Error::source(&fault).map(|cause| format!(": {cause}"));
        format!("{fault}{}", cause.unwrap_or_default())
    };
    // Offsets are those of the dump in `lays_a_small_tree_out_as_it_did_before`.
    let root = 0x480;
    let (root_dirents, two_blocks) = (root + 32, 0x6A0);
    insta::assert_snapshot!(damaged(0x424, &9_u32.to_le_bytes()), @"super block counts 9 blocks of 4096 bytes, image has 12288 bytes");
    insta::assert_snapshot!(damaged(0x424, &0_u32.to_le_bytes()), @"super block counts 0 blocks of 4096 bytes, image has 12288 bytes");
    insta::assert_snapshot!(damaged(0x40E, &41_u16.to_le_bytes()), @"`/` is corrupt: its inode is of type 7, its name of type 2");
    insta::assert_snapshot!(damaged(root, &0x0D_u16.to_le_bytes()), @"`i_format` of inode `/` is 0xd, which is not supported");
    insta::assert_snapshot!(damaged(root + 2, &[1, 0]), @"`i_xattr_icount` of inode `/` is 0x1, which is not supported");
    insta::assert_snapshot!(damaged(root + 8, &4096_u32.to_le_bytes()), @"`/` is corrupt: its data lies at 0xffffffff000, with 4096 bytes, in an image of 12288");
    insta::assert_snapshot!(damaged(two_blocks + 4, &0o010_644_u16.to_le_bytes()), @"`i_mode` of inode `/two-blocks` is 0x11a4, which is not supported");
    insta::assert_snapshot!(damaged(two_blocks + 8, &u32::MAX.to_le_bytes()), @"`/two-blocks` is corrupt: its data lies at 0x1000, with 4294967295 bytes, in an image of 12288");
    insta::assert_snapshot!(damaged(root_dirents, &44_u64.to_le_bytes()), @"`/` is corrupt: `.` leads to nid 44, not to 36");
    insta::assert_snapshot!(damaged(root_dirents + 8, &[0, 0]), @"`/` is corrupt: a directory block of 111 bytes has no valid name at 0");
    insta::assert_snapshot!(damaged(root_dirents + 2 * 12, &(1_u64 << 40).to_le_bytes()), @"`/bin` is corrupt: its inode lies at 0x200000000000, with 32 bytes, in an image of 12288");
    insta::assert_snapshot!(damaged(root_dirents + 2 * 12 + 10, &[1]), @"`/bin` is corrupt: its inode is of type 7, its name of type 1");
    insta::assert_snapshot!(damaged(root_dirents + 4 * 12, &36_u64.to_le_bytes()), @"`/etc` is corrupt: directory with nid 36 has a second name");
    insta::assert_snapshot!(damaged(root_dirents + 87, b"zin"), @"`/` is corrupt: name `empty` does not follow the one before it");
    insta::assert_snapshot!(damaged(root_dirents + 87, b"b/n"), @"`/` is corrupt: a directory block of 111 bytes has no valid name at 87");
    insta::assert_snapshot!(damaged(root_dirents + 87, b"b\xFFn"), @"a name in or the target of `/` is no UTF-8");
    let fault = |length: usize| read(&good.slice(..length)).unwrap_err();
    assert_eq!(fault(BLOCK), ReadError::Blocks { blocks: 3, found: BLOCK });
    assert_eq!(fault(BLOCK - 1), ReadError::Short { found: BLOCK - 1 });
}
