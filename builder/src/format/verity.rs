//! dm-verity: a tree of hashes that lets the kernel check each block of a partition as it is read.
//!
//! ```text
//! block 0        super block, 512 bytes
//! block 1        the top level: one block, whose digest is the root hash
//! …              levels below it; a block holds the digests of 128 blocks of the level below
//! last blocks    level 0: digests of the data blocks
//! ```
//! Format: <https://gitlab.com/cryptsetup/cryptsetup/-/wikis/DMVerity>; subset: version 1, hash type 1
//! (salt before data), SHA-256, blocks of 4096 bytes for data and hashes.
//!
//! [`Writer`] hashes what passes through it; [`hash_tree`] is for data that exist; [`verify`] says
//! which block is bad. [`file_digest`] is fs-verity's, whose tree is the same.

mod fs_verity;
mod levels;
mod superblock;
mod verify;
mod writer;

use std::io;

use thiserror::Error;
use uuid::Uuid;

use crate::units::{Bytes, RootHash, Sha256};

pub use fs_verity::{Sparse, file_digest};
pub use verify::{VerifyError, verify};
pub use writer::{Writer, hash_tree};

/// Bytes per block of data and of hashes.
const BLOCK: usize = 4096;
/// The same on a disk.
const BLOCK_SIZE: Bytes = Bytes(4096);

/// What a hash tree is made with beside its data.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Options {
    /// Hashed before each block.
    pub salt: [u8; 32],
    /// Identifies the hash device.
    pub uuid: Uuid,
}

/// A finished hash tree.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HashTree {
    /// Contents of the hash partition: super block and tree, a multiple of 4096 bytes.
    pub bytes: Vec<u8>,
    /// What vouches for all of the data.
    pub root_hash: RootHash,
    /// Number of 4096-byte blocks of data.
    pub data_blocks: u64,
}

/// Size of the hash tree of this much data: super block, then each level's blocks.
pub fn tree_size(data: Bytes) -> Bytes {
    let levels: u64 = levels::blocks(data.0.div_ceil(BLOCK_SIZE.0)).into_iter().sum();
    Bytes(levels.saturating_add(1).saturating_mul(BLOCK_SIZE.0))
}

/// Why data cannot have a hash tree.
#[derive(Debug, Error)]
pub enum VerityError {
    /// The data are empty or end within a block.
    #[error("{} bytes of data are no whole number of blocks of {BLOCK} bytes, at least one", length.0)]
    Length {
        /// Bytes of data.
        length: Bytes,
    },
    /// The data cannot be read or passed on.
    #[error("hashing the data")]
    Io {
        /// Why not.
        #[from]
        source: io::Error,
    },
}

/// SHA-256 of salt and block.
#[derive(Clone, Debug)]
struct Digester {
    salted: sha2::Sha256,
}

impl Digester {
    fn new(salt: &[u8]) -> Self {
        use sha2::Digest as _;
        Self { salted: sha2::Sha256::new_with_prefix(salt) }
    }

    fn digest(&self, block: &[u8]) -> Sha256 {
        use sha2::Digest as _;
        Sha256(self.salted.clone().chain_update(block).finalize().into())
    }
}

#[cfg(test)]
mod tests;
