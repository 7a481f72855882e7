use std::ffi::OsStr;

use bytes::Bytes;
use uuid::Uuid;

use super::dump::dump;
use super::layout::{BLOCK, SUPER_OFFSET};
use super::*;
use crate::derived::NoCache;
use crate::format::oracle;
use crate::tree::{Entry, Kind, Metadata, Tree};
use crate::units::{self, Timestamp};

mod any;
mod damage;
mod oracles;

fn options() -> Options {
    Options {
        timestamp: Timestamp(1_700_000_000),
        uuid: Uuid::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff),
        volume_name: "root".to_owned(),
        compression: None,
    }
}

fn image(tree: &Tree) -> Bytes {
    image_with(tree, None)
}

fn image_with(tree: &Tree, compression: Option<Compression>) -> Bytes {
    let mut bytes = Vec::new();
    let options = Options { compression, ..options() };
    let summary = write(tree, &options, &NoCache, &mut bytes).unwrap();
    assert_eq!(summary.size, units::Bytes::of(&bytes));
    Bytes::from(bytes)
}

/// The defaults, and the smallest clusters, which make the most of them.
fn compressions() -> [Compression; 4] {
    let defaults = [Algorithm::Lz4Hc, Algorithm::Zstd].map(Compression::from);
    let [lz4, zstd] = defaults.map(|default| default.with_cluster_size(units::Bytes(4096)).unwrap());
    [defaults[0], defaults[1], lz4, zstd]
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

/// What must hold of every tree: it can be read back, and others take the image for sound, compressed
/// or not. Returns the uncompressed image.
fn check(tree: &Tree) -> Bytes {
    for compression in compressions().map(Some) {
        check_image(tree, &image_with(tree, compression), &format!("{compression:?}"));
    }
    let image = image(tree);
    check_image(tree, &image, "uncompressed");
    image
}

fn check_image(tree: &Tree, image: &Bytes, how: &str) {
    assert!(read(image).unwrap() == *tree, "{how}");
    let verdict = fsck(image, &["--extract".as_ref()]);
    assert!(verdict.accepts && !verdict.output.contains("<E>"), "{how}: {}", verdict.output);
}

/// Bytes that nothing compresses.
fn noise(length: usize, seed: u8) -> Bytes {
    let digests = (0..length.div_ceil(32)).flat_map(|index| {
        let number = u32::try_from(index).unwrap().to_le_bytes();
        units::Sha256::of(&[&number[..], &[seed]].concat()).0
    });
    digests.take(length).collect()
}

/// Stretches of noise, of words with noise between them, and of zeros, none of them in whole blocks.
fn mixed(length: usize, seed: u8) -> Bytes {
    let mut data = Vec::with_capacity(length);
    let noise = noise(length, seed);
    for (index, part) in noise.chunks(5000 + 700 * usize::from(seed)).enumerate() {
        match index % 4 {
            0 | 2 => data.extend(part.chunks(7).flat_map(|part| {
                let word = ["edge", "cloud", "node", "cluster"][usize::from(part[0] % 4)].as_bytes();
                [word, &part[..part.len().min(3)]].concat()
            })),
            1 => data.extend_from_slice(part),
            _ => data.resize(data.len() + part.len(), 0),
        }
    }
    data.truncate(length);
    data.resize(length, seed);
    data.into()
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
fn lays_compressed_files_out_as_it_did_before() {
    let mut tree = Tree::default();
    tree.write("inline", Metadata::FILE, file(3000, 1)).unwrap();
    tree.write("one-cluster", Metadata::FILE, mixed(30_000, 1)).unwrap();
    tree.write("same", Metadata { uid: 70_000, ..Metadata::FILE }, mixed(30_000, 1)).unwrap();
    tree.write("many", Metadata::FILE, [&mixed(200_000, 2)[..], &noise(70_000, 3)].concat()).unwrap();
    tree.write("noise", Metadata::FILE, [&noise(BLOCK, 4)[..], b"tail"].concat()).unwrap();
    let image = image_with(&tree, Some(Algorithm::Lz4Hc.into()));
    check_image(&tree, &image, "lz4hc");
    insta::assert_snapshot!(dump(&image), @r#"
    0x0400 super block checksum=0xa6f8efbb compat=0x3 incompat=0x13 blkszbits=12 root_nid=37 inos=6 build_time=1700000000 blocks=52 meta_blkaddr=0 uuid=00112233-4455-6677-8899-aabbccddeeff volume_name="root" available_compr_algs=0x1 record=[0e, 00, ff, ff, 10, 00, 00, 00, 00, 00, 00, 00, 00, 00, 00, 00]
    0x04a0 inode nid=37 compact inline mode=0o40755 nlink=2 uid=0 gid=0 ino=1 size=117 blkaddr=- mtime=None
             "." nid=37 nameoff=84 type=2
             ".." nid=37 nameoff=85 type=2
             "inline" nid=42 nameoff=87 type=1
             "many" nid=76 nameoff=93 type=1
             "noise" nid=107 nameoff=97 type=1
             "one-cluster" nid=128 nameoff=102 type=1
             "same" nid=187 nameoff=113 type=1
    0x0540 inode nid=42 compact compressed mode=0o100644 nlink=1 uid=0 gid=0 ino=2 size=3000 blkaddr=0 mtime=None
             advise=0xf idata_size=1038 algorithmtype=0
             3000 bytes at 0 packed in 1038 at 0x570
    0x0980 inode nid=76 compact compressed mode=0o100644 nlink=1 uid=0 gid=0 ino=3 size=270000 blkaddr=45 mtime=None
             advise=0xf idata_size=759 algorithmtype=0
             114484 bytes at 0 packed in 65536 at 0x2000
             101509 bytes at 114484 packed in 65536 at 0x12000
             4096 bytes at 215993 plain in 4096 at 0x22000
             4096 bytes at 220089 plain in 4096 at 0x23000
             4096 bytes at 224185 plain in 4096 at 0x24000
             4096 bytes at 228281 plain in 4096 at 0x25000
             4096 bytes at 232377 plain in 4096 at 0x26000
             4096 bytes at 236473 plain in 4096 at 0x27000
             4096 bytes at 240569 plain in 4096 at 0x28000
             4096 bytes at 244665 plain in 4096 at 0x29000
             4096 bytes at 248761 plain in 4096 at 0x2a000
             4096 bytes at 252857 plain in 4096 at 0x2b000
             4096 bytes at 256953 plain in 4096 at 0x2c000
             4096 bytes at 261049 plain in 4096 at 0x2d000
             4096 bytes at 265145 plain in 4096 at 0x2e000
             759 bytes at 269241 plain in 759 at 0xa50
    0x0d60 inode nid=107 compact inline mode=0o100644 nlink=1 uid=0 gid=0 ino=4 size=4100 blkaddr=47 mtime=None
             4096 bytes in blocks, tail of 4: "tail"
    0x1000 inode nid=128 compact compressed mode=0o100644 nlink=1 uid=0 gid=0 ino=5 size=30000 blkaddr=4 mtime=None
             advise=0xf idata_size=1815 algorithmtype=0
             27453 bytes at 0 packed in 16384 at 0x30000
             2547 bytes at 27453 packed in 1815 at 0x1048
    0x1760 inode nid=187 extended compressed mode=0o100644 nlink=1 uid=70000 gid=0 ino=6 size=30000 blkaddr=4 mtime=Some(1700000000)
             advise=0xf idata_size=1815 algorithmtype=0
             27453 bytes at 0 packed in 16384 at 0x30000
             2547 bytes at 27453 packed in 1815 at 0x17c8
    "#);
    let image = image_with(&tree, Some(Algorithm::Zstd.into()));
    let super_block = dump(&image).lines().next().unwrap().to_owned();
    assert!(
        super_block.ends_with(" available_compr_algs=0x8 record=[06, 00, 00, 0a, 00, 00, 00, 00]"),
        "{super_block}"
    );
}

/// More than a segment, so that there is something to do for several threads.
#[test]
fn compresses_to_the_same_bytes_with_any_number_of_threads() {
    let mut tree = Tree::default();
    tree.write("large", Metadata::FILE, mixed(9_000_000, 1)).unwrap();
    for index in 0..50 {
        tree.write(&format!("small-{index}"), Metadata::FILE, mixed(index * 3001, 2)).unwrap();
    }
    for compression in [Algorithm::Lz4Hc, Algorithm::Zstd].map(|algorithm| Some(algorithm.into())) {
        let images = [1, 2, 5].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| image_with(&tree, compression))
        });
        assert!(images[0] == images[1] && images[1] == images[2], "{compression:?}");
        check_image(&tree, &images[0], "threads");
    }
}

#[test]
fn takes_compressed_files_of_every_size_around_block_boundaries() {
    let mut tree = Tree::default();
    for blocks in [0, 1, 2, 5, 6, 7, 8, 21, 22, 23, 37, 38, 39, 70] {
        for rest in [0, 1, 100, 2000, 4000, 4095] {
            let length = blocks * BLOCK + rest;
            let owner =
                if rest == 100 { Metadata { uid: 100_000, ..Metadata::FILE } } else { Metadata::FILE };
            tree.write(&format!("mixed/{length}"), owner, mixed(length, 1)).unwrap();
            tree.write(&format!("words/{length}"), owner, file(length, 2)).unwrap();
            let at_end = [&noise(length, 3)[..], &file(3000, 4)].concat();
            tree.write(&format!("noise-first/{length}"), owner, at_end).unwrap();
            tree.write(
                &format!("noise-last/{length}"),
                owner,
                [&file(9000, 4)[..], &noise(length, 5)].concat(),
            )
            .unwrap();
        }
    }
    check(&tree);
}

/// The index of such a file is longer than a block; by turns its end leaves room for a tail or not.
#[test]
fn takes_maps_that_go_on_in_the_next_block() {
    let mut tree = Tree::default();
    for blocks in [1980, 1990, 2000, 2010, 2020, 2030, 2040, 4070] {
        for (owner, uid) in [("root", 0), ("other", 70_000)] {
            let content = file(blocks * BLOCK + 2000, 7);
            tree.write(&format!("{owner}/{blocks}"), Metadata { uid, ..Metadata::FILE }, content).unwrap();
        }
    }
    for algorithm in [Algorithm::Lz4Hc, Algorithm::Zstd] {
        // 130 MB in a small image are too many for the reader, so fsck reads all of it alone.
        let image = image_with(&tree, Some(algorithm.into()));
        let verdict = fsck(&image, &["--extract".as_ref()]);
        assert!(verdict.accepts && !verdict.output.contains("<E>"), "{algorithm}: {}", verdict.output);
    }
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

/// Makes the first block's checksum right again, so that damage reaches the rest of the reader.
fn repair_checksum(image: &mut [u8]) {
    let block = &mut image[..BLOCK];
    block[SUPER_OFFSET + 4..SUPER_OFFSET + 8].fill(0);
    let checksum = layout::checksum(block);
    block[SUPER_OFFSET + 4..SUPER_OFFSET + 8].copy_from_slice(&checksum.to_le_bytes());
}
