//! dm-verity: reads the superblock of a hash tree and makes the kernel's table line.
//!
//! Spec: cryptsetup's `DMVerity` page, superblock version 1; the kernel's `verity.rst`.

use kernel_ioctl::dm::{DeviceNumber, Target};

use crate::gpt::Guid;
use crate::root_hash::RootHash;

/// Bytes of the superblock; the tree begins at the next hash block.
pub const SUPERBLOCK_SIZE: usize = 512;

/// The fields that the kernel needs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Superblock {
    /// UUID that `veritysetup` shows.
    pub uuid: Guid,
    /// Bytes of a block of the root.
    pub data_block_size: u32,
    /// Bytes of a block of the tree.
    pub hash_block_size: u32,
    /// Number of blocks of the root.
    pub data_blocks: u64,
    /// Hashed before each block.
    pub salt: Vec<u8>,
}

/// What the kernel does on a block that does not match its hash.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OnCorruption {
    /// The read fails and the kernel reports it.
    Report,
    /// The kernel panics, so that the boot counts as failed.
    Panic,
}

/// What is wrong with a hash tree.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    /// There is no superblock.
    #[error("no verity superblock")]
    NoSignature,
    /// A format that this program does not know.
    #[error("verity superblock is of version {version} and hash type {hash_type}, supported is 1 and 1")]
    Version {
        /// Of the superblock.
        version: u32,
        /// 1 is the plain tree.
        hash_type: u32,
    },
    /// Another hash than the root hash is made with.
    #[error("verity tree is made with `{found}`, expected `sha256`")]
    Algorithm {
        /// From the superblock.
        found: String,
    },
    /// A block size that the kernel does not take.
    #[error("verity tree has blocks of {data} and {hash} bytes, expected powers of two from 512 to 4096")]
    BlockSize {
        /// Of the root.
        data: u32,
        /// Of the tree.
        hash: u32,
    },
    /// The salt's length makes no sense.
    #[error("verity salt has {found} bytes, at most 256 fit")]
    Salt {
        /// From the superblock.
        found: u16,
    },
    /// The tree describes more than the root partition holds, or nothing.
    #[error(
        "verity tree covers {data_blocks} blocks of {block_size} bytes, the root partition has {partition} bytes"
    )]
    DataSize {
        /// Number of blocks.
        data_blocks: u64,
        /// Bytes of each.
        block_size: u32,
        /// Bytes of the root partition.
        partition: u64,
    },
}

impl Superblock {
    /// Reads the first [`SUPERBLOCK_SIZE`] bytes of the tree's partition.
    pub fn parse(bytes: &[u8; SUPERBLOCK_SIZE]) -> Result<Self, Error> {
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        if bytes[..8] != *b"verity\0\0" {
            return Err(Error::NoSignature);
        }
        let (version, hash_type) = (word(8), word(12));
        if (version, hash_type) != (1, 1) {
            return Err(Error::Version { version, hash_type });
        }
        let algorithm = bytes[32..64].split(|byte| *byte == 0).next().unwrap_or_default();
        if algorithm != b"sha256" {
            return Err(Error::Algorithm { found: String::from_utf8_lossy(algorithm).into_owned() });
        }
        let (data, hash) = (word(64), word(68));
        if [data, hash].iter().any(|size| !size.is_power_of_two() || !(512..=4096).contains(size)) {
            return Err(Error::BlockSize { data, hash });
        }
        let salt_size = u16::from_le_bytes([bytes[80], bytes[81]]);
        let salt = bytes[88..344].get(..usize::from(salt_size)).ok_or(Error::Salt { found: salt_size })?;
        let mut uuid = [0; 16];
        uuid.copy_from_slice(&bytes[16..32]);
        Ok(Self {
            uuid: Guid::from_u128(u128::from_be_bytes(uuid)),
            data_block_size: data,
            hash_block_size: hash,
            data_blocks: u64::from(word(72)) | u64::from(word(76)) << 32,
            salt: salt.to_vec(),
        })
    }

    /// The table of a device over `root`, which has `root_bytes` bytes, checked against the tree on `tree`.
    pub fn target(
        &self,
        root_hash: &RootHash,
        (root, root_bytes): (DeviceNumber, u64),
        tree: DeviceNumber,
        on_corruption: OnCorruption,
    ) -> Result<Target, Error> {
        let bytes = self.data_blocks.checked_mul(u64::from(self.data_block_size));
        let bytes = bytes.filter(|bytes| (1..=root_bytes).contains(bytes)).ok_or(Error::DataSize {
            data_blocks: self.data_blocks,
            block_size: self.data_block_size,
            partition: root_bytes,
        })?;
        let salt = if self.salt.is_empty() {
            "-".to_owned()
        } else {
            self.salt.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
        };
        let options = match on_corruption {
            OnCorruption::Report => "",
            OnCorruption::Panic => " 1 panic_on_corruption",
        };
        let parameters = format!(
            "1 {}:{} {}:{} {} {} {} 1 sha256 {root_hash} {salt}{options}",
            root.major,
            root.minor,
            tree.major,
            tree.minor,
            self.data_block_size,
            self.hash_block_size,
            self.data_blocks
        );
        Ok(Target { sectors: bytes / 512, kind: "verity".to_owned(), parameters })
    }

    /// UUID of the device as libcryptsetup gives it, so that `veritysetup status root` knows it.
    pub fn device_uuid(&self) -> String {
        format!("CRYPT-VERITY-{}-root", self.uuid.to_string().replace('-', ""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn superblock() -> [u8; SUPERBLOCK_SIZE] {
        let mut bytes = [0; SUPERBLOCK_SIZE];
        bytes[..8].copy_from_slice(b"verity\0\0");
        bytes[8] = 1;
        bytes[12] = 1;
        bytes[16..32].copy_from_slice(&[0xab; 16]);
        bytes[32..38].copy_from_slice(b"sha256");
        bytes[64..68].copy_from_slice(&4096_u32.to_le_bytes());
        bytes[68..72].copy_from_slice(&4096_u32.to_le_bytes());
        bytes[72..80].copy_from_slice(&100_u64.to_le_bytes());
        bytes[80] = 2;
        bytes[88..90].copy_from_slice(&[0x12, 0x34]);
        bytes
    }

    fn numbers() -> (DeviceNumber, DeviceNumber) {
        (DeviceNumber { major: 254, minor: 3 }, DeviceNumber { major: 254, minor: 4 })
    }

    #[test]
    fn the_table_is_what_veritysetup_would_load() {
        let hash = RootHash::parse(&"5a".repeat(32)).unwrap();
        let parsed = Superblock::parse(&superblock()).unwrap();
        let (root, tree) = numbers();
        let target = parsed.target(&hash, (root, 409_600), tree, OnCorruption::Report).unwrap();
        assert_eq!(target.sectors, 800);
        assert_eq!(
            target.parameters,
            format!("1 254:3 254:4 4096 4096 100 1 sha256 {} 1234", "5a".repeat(32))
        );
        let trial = parsed.target(&hash, (root, 409_600), tree, OnCorruption::Panic).unwrap();
        assert_eq!(trial.parameters, format!("{} 1 panic_on_corruption", target.parameters));
        assert_eq!(parsed.device_uuid(), format!("CRYPT-VERITY-{}-root", "ab".repeat(16)));
    }

    #[test]
    fn a_tree_without_salt_says_so_with_a_dash() {
        let mut bytes = superblock();
        bytes[80] = 0;
        let hash = RootHash::parse(&"00".repeat(32)).unwrap();
        let (root, tree) = numbers();
        let target =
            Superblock::parse(&bytes).unwrap().target(&hash, (root, 1 << 30), tree, OnCorruption::Report);
        assert!(target.unwrap().parameters.ends_with("00 -"));
    }

    #[test]
    fn wrong_superblocks_are_told_apart() {
        let cases: [(usize, u8, Error); 6] = [
            (0, b'V', Error::NoSignature),
            (8, 2, Error::Version { version: 2, hash_type: 1 }),
            (12, 0, Error::Version { version: 1, hash_type: 0 }),
            (35, b'5', Error::Algorithm { found: "sha556".to_owned() }),
            (65, 0x11, Error::BlockSize { data: 0x1100, hash: 4096 }),
            (81, 1, Error::Salt { found: 258 }),
        ];
        for (at, value, error) in cases {
            let mut bytes = superblock();
            bytes[at] = value;
            assert_eq!(Superblock::parse(&bytes), Err(error), "byte {at}");
        }
    }

    #[test]
    fn a_tree_over_more_than_the_partition_is_refused() {
        let hash = RootHash::parse(&"00".repeat(32)).unwrap();
        let (root, tree) = numbers();
        for (blocks, partition) in [(100, 409_599), (u64::MAX, u64::MAX), (0, 409_600)] {
            let parsed = Superblock { data_blocks: blocks, ..Superblock::parse(&superblock()).unwrap() };
            assert_eq!(
                parsed.target(&hash, (root, partition), tree, OnCorruption::Report),
                Err(Error::DataSize { data_blocks: blocks, block_size: 4096, partition })
            );
        }
    }
}
