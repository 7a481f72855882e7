//! Checking data against a tree, and the tree against its root hash.

use std::io::{self, Read};

use thiserror::Error;

use super::superblock::{self, SuperBlock, Unknown};
use super::{BLOCK, Digester, levels};
use crate::units::{Bytes, RootHash, Sha256};

/// Data checked at a time.
const CHUNK: usize = 1024 * BLOCK;

/// What is wrong with data or their tree.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// A field of the super block has a value that no tree of ours has.
    #[error("`{field}` of the verity super block is {found:#x}, not {expected:#x}")]
    SuperBlock {
        /// Name in the specification.
        field: &'static str,
        /// The value that is understood.
        expected: u64,
        /// The value on disk.
        found: u64,
    },
    /// The tree has not the size that its number of data blocks asks for.
    #[error("a tree over {data_blocks} blocks has {expected} blocks, this one {} bytes", found.0)]
    TreeSize {
        /// Data blocks by the super block.
        data_blocks: u64,
        /// Blocks that super block and tree take.
        expected: u64,
        /// Bytes of the tree as given.
        found: Bytes,
    },
    /// The data have another size than the tree was made for.
    #[error("the tree is over {data_blocks} blocks, the data have {} bytes", found.0)]
    DataSize {
        /// Data blocks by the super block.
        data_blocks: u64,
        /// Bytes of data read.
        found: Bytes,
    },
    /// The top of the tree is not what the root hash vouches for.
    #[error("root hash is {found}, not {expected}")]
    RootHash {
        /// The root hash as given.
        expected: RootHash,
        /// The digest of the top block.
        found: RootHash,
    },
    /// A block of the tree differs from its digest one level above.
    #[error("hash block {block} has digest {found}, not {expected}")]
    HashBlock {
        /// Number of the block in the hash partition; the super block is 0.
        block: u64,
        /// The digest one level above.
        expected: Sha256,
        /// The digest of the block.
        found: Sha256,
    },
    /// A block of data differs from its digest.
    #[error("data block {block} has digest {found}, not {expected}")]
    DataBlock {
        /// Number of the first bad block.
        block: u64,
        /// The digest in the tree.
        expected: Sha256,
        /// The digest of the block.
        found: Sha256,
    },
    /// The data cannot be read.
    #[error("reading the data")]
    Read {
        /// Why not.
        #[from]
        source: io::Error,
    },
}

impl From<Unknown> for VerifyError {
    fn from(Unknown { field, expected, found }: Unknown) -> Self {
        Self::SuperBlock { field, expected, found }
    }
}

/// Checks the hash partition's contents `tree` against `root_hash`, top down, then `data` against
/// the tree; the error names the first bad block. Returns the number of data blocks.
pub fn verify(data: impl Read, tree: &[u8], root_hash: RootHash) -> Result<u64, VerifyError> {
    let short = || VerifyError::TreeSize { data_blocks: 0, expected: 1, found: Bytes::of(tree) };
    let raw = tree.first_chunk::<{ superblock::SIZE }>().ok_or_else(short)?;
    let super_block = SuperBlock::decode(raw)?;
    let data_blocks = super_block.data_blocks;
    let digester = Digester::new(&super_block.salt);
    let leaves = check_tree(&digester, tree, data_blocks, root_hash)?;
    check_data(&digester, data, data_blocks, &leaves)?;
    Ok(data_blocks)
}

/// Checks all levels and returns level 0, or the root hash alone where there are no levels.
fn check_tree(
    digester: &Digester,
    tree: &[u8],
    data_blocks: u64,
    root_hash: RootHash,
) -> Result<Vec<u8>, VerifyError> {
    let levels = levels::blocks(data_blocks);
    let expected = levels.iter().fold(1_u64, |sum, blocks| sum.saturating_add(*blocks));
    let found = Bytes::of(tree);
    let block_bytes = Bytes::of(&[0; BLOCK]).0;
    if expected.checked_mul(block_bytes) != Some(found.0) || data_blocks == 0 {
        return Err(VerifyError::TreeSize { data_blocks, expected, found });
    }
    let mut above = root_hash.0.0.to_vec();
    let mut rest = &tree[BLOCK..];
    let mut block = 1;
    for (depth, blocks) in levels.iter().rev().enumerate() {
        let length = usize::try_from(*blocks).unwrap_or(usize::MAX).saturating_mul(BLOCK);
        let (level, below) = rest.split_at(length.min(rest.len()));
        if let Some((index, expected, found)) = first_difference(digester, level, &above) {
            return Err(if depth == 0 {
                VerifyError::RootHash { expected: root_hash, found: RootHash(found) }
            } else {
                VerifyError::HashBlock { block: block + index, expected, found }
            });
        }
        block += blocks;
        above = level.to_vec();
        rest = below;
    }
    Ok(above)
}

fn check_data(
    digester: &Digester,
    mut data: impl Read,
    data_blocks: u64,
    leaves: &[u8],
) -> Result<(), VerifyError> {
    let mut chunk = Vec::with_capacity(CHUNK);
    let mut blocks = 0_u64;
    let mut length = 0_u64;
    for leaves in leaves.chunks(CHUNK / BLOCK * levels::DIGEST) {
        let limit = u64::try_from(CHUNK).unwrap_or(u64::MAX);
        chunk.clear();
        data.by_ref().take(limit).read_to_end(&mut chunk)?;
        length += Bytes::of(&chunk).0;
        let whole = &chunk[..chunk.len() / BLOCK * BLOCK];
        let wanted = usize::try_from(data_blocks - blocks).unwrap_or(usize::MAX).saturating_mul(BLOCK);
        let whole = &whole[..whole.len().min(wanted)];
        if let Some((index, expected, found)) = first_difference(digester, whole, leaves) {
            return Err(VerifyError::DataBlock { block: blocks + index, expected, found });
        }
        blocks += u64::try_from(whole.len() / BLOCK).unwrap_or(u64::MAX);
    }
    length += io::copy(&mut data, &mut io::sink())?;
    let found = Bytes(length);
    if data_blocks.checked_mul(Bytes::of(&[0; BLOCK]).0) != Some(length) {
        return Err(VerifyError::DataSize { data_blocks, found });
    }
    Ok(())
}

/// Index, expected and found digest of the first of `blocks` that differs from `expected`.
fn first_difference(digester: &Digester, blocks: &[u8], expected: &[u8]) -> Option<(u64, Sha256, Sha256)> {
    let found = levels::digests(digester, blocks);
    let pairs = found.chunks(levels::DIGEST).zip(expected.chunks(levels::DIGEST));
    let (index, (found, expected)) = (0..).zip(pairs).find(|(_, (found, expected))| found != expected)?;
    let digest = |bytes: &[u8]| bytes.try_into().ok().map(Sha256);
    Some((index, digest(expected)?, digest(found)?))
}
