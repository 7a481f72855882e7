//! The map of a compressed inode: a header, then for each *logical cluster* of 4096 bytes what lies in it.
//!
//! ```text
//! | map header | 3 packs of 2 entries | packs of 16 entries … | packs of 2 entries … | inline cluster |
//! ```
//! A pack ends in a 32-bit block address, from which those of its entries are counted. This is the
//! compact form, `EROFS_INODE_COMPRESSED_COMPACT` with 2-byte packs and big clusters (`fs/erofs/zmap.c`).

use super::layout::{BLOCK, get, put};

/// Size of `struct z_erofs_map_header`.
pub(super) const MAP_HEADER: usize = 8;
/// `Z_EROFS_ADVISE_COMPACTED_2B`: there are packs of 16.
pub(super) const ADVISE_COMPACTED_2B: u16 = 1;
/// `Z_EROFS_ADVISE_BIG_PCLUSTER_1` and `_2`: compressed clusters may have many blocks. The compact form
/// wants both bits, though no file has clusters of a second kind.
pub(super) const ADVISE_BIG_PCLUSTER: u16 = 2 | 4;
/// `Z_EROFS_ADVISE_INLINE_PCLUSTER`: the last compressed cluster follows the map.
pub(super) const ADVISE_INLINE_PCLUSTER: u16 = 8;
/// Most blocks that a compressed cluster has: `Z_EROFS_PCLUSTER_MAX_SIZE`.
pub(super) const BLOCKS_MAX: u16 = 256;

/// `Z_EROFS_LI_D0_CBLKCNT`: an entry holds the number of blocks, not a distance.
const BLOCK_COUNT: u16 = 1 << 11;
/// Bits of an entry below its type.
const VALUE_BITS: u32 = 12;
const VALUE_MASK: u16 = (1 << VALUE_BITS) - 1;
/// Entries before the first pack of 16, which lies at a multiple of 32 bytes: inodes do, and the map
/// header takes 8.
const SMALL_FIRST: usize = 6;

/// `struct z_erofs_map_header`, without fragments.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct MapHeader {
    /// Bytes of the inline cluster.
    pub(super) idata_size: u16,
    /// `ADVISE_…` bits.
    pub(super) advise: u16,
    /// Code of the algorithm in the low half; the high half is for a second one.
    pub(super) algorithm: u8,
    /// Binary logarithm of a logical cluster's blocks.
    pub(super) clusterbits: u8,
}

impl MapHeader {
    pub(super) fn encode(self) -> [u8; MAP_HEADER] {
        let mut raw = [0; MAP_HEADER];
        put(&mut raw, 0x02, self.idata_size.to_le_bytes());
        put(&mut raw, 0x04, self.advise.to_le_bytes());
        put(&mut raw, 0x06, [self.algorithm]);
        put(&mut raw, 0x07, [self.clusterbits]);
        raw
    }

    pub(super) fn decode(raw: [u8; MAP_HEADER]) -> Self {
        Self {
            idata_size: u16::from_le_bytes(get(&raw, 0x02)),
            advise: u16::from_le_bytes(get(&raw, 0x04)),
            algorithm: raw[0x06],
            clusterbits: raw[0x07],
        }
    }
}

/// What a logical cluster holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Cluster {
    /// The start of an extent, or of nothing behind the end of the file.
    Head {
        is_packed: bool,
        /// Where it starts in the cluster.
        offset: u16,
        /// Where its blocks start, counted from those of the file when written, of the image when read.
        block: u32,
    },
    /// The second cluster of an extent.
    Second {
        /// Blocks of the extent.
        blocks: u16,
    },
    /// A later cluster of an extent.
    Later {
        /// Clusters since the head.
        back: u16,
        /// Clusters to the next head; only what the last entry of a pack says is kept on disk.
        ahead: u16,
    },
}

impl Cluster {
    /// Type and value, of an entry that is or is not the last of its pack.
    fn entry(self, is_last: bool) -> u16 {
        match self {
            Self::Head { is_packed, offset, .. } => u16::from(is_packed) << VALUE_BITS | offset,
            Self::Second { blocks } => 2 << VALUE_BITS | BLOCK_COUNT | blocks,
            Self::Later { back, ahead } => 2 << VALUE_BITS | if is_last { ahead } else { back },
        }
    }
}

/// A group of entries that share a block address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Pack {
    /// The first entry in it.
    first: usize,
    entries: usize,
    entry_bits: usize,
    /// Where it starts behind the header, and its bytes.
    offset: usize,
    length: usize,
}

/// The packs for `count` clusters.
fn packs(count: usize) -> impl Iterator<Item = Pack> {
    let dense_end = SMALL_FIRST + count.saturating_sub(SMALL_FIRST) / 16 * 16;
    let (mut first, mut offset) = (0, 0);
    std::iter::from_fn(move || {
        let (entries, entry_bits, length) =
            if (SMALL_FIRST..dense_end).contains(&first) { (16, 14, 32) } else { (2, 16, 8) };
        let pack = Pack { first, entries, entry_bits, offset, length };
        (first, offset) = (first + entries, offset + length);
        (pack.first < count).then_some(pack)
    })
}

/// Bytes of the index for `count` clusters.
pub(super) const fn index_length(count: usize) -> usize {
    let dense = count.saturating_sub(SMALL_FIRST) / 16;
    dense * 32 + (count - dense * 16).div_ceil(2) * 8
}

/// The index for `clusters` whose extents' blocks start at `start` of the image.
pub(super) fn encode(clusters: &[Cluster], start: u32) -> Vec<u8> {
    let mut index = Vec::with_capacity(index_length(clusters.len()));
    // Where the blocks of the extent under way start, and of the one that follows it.
    let (mut current, mut next) = (start, start);
    for pack in packs(clusters.len()) {
        let end = clusters.len().min(pack.first + pack.entries);
        let within = &clusters[pack.first..end];
        // What the pack begins with counts from the address: a head, or the block count of the last one.
        let base = if matches!(within.first(), Some(Cluster::Second { .. })) { current } else { next };
        let mut raw = [0; 32];
        for (position, cluster) in within.iter().enumerate() {
            let entry = u32::from(cluster.entry(position + 1 == pack.entries));
            let bit = position * pack.entry_bits;
            let shifted = entry << (bit % 8);
            for (byte, part) in raw[bit / 8..].iter_mut().zip(shifted.to_le_bytes()) {
                *byte |= part;
            }
            match cluster {
                Cluster::Head { block, .. } => {
                    current = start.wrapping_add(*block);
                    next = current.wrapping_add(1);
                }
                Cluster::Second { blocks } => next = current.wrapping_add(u32::from(*blocks)),
                Cluster::Later { .. } => {}
            }
        }
        raw[pack.length - 4..pack.length].copy_from_slice(&base.to_le_bytes());
        index.extend_from_slice(&raw[..pack.length]);
    }
    index
}

/// The `count` clusters of an index; `Err` is the number of an entry that means nothing.
pub(super) fn decode(index: &[u8], count: usize) -> Result<Vec<Cluster>, usize> {
    let mut clusters = Vec::with_capacity(count);
    for pack in packs(count) {
        let raw = index.get(pack.offset..).and_then(|rest| rest.get(..pack.length)).ok_or(pack.first)?;
        let mut next = u32::from_le_bytes(get(raw, pack.length - 4));
        // Whether the last head has one block unless a block count says otherwise.
        let mut is_open = false;
        for position in 0..pack.entries.min(count - pack.first) {
            let number = pack.first + position;
            let bit = position * pack.entry_bits;
            let bits = u32::from_le_bytes(get(raw, bit / 8)) >> (bit % 8);
            let entry = u16::try_from(bits & 0x3FFF).map_err(|_| number)?;
            let value = entry & VALUE_MASK;
            let cluster = match entry >> VALUE_BITS {
                2 if value & BLOCK_COUNT != 0 => {
                    let blocks = value & !BLOCK_COUNT;
                    next = next.checked_add(u32::from(blocks)).ok_or(number)?;
                    is_open = false;
                    Cluster::Second { blocks }
                }
                2 if position + 1 == pack.entries => Cluster::Later { back: 0, ahead: value },
                2 => Cluster::Later { back: value, ahead: 0 },
                kind @ (0 | 1) => {
                    next = next.checked_add(u32::from(is_open)).ok_or(number)?;
                    is_open = true;
                    if usize::from(value) >= BLOCK {
                        return Err(number);
                    }
                    Cluster::Head { is_packed: kind == 1, offset: value, block: next }
                }
                _ => return Err(number),
            };
            clusters.push(cluster);
        }
    }
    Ok(clusters)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn packs_densely_behind_the_first_six() {
        // By z_erofs_load_compact_lcluster: 4 bytes an entry up to six, then 2 bytes in sixteens.
        for (count, length) in
            [(0, 0), (1, 8), (2, 8), (6, 24), (7, 32), (21, 88), (22, 56), (23, 64), (38, 88)]
        {
            assert_eq!(index_length(count), length, "{count} clusters");
            let packed = packs(count).last().map_or(0, |pack| pack.offset + pack.length);
            assert_eq!(packed, length, "{count} clusters");
        }
    }

    /// Extents as (clusters, blocks, packed); each begins somewhere in its first cluster.
    fn clusters(extents: &[(u16, u16, bool)]) -> Vec<Cluster> {
        let (mut clusters, mut block) = (Vec::new(), 0);
        for (index, (length, blocks, is_packed)) in extents.iter().enumerate() {
            let offset = if index == 0 { 0 } else { u16::try_from(index * 37 % BLOCK).unwrap() };
            clusters.push(Cluster::Head { is_packed: *is_packed, offset, block });
            if *length > 1 {
                clusters.push(Cluster::Second { blocks: *blocks });
            }
            clusters.extend((2..*length).map(|back| Cluster::Later { back, ahead: length - back }));
            block += if *length > 1 { u32::from(*blocks) } else { 1 };
        }
        clusters
    }

    proptest! {
        #[test]
        fn reads_back_the_index_it_writes(
            extents in prop::collection::vec((1..300_u16, 1..=BLOCKS_MAX, any::<bool>()), 1..80),
            start in 0..1_000_000_u32,
        ) {
            let clusters = clusters(&extents);
            let index = encode(&clusters, start);
            prop_assert_eq!(index.len(), index_length(clusters.len()));
            let found = decode(&index, clusters.len()).unwrap();
            for (number, (found, written)) in found.iter().zip(&clusters).enumerate() {
                match (*found, *written) {
                    (Cluster::Later { back: 0, ahead }, Cluster::Later { ahead: written, .. })
                        => prop_assert_eq!(ahead, written, "{}", number),
                    (Cluster::Later { back, .. }, Cluster::Later { back: written, .. })
                        => prop_assert_eq!(back, written, "{}", number),
                    (Cluster::Head { block, is_packed, offset }, Cluster::Head { block: written, .. }) => {
                        prop_assert_eq!(block, start + written, "{}", number);
                        prop_assert_eq!(Cluster::Head { is_packed, offset, block: written }, clusters[number]);
                    }
                    (found, written) => prop_assert_eq!(found, written, "{}", number),
                }
            }
        }
    }
}
