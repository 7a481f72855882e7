//! `struct verity_sb` of cryptsetup's `lib/verity/verity.c`; integers are little-endian.

use super::BLOCK;

/// Bytes of the structure; the rest of its block is zero.
pub(super) const SIZE: usize = 512;
const SIGNATURE: [u8; 8] = *b"verity\0\0";
const VERSION: u32 = 1;
const HASH_TYPE: u32 = 1;
const ALGORITHM: &[u8] = b"sha256";
const SALT_MAX: usize = 256;

/// What stands before the tree.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct SuperBlock {
    /// Identifies the hash device.
    pub(super) uuid: [u8; 16],
    /// Number of data blocks.
    pub(super) data_blocks: u64,
    /// 0 to 256 bytes.
    pub(super) salt: Vec<u8>,
}

/// A field whose value we do not know, under its name in the specification.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Unknown {
    pub(super) field: &'static str,
    pub(super) expected: u64,
    pub(super) found: u64,
}

impl SuperBlock {
    pub(super) fn encode(&self) -> [u8; SIZE] {
        let block = u32::try_from(BLOCK).expect("4096").to_le_bytes();
        let salt_size = u16::try_from(self.salt.len()).expect("a salt has at most 256 bytes");
        let mut raw = [0; SIZE];
        put(&mut raw, 0, &SIGNATURE);
        put(&mut raw, 8, &VERSION.to_le_bytes());
        put(&mut raw, 12, &HASH_TYPE.to_le_bytes());
        put(&mut raw, 16, &self.uuid);
        put(&mut raw, 32, ALGORITHM);
        put(&mut raw, 64, &block);
        put(&mut raw, 68, &block);
        put(&mut raw, 72, &self.data_blocks.to_le_bytes());
        put(&mut raw, 80, &salt_size.to_le_bytes());
        put(&mut raw, 88, &self.salt);
        raw
    }

    pub(super) fn decode(raw: &[u8; SIZE]) -> Result<Self, Unknown> {
        let number = |field, found, expected| {
            if found == expected { Ok(()) } else { Err(Unknown { field, expected, found }) }
        };
        let u32_at = |offset| u64::from(u32::from_le_bytes(get(raw, offset)));
        let block = u64::try_from(BLOCK).expect("4096");
        number("signature", u64::from_le_bytes(get(raw, 0)), u64::from_le_bytes(SIGNATURE))?;
        number("version", u32_at(8), u64::from(VERSION))?;
        number("hash_type", u32_at(12), u64::from(HASH_TYPE))?;
        let mut algorithm = [0; 32];
        put(&mut algorithm, 0, ALGORITHM);
        if get::<32>(raw, 32) != algorithm {
            let first = |bytes: &[u8; 32]| u64::from_le_bytes(get(bytes, 0));
            number("algorithm", first(&get(raw, 32)), first(&algorithm))?;
            number("algorithm, second half", 1, 0)?;
        }
        number("data_block_size", u32_at(64), block)?;
        number("hash_block_size", u32_at(68), block)?;
        let salt_size = usize::from(u16::from_le_bytes(get(raw, 80)));
        let salt = get::<SALT_MAX>(raw, 88);
        let Some(salt) = salt.get(..salt_size) else {
            return Err(Unknown {
                field: "salt_size",
                expected: 256,
                found: u64::try_from(salt_size).unwrap_or(u64::MAX),
            });
        };
        Ok(Self { uuid: get(raw, 16), data_blocks: u64::from_le_bytes(get(raw, 72)), salt: salt.to_vec() })
    }
}

fn put(raw: &mut [u8], offset: usize, field: &[u8]) {
    raw[offset..offset + field.len()].copy_from_slice(field);
}

fn get<const N: usize>(raw: &[u8], offset: usize) -> [u8; N] {
    std::array::from_fn(|index| raw[offset + index])
}
