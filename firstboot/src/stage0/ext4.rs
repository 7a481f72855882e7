//! The few fields of an ext4 superblock that tell what lies on the state partition.
//!
//! Spec: the kernel's `filesystems/ext4/super.rst`.

/// Where the superblock lies, in bytes from the partition's start.
pub const SUPERBLOCK_AT: u64 = 1024;
/// Bytes of the superblock.
pub const SUPERBLOCK_SIZE: usize = 1024;

/// What the superblock tells.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Superblock {
    /// Bytes of the whole file system.
    pub size: u64,
    /// Label, at most 16 bytes.
    pub label: String,
    /// When it was last written, in seconds since 1970.
    pub written: u64,
}

impl Superblock {
    /// `None` where the bytes are no superblock of the ext family.
    pub fn parse(bytes: &[u8; SUPERBLOCK_SIZE]) -> Option<Self> {
        let word = |at: usize| {
            u64::from(u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]))
        };
        let exponent = u32::try_from(word(0x18)).ok().filter(|exponent| *exponent <= 6)?;
        if bytes[0x38..0x3a] != [0x53, 0xef] {
            return None;
        }
        // The high half of the block count is valid only with the feature `64bit`.
        let has_high_half = word(0x60) & 0x80 != 0;
        let high = if has_high_half { word(0x150) << 32 } else { 0 };
        let label = bytes[0x78..0x88].split(|byte| *byte == 0).next().unwrap_or_default();
        Some(Self {
            size: (word(0x4) | high).checked_mul(1024 << exponent)?,
            label: String::from_utf8_lossy(label).into_owned(),
            written: word(0x30) | u64::from(bytes[0x274]) << 32,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn superblock() -> [u8; SUPERBLOCK_SIZE] {
        let mut bytes = [0; SUPERBLOCK_SIZE];
        bytes[0x4..0x8].copy_from_slice(&1000_u32.to_le_bytes());
        bytes[0x18] = 2;
        bytes[0x30..0x34].copy_from_slice(&1_700_000_000_u32.to_le_bytes());
        bytes[0x38..0x3a].copy_from_slice(&[0x53, 0xef]);
        bytes[0x78..0x7d].copy_from_slice(b"state");
        bytes
    }

    #[test]
    fn size_label_and_time_are_read() {
        let expected = Superblock { size: 4_096_000, label: "state".to_owned(), written: 1_700_000_000 };
        assert_eq!(Superblock::parse(&superblock()), Some(expected));
    }

    #[test]
    fn large_file_systems_use_the_high_half_and_late_times_the_extra_byte() {
        let mut bytes = superblock();
        bytes[0x150] = 1;
        assert_eq!(Superblock::parse(&bytes).unwrap().size, 4_096_000, "without the feature `64bit`");
        bytes[0x60] = 0x80;
        bytes[0x274] = 1;
        let parsed = Superblock::parse(&bytes).unwrap();
        assert_eq!(parsed.size, (1000 + (1 << 32)) * 4096);
        assert_eq!(parsed.written, 1_700_000_000 + (1 << 32));
    }

    #[test]
    fn what_is_no_superblock_is_none() {
        assert_eq!(Superblock::parse(&[0; SUPERBLOCK_SIZE]), None);
        assert_eq!(Superblock::parse(&[0xff; SUPERBLOCK_SIZE]), None);
        let mut huge = superblock();
        huge[0x18] = 40;
        assert_eq!(Superblock::parse(&huge), None);
    }
}
