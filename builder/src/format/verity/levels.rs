//! The levels of a tree: how many blocks each has, and how one is made from the one below.

use rayon::iter::{IndexedParallelIterator as _, ParallelIterator as _};
use rayon::slice::{ParallelSlice as _, ParallelSliceMut as _};

use super::{BLOCK, Digester};

/// Bytes of a digest.
pub(super) const DIGEST: usize = 32;
/// Digests per hash block.
const PER_BLOCK: u64 = 128;

/// Blocks of each level, level 0 first. One data block has no levels: its digest is the root hash.
pub(super) fn blocks(data_blocks: u64) -> Vec<u64> {
    let mut levels = Vec::new();
    let mut below = data_blocks;
    while below > 1 {
        below = below.div_ceil(PER_BLOCK);
        levels.push(below);
    }
    levels
}

/// Digests of `blocks`, which is a whole number of blocks, computed on all processors.
pub(super) fn digests(digester: &Digester, blocks: &[u8]) -> Vec<u8> {
    let mut digests = vec![0; blocks.len() / BLOCK * DIGEST];
    blocks.par_chunks(BLOCK).zip(digests.par_chunks_mut(DIGEST)).for_each(|(block, digest)| {
        digest.copy_from_slice(&digester.digest(block).0);
    });
    digests
}

/// All levels above `digests`, the digests of the data blocks: the tree as it lies on disk, top
/// level first, and the root hash.
pub(super) fn build(digester: &Digester, mut digests: Vec<u8>) -> (Vec<u8>, Vec<u8>) {
    let mut levels = Vec::new();
    while digests.len() > DIGEST {
        digests.resize(digests.len().next_multiple_of(BLOCK), 0);
        let above = self::digests(digester, &digests);
        levels.push(std::mem::replace(&mut digests, above));
    }
    levels.reverse();
    (levels.concat(), digests)
}
