//! Compressed inodes: their map, and the bytes that its extents hold.

use bytes::Bytes;

use super::super::clusters::{
    self, ADVISE_BIG_PCLUSTER, ADVISE_COMPACTED_2B, ADVISE_INLINE_PCLUSTER, BLOCKS_MAX, Cluster, MAP_HEADER,
    MapHeader, index_length,
};
use super::super::compression::Algorithm;
use super::super::layout::{BLOCK, BLOCK_BYTES, get};
use super::fault::Corruption;
use super::image::{Image, Located, NoInode};

/// A run of a file and where it lies.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in super::super) struct Extent {
    /// Offset in the file.
    pub(in super::super) start: usize,
    /// Bytes of the file.
    pub(in super::super) length: usize,
    pub(in super::super) is_packed: bool,
    /// Offset in the image.
    pub(in super::super) offset: u64,
    /// Bytes of the image, zeros in front of a compressed cluster included.
    pub(in super::super) stored: usize,
}

/// What follows a compressed inode.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in super::super) struct Map {
    pub(in super::super) header: MapHeader,
    pub(in super::super) algorithm: Algorithm,
    pub(in super::super) extents: Vec<Extent>,
}

impl Image {
    /// The header of the map at `offset`, if it is of the form that we write.
    pub(super) fn map_header(&self, offset: u64) -> Result<(MapHeader, Algorithm), NoInode> {
        let raw = self.part("map", offset, MAP_HEADER).map_err(NoInode::Corrupt)?;
        let header = MapHeader::decode(get(&raw, 0));
        let needed = ADVISE_COMPACTED_2B | ADVISE_BIG_PCLUSTER;
        if header.advise & !ADVISE_INLINE_PCLUSTER != needed {
            return Err(NoInode::Unsupported { field: "h_advise", found: header.advise });
        }
        if header.clusterbits != 0 {
            return Err(NoInode::Unsupported { field: "h_clusterbits", found: header.clusterbits.into() });
        }
        let unsupported =
            || NoInode::Unsupported { field: "h_algorithmtype", found: header.algorithm.into() };
        let is_known = |algorithm: &Algorithm| {
            algorithm.code() == header.algorithm
                && self.super_block.available_compr_algs & 1 << algorithm.code() != 0
        };
        let algorithm = Algorithm::ALL.into_iter().map(|(_, algorithm)| algorithm).find(is_known);
        Ok((header, algorithm.ok_or_else(unsupported)?))
    }

    /// The map of a compressed inode; `None` for any other.
    pub(in super::super) fn map(&self, located: &Located) -> Result<Option<Map>, Corruption> {
        let Some((header, algorithm)) = located.map else { return Ok(None) };
        let offset = located.behind().saturating_add(to_u64(MAP_HEADER));
        let size = self.size_of(located)?;
        let length = index_length(size.div_ceil(BLOCK));
        let index = self.part("map", offset, length)?;
        let found = clusters::decode(&index, size.div_ceil(BLOCK))
            .map_err(|cluster| Corruption::Cluster { cluster })?;
        let mut extents = extents(&found, size)?;
        if header.advise & ADVISE_INLINE_PCLUSTER != 0 {
            let (offset, length) = (offset.saturating_add(to_u64(length)), header.idata_size.into());
            self.within_block(offset, length)?;
            if let Some(last) = extents.last_mut() {
                (last.offset, last.stored) = (offset, length);
            }
        }
        Ok(Some(Map { header, algorithm, extents }))
    }

    /// The data of a compressed inode, no larger than `most`.
    pub(super) fn unpack(&self, map: &Map, size: usize) -> Result<Bytes, Corruption> {
        let mut data = Vec::with_capacity(size);
        for extent in &map.extents {
            let stored = self.part("cluster", extent.offset, extent.stored)?;
            let bad = || Corruption::Unpack { start: extent.start, length: extent.length };
            if !extent.is_packed {
                data.extend_from_slice(stored.get(..extent.length).ok_or_else(bad)?);
                continue;
            }
            // Zeros fill the first block, never more.
            let zeros = stored.iter().take(BLOCK - 1).take_while(|byte| **byte == 0).count();
            let mut unpacked = vec![0; extent.length];
            let count = match map.algorithm {
                Algorithm::Lz4Hc => lzzzz::lz4::decompress(&stored[zeros..], &mut unpacked).ok(),
                Algorithm::Zstd => zstd::bulk::decompress_to_buffer(&stored[zeros..], &mut unpacked).ok(),
            };
            if count != Some(extent.length) {
                return Err(bad());
            }
            data.extend_from_slice(&unpacked);
        }
        Ok(data.into())
    }
}

/// The extents that `clusters` describe of a file of `size` bytes.
fn extents(found: &[Cluster], size: usize) -> Result<Vec<Extent>, Corruption> {
    let mut extents: Vec<Extent> = Vec::new();
    let mut before = None;
    for (number, cluster) in found.iter().enumerate() {
        let bad = || Corruption::Cluster { cluster: number };
        match *cluster {
            Cluster::Head { is_packed, offset, block } => {
                let start = number * BLOCK + usize::from(offset);
                if let Some(last) = extents.last_mut() {
                    last.length = start.checked_sub(last.start).ok_or_else(bad)?;
                } else if start != 0 {
                    return Err(bad());
                }
                // Behind the last extent, a head may only say where it ends.
                if start > size {
                    return Err(bad());
                }
                if start < size {
                    let offset = u64::from(block) * BLOCK_BYTES;
                    let length = size - start;
                    extents.push(Extent { start, length, is_packed, offset, stored: BLOCK });
                }
            }
            Cluster::Second { blocks } => {
                let is_second = matches!(before, Some(Cluster::Head { .. }));
                let last = extents.last_mut().filter(|last| is_second && last.is_packed);
                let blocks = Some(blocks).filter(|blocks| (1..=BLOCKS_MAX).contains(blocks));
                last.ok_or_else(bad)?.stored = usize::from(blocks.ok_or_else(bad)?) * BLOCK;
            }
            Cluster::Later { .. } => {
                if !matches!(before, Some(Cluster::Second { .. } | Cluster::Later { .. })) {
                    return Err(bad());
                }
            }
        }
        before = Some(*cluster);
    }
    Ok(extents)
}

/// Lossless: no supported host has pointers of more than 64 bits.
fn to_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
