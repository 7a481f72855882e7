//! Pass two: the bytes of a [`Plan`], front to back.

use std::io::{self, BufWriter, Write};

use uuid::Uuid;

use super::clusters::{self, ADVISE_BIG_PCLUSTER, ADVISE_COMPACTED_2B, ADVISE_INLINE_PCLUSTER, MapHeader};
use super::compress::{Extent, Packed, Packing, Stored};
use super::compression::Compression;
use super::error::ErofsError;
use super::layout::{
    BLOCK, BLOCK_BITS, BLOCK_BYTES, DataLayout, FEATURE_COMPAT_MTIME, FEATURE_COMPAT_SB_CHKSUM,
    FEATURES_COMPRESSED, Inode, NULL_ADDR, SLOT, SUPER_OFFSET, SUPER_SIZE, SuperBlock, VOLUME_NAME_MAX,
    checksum, compression_record,
};
use super::plan::{Content, Data, Node, Plan, to_u64};
use crate::derived::DerivedCache;
use crate::tree::Tree;
use crate::units::{Bytes, Timestamp};

/// Smaller writes are gathered up to this size, larger ones go straight through.
const BUFFER: usize = 128 << 10;
const ZEROS: [u8; BLOCK] = [0; BLOCK];

/// What a file system has beside its tree.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Options {
    /// Modification time of every inode.
    pub timestamp: Timestamp,
    /// Identifies the volume.
    pub uuid: Uuid,
    /// Label, at most 15 bytes.
    pub volume_name: String,
    /// How file contents are compressed, if at all.
    pub compression: Option<Compression>,
}

/// What was written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Summary {
    /// Size of the image, a multiple of 4096.
    pub size: Bytes,
    /// Number of inodes, the root directory included.
    pub inodes: u64,
    /// Part of `size` that precedes the data area: super block, inodes, small files and tails.
    pub metadata: Bytes,
    /// Contents not written again because the same blocks were there already.
    pub shared: Bytes,
}

/// Writes `tree` as an EROFS image to `out`, front to back and without seeking; the same tree and
/// options give the same bytes. Files with equal contents share their blocks. What `cache` has is not
/// compressed again.
pub fn write(
    tree: &Tree,
    options: &Options,
    cache: &dyn DerivedCache,
    out: &mut impl Write,
) -> Result<Summary, ErofsError> {
    let volume_name = volume_name(&options.volume_name)?;
    let packing = options.compression.map(|compression| Packing::new(tree, compression, cache));
    let packing = packing.unwrap_or_default();
    let record = options.compression.map(compression_record).unwrap_or_default();
    let plan = Plan::new(tree, &packing, record.len())?;
    let writer = Writer { plan: &plan, options, record: &record };
    let mut out = BufWriter::with_capacity(BUFFER, out);
    writer.metadata(volume_name, &mut out)?;
    writer.data(&mut out)?;
    out.flush()?;
    Ok(Summary {
        size: Bytes(u64::from(plan.blocks) * BLOCK_BYTES),
        inodes: to_u64(plan.nodes.len()),
        metadata: Bytes(u64::from(plan.metadata_blocks) * BLOCK_BYTES),
        shared: Bytes(plan.shared),
    })
}

fn volume_name(name: &str) -> Result<[u8; 16], ErofsError> {
    let mut field = [0; 16];
    if name.len() > VOLUME_NAME_MAX || name.contains('\0') {
        return Err(ErofsError::VolumeName { name: name.to_owned() });
    }
    field[..name.len()].copy_from_slice(name.as_bytes());
    Ok(field)
}

#[derive(Debug)]
struct Writer<'plan> {
    plan: &'plan Plan<'plan>,
    options: &'plan Options,
    /// What follows the super block.
    record: &'plan [u8],
}

impl Writer<'_> {
    fn metadata(&self, volume_name: [u8; 16], out: &mut impl Write) -> io::Result<()> {
        let per_block = to_u64(BLOCK / SLOT);
        let in_first = self.plan.by_nid.partition_point(|index| self.plan.nodes[*index].nid < per_block);
        let (first, others) = self.plan.by_nid.split_at(in_first);

        // The super block has a checksum over its whole block, so that one is made in memory.
        let mut block = vec![0; SUPER_OFFSET];
        block.extend_from_slice(&self.super_block(volume_name, 0).encode());
        block.extend_from_slice(self.record);
        let end = self.inodes(first, block.len(), &mut block)?;
        pad(end, &mut block)?;
        let super_block = self.super_block(volume_name, checksum(&block)).encode();
        block[SUPER_OFFSET..SUPER_OFFSET + SUPER_SIZE].copy_from_slice(&super_block);
        out.write_all(&block)?;

        let end = self.inodes(others, BLOCK, out)?;
        pad(end, out)
    }

    fn super_block(&self, volume_name: [u8; 16], checksum: u32) -> SuperBlock {
        SuperBlock {
            checksum,
            feature_compat: FEATURE_COMPAT_SB_CHKSUM | FEATURE_COMPAT_MTIME,
            blkszbits: BLOCK_BITS,
            root_nid: u16::try_from(self.plan.nodes[0].nid).expect("the root directory is placed first"),
            inos: to_u64(self.plan.nodes.len()),
            build_time: self.options.timestamp.0,
            blocks: self.plan.blocks,
            meta_blkaddr: 0,
            uuid: self.options.uuid.into_bytes(),
            volume_name,
            feature_incompat: self.options.compression.map_or(0, |_| FEATURES_COMPRESSED),
            available_compr_algs: self
                .options
                .compression
                .map_or(0, |compression| 1 << compression.algorithm().code()),
        }
    }

    /// Writes the inodes at `indices` with their tails, zeros between them; `position` and the
    /// result are offsets in the image.
    fn inodes(&self, indices: &[usize], mut position: usize, out: &mut impl Write) -> io::Result<usize> {
        for index in indices {
            let node = &self.plan.nodes[*index];
            let inode = self.inode(*index, node);
            let start = usize::try_from(node.nid).expect("a nid began as usize") * SLOT;
            // Holes at the end of a block and between slots are both shorter than a block.
            out.write_all(&ZEROS[..start - position])?;
            inode.write(out)?;
            position = start + inode.length();
            match node.data {
                Data::FlatPlain { .. } => {}
                Data::FlatInline { tail, .. } => {
                    self.with_content(node, |content| out.write_all(&content[node.body()..]))?;
                    position += tail;
                }
                Data::Compressed { start, packed } => {
                    self.map(node, packed, start, out)?;
                    position += packed.map_length();
                }
            }
        }
        Ok(position)
    }

    fn inode(&self, index: usize, node: &Node<'_>) -> Inode {
        let (layout, blkaddr) = match node.data {
            Data::FlatPlain { start } => (DataLayout::FlatPlain, start),
            Data::FlatInline { start, .. } => (DataLayout::FlatInline, start),
            Data::Compressed { packed, .. } => {
                let blocks = u32::try_from(packed.blocks()).expect("planned to end below block 2^32");
                (DataLayout::Compressed, blocks)
            }
        };
        Inode {
            mtime: (!node.is_compact).then_some(self.options.timestamp.0),
            layout,
            mode: node.content.file_type().mode() | node.metadata.mode,
            nlink: node.nlink,
            size: to_u64(node.size),
            blkaddr,
            // Wraps after 4 Gi inodes, which 32-bit `stat` could not tell apart either.
            ino: u32::try_from(index & 0xFFFF_FFFF).expect("masked to 32 bits").wrapping_add(1),
            uid: node.metadata.uid,
            gid: node.metadata.gid,
        }
    }

    /// What follows a compressed inode.
    fn map(&self, node: &Node<'_>, packed: &Packed, start: u32, out: &mut impl Write) -> io::Result<()> {
        let compression = self.options.compression.expect("files are packed by a compression only");
        let inline = packed.inline();
        let is_inline = if inline.is_some() { ADVISE_INLINE_PCLUSTER } else { 0 };
        let length = inline.map_or(0, Extent::bytes);
        let header = MapHeader {
            idata_size: u16::try_from(length).expect("an inline cluster lies within a block"),
            advise: ADVISE_COMPACTED_2B | ADVISE_BIG_PCLUSTER | is_inline,
            algorithm: compression.algorithm().code(),
            clusterbits: 0,
        };
        out.write_all(&header.encode())?;
        // A file that is inline altogether counts from nowhere.
        let start = if start == NULL_ADDR { 0 } else { start };
        out.write_all(&clusters::encode(&packed.clusters(), start))?;
        match inline.map(|extent| (&extent.stored, extent.length)) {
            None => Ok(()),
            Some((Stored::Packed(bytes), _)) => out.write_all(bytes),
            Some((Stored::Plain, length)) => {
                self.with_content(node, |content| out.write_all(&content[content.len() - length..]))
            }
        }
    }

    fn data(&self, out: &mut impl Write) -> io::Result<()> {
        for index in &self.plan.by_block {
            let node = &self.plan.nodes[*index];
            if let Data::Compressed { packed, .. } = node.data {
                self.with_content(node, |content| extents(packed, content, out))?;
                continue;
            }
            self.with_content(node, |content| out.write_all(&content[..node.body()]))?;
            pad(node.body(), out)?;
        }
        Ok(())
    }

    /// Lends the data of `node`, of files and links without a copy.
    fn with_content<T>(&self, node: &Node<'_>, use_it: impl FnOnce(&[u8]) -> T) -> T {
        match &node.content {
            Content::File(bytes) | Content::Symlink(bytes) => use_it(bytes),
            Content::Directory(directory) => use_it(&directory.encode(|index| self.plan.nodes[index].nid)),
        }
    }
}

/// Writes the blocks of a compressed file.
fn extents(packed: &Packed, mut content: &[u8], out: &mut impl Write) -> io::Result<()> {
    for Extent { length, stored } in packed.in_blocks() {
        let (data, behind) = content.split_at(*length);
        content = behind;
        match stored {
            Stored::Plain => {
                out.write_all(data)?;
                pad(data.len(), out)?;
            }
            Stored::Packed(bytes) => {
                // In front, so that it can be unpacked over itself.
                pad(bytes.len(), out)?;
                out.write_all(bytes)?;
            }
        }
    }
    Ok(())
}

/// Writes zeros from `position` to the end of its block.
fn pad(position: usize, out: &mut impl Write) -> io::Result<()> {
    out.write_all(&ZEROS[..position.next_multiple_of(BLOCK) - position])
}
