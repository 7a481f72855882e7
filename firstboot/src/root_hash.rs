//! What vouches for a root, and names it.

use std::fmt;

use crate::gpt::Guid;

/// SHA-256 over the root of the hash tree; names the root and its partitions.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct RootHash([u8; 32]);

impl RootHash {
    /// Reads 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// PARTUUID of the root partition: the first half (Discoverable Partitions Specification).
    pub fn root_partition(&self) -> Guid {
        self.half(0)
    }

    /// PARTUUID of the hash tree's partition: the second half.
    pub fn verity_partition(&self) -> Guid {
        self.half(16)
    }

    fn half(&self, from: usize) -> Guid {
        let mut half = [0; 16];
        half.copy_from_slice(&self.0[from..from + 16]);
        Guid::from_u128(u128::from_be_bytes(half))
    }
}

impl fmt::Display for RootHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for RootHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RootHash({self})")
    }
}
