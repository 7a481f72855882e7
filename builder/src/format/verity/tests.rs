use std::io::Write as _;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::format::oracle;

const OPTIONS: Options = Options { salt: [0x5A; 32], uuid: Uuid::from_u128(0x1122_3344_5566_7788) };

fn data(blocks: usize) -> Vec<u8> {
    (0..blocks).flat_map(|block| [u8::try_from(block % 251).unwrap(); BLOCK]).collect()
}

fn veritysetup(action: &str, data: &Path, tree: &Path, more: &[&str]) -> oracle::Verdict {
    let mut arguments = vec![action.as_ref(), data.as_os_str(), tree.as_os_str()];
    arguments.extend(more.iter().map(|argument| -> &std::ffi::OsStr { argument.as_ref() }));
    oracle::ask("veritysetup", &arguments)
}

/// Block counts around each change of the number of levels or of a level's blocks.
const COUNTS: [usize; 10] = [1, 2, 127, 128, 129, 1000, 1024, 1025, 128 * 128, 128 * 128 + 1];

#[test]
fn makes_the_bytes_that_veritysetup_makes() {
    let folder = tempfile::tempdir().unwrap();
    let (data_file, theirs) = (folder.path().join("data"), folder.path().join("theirs"));
    let salt: String = OPTIONS.salt.map(|byte| format!("{byte:02x}")).concat();
    for blocks in COUNTS {
        std::fs::write(&data_file, data(blocks)).unwrap();
        let ours = hash_tree(std::fs::File::open(&data_file).unwrap(), &OPTIONS).unwrap();
        let _ = std::fs::remove_file(&theirs);
        let verdict = veritysetup(
            "format",
            &data_file,
            &theirs,
            &[&format!("--salt={salt}"), &format!("--uuid={}", OPTIONS.uuid)],
        );
        assert!(verdict.accepts, "{blocks} blocks: {}", verdict.output);
        let root_hash = verdict.output.lines().find_map(|line| line.strip_prefix("Root hash:")).unwrap();
        assert_eq!(ours.root_hash.to_string(), root_hash.trim(), "{blocks} blocks");
        assert!(ours.bytes == std::fs::read(&theirs).unwrap(), "trees over {blocks} blocks differ");
    }
}

#[test]
fn veritysetup_accepts_our_tree_and_no_other_data() {
    let folder = tempfile::tempdir().unwrap();
    let (data_file, tree_file) = (folder.path().join("data"), folder.path().join("tree"));
    let mut data = data(300);
    let tree = hash_tree(data.as_slice(), &OPTIONS).unwrap();
    std::fs::write(&data_file, &data).unwrap();
    std::fs::write(&tree_file, &tree.bytes).unwrap();
    let root_hash = tree.root_hash.to_string();
    let verdict = veritysetup("verify", &data_file, &tree_file, &[&root_hash]);
    assert!(verdict.accepts, "{}", verdict.output);
    data[299 * BLOCK] ^= 1;
    std::fs::write(&data_file, &data).unwrap();
    assert!(!veritysetup("verify", &data_file, &tree_file, &[&root_hash]).accepts);
}

#[test]
fn passes_on_what_it_hashes() {
    let data = data(2500);
    let mut writer = Writer::new(Vec::new(), OPTIONS);
    for piece in data.chunks(100_003) {
        writer.write_all(piece).unwrap();
    }
    let (passed, tree) = writer.finish().unwrap();
    assert!(passed == data, "the data changed on their way");
    assert_eq!(tree, hash_tree(data.as_slice(), &OPTIONS).unwrap());
}

#[test]
fn refuses_data_that_are_no_whole_blocks() {
    for length in [0, 1, BLOCK - 1, BLOCK + 1, 1025 * BLOCK - 1] {
        let fault = hash_tree(vec![0; length].as_slice(), &OPTIONS).unwrap_err();
        assert_eq!(
            fault.to_string(),
            format!("{length} bytes of data are no whole number of blocks of 4096 bytes, at least one")
        );
    }
}

#[test]
fn accepts_its_own_trees() {
    for blocks in COUNTS {
        let data = data(blocks);
        let tree = hash_tree(data.as_slice(), &OPTIONS).unwrap();
        let checked = verify(data.as_slice(), &tree.bytes, tree.root_hash).unwrap();
        assert_eq!(checked, u64::try_from(blocks).unwrap());
        assert_eq!(tree.data_blocks, checked);
    }
}

#[test]
fn names_the_first_bad_data_block() {
    let mut data = data(3000);
    let tree = hash_tree(data.as_slice(), &OPTIONS).unwrap();
    data[2345 * BLOCK + 17] ^= 0x80;
    data[2999 * BLOCK] ^= 1;
    let fault = verify(data.as_slice(), &tree.bytes, tree.root_hash).unwrap_err();
    assert!(matches!(fault, VerifyError::DataBlock { block: 2345, .. }), "{fault}");
}

#[test]
fn names_the_bad_block_of_the_tree() {
    let data = data(3000);
    let good = hash_tree(data.as_slice(), &OPTIONS).unwrap();
    let corrupt = |offset: usize| {
        let mut bytes = good.bytes.clone();
        bytes[offset] ^= 1;
        verify(data.as_slice(), &bytes, good.root_hash).unwrap_err()
    };
    let fault = corrupt(BLOCK);
    assert!(matches!(fault, VerifyError::RootHash { expected, .. } if expected == good.root_hash), "{fault}");
    let fault = corrupt(2 * BLOCK + 5);
    assert!(matches!(fault, VerifyError::HashBlock { block: 2, .. }), "{fault}");
    let fault = corrupt(good.bytes.len() - 1);
    assert!(matches!(fault, VerifyError::HashBlock { block: 25, .. }), "{fault}");
    let fault = corrupt(88);
    assert!(matches!(fault, VerifyError::RootHash { .. }), "salt: {fault}");
    assert_eq!(
        corrupt(32).to_string(),
        "`algorithm` of the verity super block is 0x363532616872, not 0x363532616873"
    );
}

#[test]
fn tells_wrong_sizes_apart_from_wrong_bytes() {
    let data = data(200);
    let tree = hash_tree(data.as_slice(), &OPTIONS).unwrap();
    let check = |data: &[u8], bytes: &[u8]| verify(data, bytes, tree.root_hash).unwrap_err().to_string();
    let shorter = check(&data[..data.len() - 1], &tree.bytes);
    assert_eq!(shorter, "the tree is over 200 blocks, the data have 819199 bytes");
    let longer = check(&[data.as_slice(), &[0; BLOCK]].concat(), &tree.bytes);
    assert_eq!(longer, "the tree is over 200 blocks, the data have 823296 bytes");
    let truncated = check(&data, &tree.bytes[..tree.bytes.len() - BLOCK]);
    assert_eq!(truncated, "a tree over 200 blocks has 4 blocks, this one 12288 bytes");
    let absurd = {
        let mut bytes = tree.bytes.clone();
        bytes[72..80].fill(0xFF);
        check(&data, &bytes)
    };
    assert!(absurd.starts_with("a tree over 18446744073709551615 blocks has "), "{absurd}");
    assert_eq!(check(&data, b"verity"), "a tree over 0 blocks has 1 blocks, this one 6 bytes");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn notices_every_flipped_bit(blocks in 1_usize..300, position: prop::sample::Index, bit in 0_u8..8) {
        let mut data = data(blocks);
        let mut tree = hash_tree(data.as_slice(), &OPTIONS).unwrap();
        // Of the super block only the UUID and the padding are not vouched for.
        let vouched = data.len() + tree.bytes.len() - BLOCK;
        let offset = position.index(vouched);
        let byte = match offset.checked_sub(data.len()) {
            Some(offset) => &mut tree.bytes[BLOCK + offset],
            None => &mut data[offset],
        };
        *byte ^= 1 << bit;
        let fault = verify(data.as_slice(), &tree.bytes, tree.root_hash).unwrap_err();
        let names_a_block = matches!(
            fault,
            VerifyError::DataBlock { .. } | VerifyError::HashBlock { .. } | VerifyError::RootHash { .. }
        );
        prop_assert!(names_a_block, "{fault}");
    }
}

#[test]
fn tells_the_size_of_a_hash_tree_before_there_is_one() {
    // 2 GiB: 524288 data blocks, levels of 4096, 32 and 1 blocks, and the super block.
    assert_eq!(tree_size(Bytes(2 << 30)), Bytes((4096 + 32 + 1 + 1) * 4096));
    for blocks in [1_u64, 2, 128, 129] {
        let data = vec![1; usize::try_from(blocks * 4096).unwrap()];
        let tree = hash_tree(data.as_slice(), &OPTIONS).unwrap();
        assert_eq!(tree_size(Bytes::of(&data)), Bytes::of(&tree.bytes), "{blocks}");
    }
}
