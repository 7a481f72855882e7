//! Trees and garbage that nobody thought of.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

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
        4 => (length(), 0..4_u8).prop_map(|(length, seed)| Kind::File(file(length, seed))),
        3 => (length(), 0..4_u8).prop_map(|(length, seed)| Kind::File(mixed(7 * length, seed))),
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
    fn takes_any_tree(tree in any_tree(), how in 0..5_usize) {
        let compression = compressions().get(how).copied();
        check_image(&tree, &image_with(&tree, compression), &format!("{compression:?}"));
    }

    /// Garbage is an error or another tree, never a panic or a loop.
    #[test]
    fn survives_any_garbage(
        tree in any_tree(),
        spots in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        how in 0..5_usize,
    ) {
        let mut bytes = image_with(&tree, compressions().get(how).copied()).to_vec();
        for (spot, value) in spots {
            let length = bytes.len();
            bytes[spot.index(length)] = value;
        }
        repair_checksum(&mut bytes);
        let _ = read(&Bytes::from(bytes));
    }
}
