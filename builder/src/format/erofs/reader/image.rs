//! Finds things in an image by their address, within its bounds.

use bytes::Bytes;

use super::super::clusters::MapHeader;
use super::super::compression::Algorithm;
use super::super::layout::{
    BLOCK, BLOCK_BITS, BLOCK_BYTES, DataLayout, FEATURE_COMPAT_SB_CHKSUM, FEATURES_COMPRESSED, FileType,
    INODE_COMPACT, INODE_EXTENDED, Inode, InodeFault, SLOT, SUPER_OFFSET, SuperBlock, checksum,
};
use super::fault::{Corruption, ReadError};
use crate::units;

/// An image whose super block was checked.
#[derive(Debug)]
pub(in super::super) struct Image {
    pub(in super::super) bytes: Bytes,
    pub(in super::super) super_block: SuperBlock,
}

/// An inode and where it was found.
#[derive(Clone, Debug)]
pub(in super::super) struct Located {
    pub(in super::super) inode: Inode,
    pub(in super::super) file_type: FileType,
    /// Offset of the inode in the image.
    pub(in super::super) offset: u64,
    /// Header of the map and algorithm, of a compressed inode.
    pub(super) map: Option<(MapHeader, Algorithm)>,
}

impl Located {
    /// Offset behind the inode, where its map or its tail lies.
    pub(super) fn behind(&self) -> u64 {
        self.offset.saturating_add(u64::try_from(self.inode.length()).unwrap_or(u64::MAX))
    }
}

/// Why there is no inode at an address.
#[derive(Debug)]
pub(in super::super) enum NoInode {
    Corrupt(Corruption),
    Unsupported { field: &'static str, found: u16 },
}

impl NoInode {
    /// Says which path led there.
    pub(super) fn at(self, path: &str) -> ReadError {
        let path = shown(path);
        match self {
            Self::Corrupt(corruption) => ReadError::Corrupt { path, corruption },
            Self::Unsupported { field, found } => ReadError::Inode { path, field, found },
        }
    }
}

/// A path as messages show it: absolute, so that the root directory has a name.
pub(super) fn shown(path: &str) -> String {
    format!("/{path}")
}

impl Image {
    /// Checks the super block and that the image has its size. Bytes behind that are ignored: the
    /// image may be a partition.
    pub(in super::super) fn open(bytes: &Bytes) -> Result<Self, ReadError> {
        let short = || ReadError::Short { found: bytes.len() };
        let first_block = bytes.get(..BLOCK).ok_or_else(short)?;
        let raw = first_block[SUPER_OFFSET..].first_chunk().ok_or_else(short)?;
        let super_block = SuperBlock::decode(raw).map_err(|found| ReadError::Magic { found })?;
        let blkszbits = u32::from(super_block.blkszbits);
        let features = super_block.feature_incompat;
        for (field, found, supported, is_fine) in [
            ("blkszbits", blkszbits, u32::from(BLOCK_BITS), blkszbits == u32::from(BLOCK_BITS)),
            ("feature_incompat", features, FEATURES_COMPRESSED, features & !FEATURES_COMPRESSED == 0),
        ] {
            if !is_fine {
                return Err(ReadError::Feature { field, supported, found });
            }
        }
        if super_block.feature_compat & FEATURE_COMPAT_SB_CHKSUM != 0 {
            let mut block = first_block.to_vec();
            block[SUPER_OFFSET + 4..SUPER_OFFSET + 8].fill(0);
            let (expected, found) = (super_block.checksum, checksum(&block));
            if found != expected {
                return Err(ReadError::Checksum { expected, found });
            }
        }
        let size = u64::from(super_block.blocks) * BLOCK_BYTES;
        let bytes = usize::try_from(size)
            .ok()
            .filter(|size| (BLOCK..=bytes.len()).contains(size))
            .map(|size| bytes.slice(..size))
            .ok_or(ReadError::Blocks { blocks: super_block.blocks, found: bytes.len() })?;
        Ok(Self { bytes, super_block })
    }

    /// Reads the inode with number `nid`.
    pub(in super::super) fn inode(&self, nid: u64) -> Result<Located, NoInode> {
        let slot = u64::try_from(SLOT).unwrap_or(u64::MAX);
        let offset = u64::from(self.super_block.meta_blkaddr)
            .saturating_mul(BLOCK_BYTES)
            .saturating_add(nid.saturating_mul(slot));
        let head = self.part("inode", offset, INODE_COMPACT).map_err(NoInode::Corrupt)?;
        let mut raw = [0; INODE_EXTENDED];
        raw[..INODE_COMPACT].copy_from_slice(&head);
        if raw.first_chunk().is_some_and(Inode::is_extended) {
            let whole = self.part("inode", offset, INODE_EXTENDED).map_err(NoInode::Corrupt)?;
            raw.copy_from_slice(&whole);
        }
        let inode = Inode::decode(&raw).map_err(|fault| match fault {
            InodeFault::Format(found) => NoInode::Unsupported { field: "i_format", found },
            InodeFault::Xattrs(found) => NoInode::Unsupported { field: "i_xattr_icount", found },
        })?;
        let file_type = FileType::from_mode(inode.mode)
            .ok_or(NoInode::Unsupported { field: "i_mode", found: inode.mode })?;
        let mut located = Located { inode, file_type, offset, map: None };
        if inode.layout == DataLayout::Compressed {
            located.map = Some(self.map_header(located.behind())?);
        }
        Ok(located)
    }

    /// Bytes of an inode's data.
    pub(super) fn size_of(&self, located: &Located) -> Result<usize, Corruption> {
        let size = located.inode.size;
        // Above what every host can address at once, arithmetic on it would overflow.
        usize::try_from(size)
            .ok()
            .filter(|size| *size <= usize::MAX / 2)
            .ok_or(Corruption::Size { size, image: units::Bytes::of(&self.bytes) })
    }

    /// The data of an inode that is not compressed: what lies in blocks, and the tail behind the inode.
    pub(in super::super) fn data(&self, located: &Located) -> Result<(Bytes, Bytes), Corruption> {
        let Located { inode, .. } = located;
        let size = self.size_of(located)?;
        let tail = match inode.layout {
            DataLayout::FlatPlain | DataLayout::Compressed => 0,
            DataLayout::FlatInline => size % BLOCK,
        };
        let body = match size - tail {
            0 => Bytes::new(),
            length => self.part("data", u64::from(inode.blkaddr).saturating_mul(BLOCK_BYTES), length)?,
        };
        Ok((body, self.within_block(located.behind(), tail)?))
    }

    /// What lies at `offset`, with no block boundary in it.
    pub(super) fn within_block(&self, offset: u64, length: usize) -> Result<Bytes, Corruption> {
        let tail = self.part("tail", offset, length)?;
        let in_block = usize::try_from(offset % BLOCK_BYTES).unwrap_or(BLOCK);
        if in_block + tail.len() > BLOCK {
            return Err(Corruption::Crossing { offset, length });
        }
        Ok(tail)
    }

    pub(super) fn part(&self, part: &'static str, offset: u64, length: usize) -> Result<Bytes, Corruption> {
        let outside = || Corruption::Outside {
            part,
            offset,
            length: u64::try_from(length).unwrap_or(u64::MAX),
            image: units::Bytes::of(&self.bytes),
        };
        let start = usize::try_from(offset).map_err(|_| outside())?;
        let end = start.checked_add(length).ok_or_else(outside)?;
        if end > self.bytes.len() {
            return Err(outside());
        }
        Ok(self.bytes.slice(start..end))
    }
}
