//! Cuts a segment into extents.

use bytes::Bytes;

use super::super::compression::{Algorithm, Compression};
use super::super::layout::BLOCK;
use super::lz4::Lz4;
use super::zstandard::Zstandard;
use super::{Extent, Packed, Stored};

/// Bytes that are looked at, and stored as they are if nothing is gained with them.
pub(super) const PROBE: usize = 64 << 10;

/// What a segment's end means, if it is that of the file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Ending {
    /// Bytes of a last cluster that may follow the inode.
    pub(super) inline_room: usize,
}

/// Some bytes at the front of what was given, compressed.
#[derive(Debug)]
pub(super) struct Front {
    /// How many bytes.
    pub(super) length: usize,
    pub(super) packed: Vec<u8>,
}

/// Compresses segments one after the other; one for each thread, for the memory it works in.
pub(super) struct Compressor {
    codec: Codec,
    cluster: usize,
    extent: usize,
}

enum Codec {
    Lz4(Lz4),
    Zstandard(Box<Zstandard>),
}

impl Codec {
    /// Whether there is no point in compressing `data`, as far as a glance tells.
    fn is_futile(&mut self, data: &[u8]) -> bool {
        match self {
            Self::Lz4(lz4) => lz4.is_futile(data),
            Self::Zstandard(zstandard) => zstandard.is_futile(data),
        }
    }

    /// As much of `data` as fits into `room` bytes.
    fn fill(&mut self, data: &[u8], room: usize) -> Option<Front> {
        match self {
            Self::Lz4(lz4) => lz4.fill(data, room),
            Self::Zstandard(zstandard) => zstandard.fill(data, room),
        }
    }

    /// As much of `data`, which becomes `packed`, as fits into fewer bytes.
    fn shorten(&mut self, data: &[u8], packed: &[u8], room: usize) -> Option<Front> {
        match self {
            Self::Lz4(_) => Lz4::shorten(data, packed, room),
            Self::Zstandard(zstandard) => zstandard.shorten(data, packed.len(), room),
        }
    }

    /// All of `data`, if that fits into `room` bytes.
    fn whole(&mut self, data: &[u8], room: usize) -> Option<Vec<u8>> {
        match self {
            Self::Lz4(lz4) => lz4.whole(data, room),
            Self::Zstandard(zstandard) => zstandard.whole(data, room),
        }
    }
}

impl Compressor {
    pub(super) fn new(compression: Compression) -> Self {
        let level = i32::from(compression.level());
        let codec = match compression.algorithm() {
            Algorithm::Lz4Hc => Codec::Lz4(Lz4::new(level)),
            Algorithm::Zstd => Codec::Zstandard(Box::new(Zstandard::new(level))),
        };
        Self {
            codec,
            cluster: BLOCK << compression.cluster_block_bits(),
            extent: 1 << compression.extent_bits(),
        }
    }

    /// The extents of `segment`, which begins with a logical cluster.
    pub(super) fn pack(&mut self, segment: &[u8], ending: Option<Ending>) -> Packed {
        let mut packed = Packed::default();
        let mut rest = segment;
        while !rest.is_empty() {
            let offset = (segment.len() - rest.len()) % BLOCK;
            let front = self.front(rest, ending.is_some());
            let is_end = front.as_ref().map_or(PROBE, |front| front.length) >= rest.len();
            if let Some(ending) = ending.filter(|_| is_end) {
                let (extents, is_inline) = self.end(rest, front, offset, ending);
                packed.extents.extend(extents);
                packed.is_inline = is_inline;
                return packed;
            }
            let extent = match front {
                Some(Front { length, packed }) => Extent { length, stored: Stored::Packed(packed.into()) },
                None => plain(rest.len().min(PROBE)),
            };
            rest = &rest[extent.length..];
            packed.extents.push(extent);
        }
        packed
    }

    /// The next compressed cluster; `None` if it would save no block, or nothing at the end of a file.
    fn front(&mut self, rest: &[u8], ends_file: bool) -> Option<Front> {
        if self.codec.is_futile(&rest[..rest.len().min(PROBE)]) {
            return None;
        }
        let data = &rest[..rest.len().min(self.extent)];
        let front = self.codec.fill(data, self.cluster)?;
        let is_whole = ends_file && front.length == rest.len();
        let is_gain = front.packed.len().div_ceil(BLOCK) < front.length.div_ceil(BLOCK);
        // What ends the file may follow the inode, where a gain need not be a block.
        (is_gain || is_whole && front.packed.len() < front.length).then_some(front)
    }

    /// The last extents of a file: in blocks alone, or the last of them behind the inode.
    fn end(
        &mut self,
        rest: &[u8],
        front: Option<Front>,
        offset: usize,
        ending: Ending,
    ) -> (Vec<Extent>, bool) {
        let room = ending.inline_room;
        let Some(Front { packed, .. }) = front else {
            return self.end_plain(rest, room);
        };
        if packed.len() <= room {
            return (vec![compressed(rest.len(), packed)], true);
        }
        let as_blocks = packed.len().next_multiple_of(BLOCK);
        let shorter = packed.len() / BLOCK * BLOCK;
        if shorter > 0
            && let Some(front) = self.codec.shorten(rest, &packed, shorter)
            && front.length > shorter
        {
            let behind = &rest[front.length..];
            let inline = match self.codec.whole(behind, room.min(behind.len())) {
                Some(packed) => Some(compressed(behind.len(), packed)),
                None => (behind.len() <= room).then(|| plain(behind.len())),
            };
            let first = compressed(front.length, front.packed);
            if let Some(inline) = inline
                && first.blocks() * BLOCK + inline.bytes() < as_blocks
            {
                return (vec![first, inline], true);
            }
        }
        // A compressed cluster that ends the file inside one logical cluster can only be inline.
        let is_small = rest.len() + offset < BLOCK;
        let is_gain = as_blocks < rest.len().next_multiple_of(BLOCK);
        if is_small || !is_gain {
            return self.end_plain(rest, room);
        }
        (vec![compressed(rest.len(), packed)], false)
    }

    fn end_plain(&mut self, rest: &[u8], room: usize) -> (Vec<Extent>, bool) {
        let tail = rest.len() % BLOCK;
        let behind = &rest[rest.len() - tail..];
        if tail == 0 {
            return (vec![plain(rest.len())], false);
        }
        let inline = match self.codec.whole(behind, room.min(tail)) {
            Some(packed) => compressed(tail, packed),
            None if tail <= room => plain(tail),
            None => return (vec![plain(rest.len())], false),
        };
        let first = (rest.len() > tail).then(|| plain(rest.len() - tail));
        (first.into_iter().chain([inline]).collect(), true)
    }
}

const fn plain(length: usize) -> Extent {
    Extent { length, stored: Stored::Plain }
}

fn compressed(length: usize, packed: Vec<u8>) -> Extent {
    Extent { length, stored: Stored::Packed(Bytes::from(packed)) }
}
