//! Damaged images: noticed, named, and never believed.

use bytes::Bytes;

use super::*;
use crate::diagnostic::chain;

/// What the reader says of `good` with `value` at `offset`.
fn fault_of(good: &Bytes, offset: usize, value: &[u8]) -> String {
    let mut bytes = good.to_vec();
    bytes[offset..offset + value.len()].copy_from_slice(value);
    repair_checksum(&mut bytes);
    chain(&read(&Bytes::from(bytes)).map(|_| "a tree").unwrap_err())
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
fn survives_every_flipped_bit_of_a_compressed_image() {
    let mut tree = Tree::default();
    tree.write("mixed", Metadata::FILE, mixed(40_000, 1)).unwrap();
    tree.write("words", Metadata::FILE, file(3000, 1)).unwrap();
    for algorithm in [Algorithm::Lz4Hc, Algorithm::Zstd] {
        let good = image_with(&tree, Some(algorithm.into()));
        let mut refused = 0;
        for offset in SUPER_OFFSET..BLOCK + 256 {
            for bit in 0..8 {
                let mut bytes = good.to_vec();
                bytes[offset] ^= 1 << bit;
                repair_checksum(&mut bytes);
                refused += usize::from(read(&Bytes::from(bytes)).is_err());
            }
        }
        assert!(refused > 1000, "{algorithm}: {refused}");
    }
}

#[test]
fn names_what_is_wrong_with_a_damaged_compressed_image() {
    let mut tree = Tree::default();
    tree.write("a", Metadata::FILE, mixed(40_000, 1)).unwrap();
    let good = image_with(&tree, Some(Algorithm::Lz4Hc.into()));
    let nid = 40;
    let inode = nid * 32;
    let damaged = |offset, value: &[u8]| fault_of(&good, offset, value);
    let (header, index) = (inode + 32, inode + 40);
    let faults = [
        damaged(inode + 8, &u32::MAX.to_le_bytes()),
        damaged(header + 4, &[0x2F, 0]),
        damaged(header + 6, &[3]),
        damaged(header + 6, &[0x11]),
        damaged(header + 7, &[1]),
        damaged(header + 2, &[0xFF, 0x0F]),
        damaged(index, &[0, 0x20]),
        damaged(index + 2, &[0, 0x20]),
        damaged(index + 4, &u32::MAX.to_le_bytes()),
        damaged(good.len() - 100, &[0xFF; 100]),
    ];
    insta::assert_snapshot!(faults.join("\n"), @"
    `/a` is corrupt: unpacked contents come to 4294967295 bytes, of an image of 28672
    `h_advise` of inode `/a` is 0x2f, which is not supported
    `h_algorithmtype` of inode `/a` is 0x3, which is not supported
    `h_algorithmtype` of inode `/a` is 0x11, which is not supported
    `h_clusterbits` of inode `/a` is 0x1, which is not supported
    `/a` is corrupt: its tail of 4095 bytes at 0x550 crosses a block boundary
    `/a` is corrupt: its logical cluster 0 is of no kind that may stand there
    `/a` is corrupt: its logical cluster 1 is of no kind that may stand there
    `/a` is corrupt: its logical cluster 1 is of no kind that may stand there
    `/a` is corrupt: the 37096 bytes at 0 of it can't be unpacked
    ");
}

/// A map costs little, so its size is checked before it is believed.
#[test]
fn unpacks_no_more_than_a_multiple_of_the_image() {
    let mut tree = Tree::default();
    for index in 0..20 {
        tree.write(&format!("{index}"), Metadata::FILE, vec![index; 1 << 20]).unwrap();
    }
    let image = image_with(&tree, Some(Algorithm::Zstd.into()));
    let fault = read(&image).unwrap_err();
    let expected = Corruption::Amplified { copied: 5 << 20, image: image.len() };
    assert_eq!(fault, ReadError::Corrupt { path: "/12".to_owned(), corruption: expected });
}

#[test]
fn names_what_is_wrong_with_a_damaged_image() {
    let good = image(&small());
    let damaged = |offset, value: &[u8]| fault_of(&good, offset, value);
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
