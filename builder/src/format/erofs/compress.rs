//! Before pass one: which files are compressed, and into which extents.
//!
//! Contents are cut into segments, which are compressed on all processors, each on its own; so the
//! result depends on neither their number nor on what else is in the tree. Equal files are compressed
//! once. A segment's extents can be had from a [cache](DerivedCache) instead.

mod cache;
mod lz4;
mod segment;
mod zstandard;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use bytes::Bytes;
use rayon::prelude::*;

use self::segment::{Compressor, Ending};
use super::clusters::{Cluster, MAP_HEADER, index_length};
use super::compression::Compression;
use super::layout::{BLOCK, INODE_COMPACT, INODE_EXTENDED, SLOT};
use crate::derived::DerivedCache;
use crate::tree::{Kind, Tree};

/// Bytes of a file that are compressed on their own: enough for every processor to get work, and so
/// many that the block begun at the end of each does not count.
const SEGMENT: usize = 4 << 20;

/// A run of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Extent {
    /// Bytes of the file.
    pub(super) length: usize,
    pub(super) stored: Stored,
}

/// How a run lies in its blocks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Stored {
    /// As it is, each 4096 bytes from the start of the run being a cluster of their own.
    Plain,
    /// As one compressed cluster.
    Packed(Bytes),
}

/// A file in compressed form.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Packed {
    /// From the first byte to the last. All but the last reach into the next logical cluster.
    pub(super) extents: Vec<Extent>,
    /// Whether the last extent follows the inode's map instead of taking a block.
    pub(super) is_inline: bool,
}

impl Extent {
    pub(super) fn blocks(&self) -> usize {
        self.bytes().div_ceil(BLOCK)
    }

    /// Bytes as stored.
    pub(super) fn bytes(&self) -> usize {
        match &self.stored {
            Stored::Plain => self.length,
            Stored::Packed(bytes) => bytes.len(),
        }
    }
}

impl Packed {
    /// The extents that lie in blocks.
    pub(super) fn in_blocks(&self) -> &[Extent] {
        let count = self.extents.len() - usize::from(self.is_inline);
        &self.extents[..count]
    }

    pub(super) fn blocks(&self) -> usize {
        self.in_blocks().iter().map(Extent::blocks).sum()
    }

    /// The extent behind the map.
    pub(super) fn inline(&self) -> Option<&Extent> {
        self.extents.last().filter(|_| self.is_inline)
    }

    /// Bytes of the file.
    fn length(&self) -> usize {
        self.extents.iter().map(|extent| extent.length).sum()
    }

    /// Bytes behind the inode.
    pub(super) fn map_length(&self) -> usize {
        map_length(self.length()) + self.inline().map_or(0, Extent::bytes)
    }

    /// What each logical cluster holds.
    pub(super) fn clusters(&self) -> Vec<Cluster> {
        let mut clusters = Vec::with_capacity(self.length().div_ceil(BLOCK));
        let (mut offset, mut block) = (0, 0);
        for (length, is_packed, blocks) in self.extents.iter().flat_map(pieces) {
            let number = |value: usize| u16::try_from(value).expect("extents end long before 2^16 clusters");
            clusters.push(Cluster::Head { is_packed, offset: number(offset), block });
            let count = (offset + length) / BLOCK;
            if count > 1 {
                clusters.push(Cluster::Second { blocks: number(blocks) });
            }
            let later =
                (2..count).map(|back| Cluster::Later { back: number(back), ahead: number(count - back) });
            clusters.extend(later);
            block += u32::from(number(blocks));
            offset = (offset + length) % BLOCK;
            if count == 0 {
                // Only the last extent ends in the cluster that it begins in.
                return clusters;
            }
        }
        if offset > 0 {
            let offset = u16::try_from(offset).expect("less than a block");
            clusters.push(Cluster::Head { is_packed: false, offset, block });
        }
        clusters
    }
}

/// Clusters of an extent: bytes of the file, whether it is compressed, blocks.
fn pieces(extent: &Extent) -> impl Iterator<Item = (usize, bool, usize)> {
    let (length, is_packed) = (extent.length, matches!(extent.stored, Stored::Packed(_)));
    let (step, blocks) = if is_packed { (length, extent.blocks()) } else { (BLOCK, 1) };
    (0..length).step_by(step.max(1)).map(move |start| (step.min(length - start), is_packed, blocks))
}

/// Bytes of map header and index for a file of `length` bytes.
fn map_length(length: usize) -> usize {
    MAP_HEADER + index_length(length.div_ceil(BLOCK))
}

/// Room for an inline cluster behind the map of a file of `length` bytes, whatever its inode's form.
fn inline_room(length: usize) -> usize {
    // An inode with a map that is longer than a block begins with one.
    let room = |inode: usize| BLOCK - (inode + map_length(length)) % BLOCK;
    room(INODE_COMPACT).min(room(INODE_EXTENDED))
}

/// Compressed files by their contents.
#[derive(Debug, Default)]
pub(super) struct Packing<'tree> {
    by_content: BTreeMap<(usize, &'tree [u8]), Packed>,
}

impl<'tree> Packing<'tree> {
    /// Compresses the files of `tree` that become smaller by it.
    pub(super) fn new(tree: &'tree Tree, compression: Compression, cache: &dyn DerivedCache) -> Self {
        let mut contents: Vec<&'tree [u8]> = Vec::new();
        let mut known: BTreeSet<(usize, &'tree [u8])> = BTreeSet::new();
        for (_, entry) in tree.iter() {
            if let Kind::File(bytes) = &entry.kind
                && known.insert((bytes.len(), bytes))
            {
                contents.push(bytes);
            }
        }
        let segments: Vec<(usize, Range<usize>)> = contents
            .iter()
            .enumerate()
            .flat_map(|(index, content)| segments(content.len()).map(move |range| (index, range)))
            .collect();
        let packed: Vec<Packed> = segments
            .par_iter()
            .with_max_len(1)
            .map_init(
                || Compressor::new(compression),
                |compressor, (index, range)| {
                    let length = contents[*index].len();
                    let is_last = range.end == length;
                    let ending = is_last.then(|| Ending { inline_room: inline_room(length) });
                    let segment = &contents[*index][range.clone()];
                    cache::through(cache, compression, segment, ending, || compressor.pack(segment, ending))
                },
            )
            .collect();
        let mut files: Vec<Packed> = vec![Packed::default(); contents.len()];
        for ((index, _), segment) in segments.iter().zip(packed) {
            files[*index].extents.extend(segment.extents);
            files[*index].is_inline = segment.is_inline;
        }
        let files = contents.iter().zip(files).filter(|(content, packed)| is_gain(content.len(), packed));
        Self { by_content: files.map(|(content, packed)| ((content.len(), *content), packed)).collect() }
    }

    /// The compressed form of a file, if that is the smaller one.
    pub(super) fn get<'a>(&'a self, content: &'a [u8]) -> Option<&'a Packed> {
        self.by_content.get(&(content.len(), content))
    }
}

fn segments(length: usize) -> impl Iterator<Item = Range<usize>> {
    (0..length).step_by(SEGMENT).map(move |start| start..length.min(start + SEGMENT))
}

/// Whether a file of `length` bytes takes less of the image when it is compressed.
fn is_gain(length: usize, packed: &Packed) -> bool {
    let tail = length % BLOCK;
    let flat = if INODE_COMPACT + tail <= BLOCK { length } else { length - tail + BLOCK };
    let compressed = packed.blocks() * BLOCK + packed.map_length();
    compressed.next_multiple_of(SLOT) < flat
}
