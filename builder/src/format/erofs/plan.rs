//! Pass one: every inode's form, place and data blocks, from sizes alone.

use std::collections::{BTreeMap, HashMap};

use super::compress::{Packed, Packing};
use super::directory::{Child, Directory};
use super::error::ErofsError;
use super::layout::{
    BLOCK, BLOCK_BYTES, FileType, INODE_COMPACT, INODE_EXTENDED, Inode, NAME_MAX, NULL_ADDR, TARGET_MAX,
};
use super::slots::Slots;
use crate::tree::{Kind, Metadata, Tree};
use crate::units::Bytes;

/// Where everything goes.
#[derive(Debug)]
pub(super) struct Plan<'tree> {
    /// The root directory, then all others in path order.
    pub(super) nodes: Vec<Node<'tree>>,
    /// Indices of `nodes`, ascending by nid.
    pub(super) by_nid: Vec<usize>,
    /// Indices of the `nodes` whose blocks follow each other in the data area; nodes with equal
    /// blocks are represented by the first of them.
    pub(super) by_block: Vec<usize>,
    /// Blocks before the data area.
    pub(super) metadata_blocks: u32,
    /// Blocks of the whole image.
    pub(super) blocks: u32,
    /// Bytes not written again because equal blocks were there.
    pub(super) shared: u64,
}

/// One inode and its data.
#[derive(Debug)]
pub(super) struct Node<'tree> {
    /// Path in the tree, for messages.
    pub(super) path: &'tree str,
    pub(super) metadata: Metadata,
    pub(super) content: Content<'tree>,
    /// Bytes of the content.
    pub(super) size: usize,
    pub(super) nlink: u32,
    pub(super) is_compact: bool,
    pub(super) data: Data<'tree>,
    /// Slot of the inode.
    pub(super) nid: u64,
}

/// What an inode holds.
#[derive(Debug)]
pub(super) enum Content<'tree> {
    Directory(Directory<'tree>),
    File(&'tree [u8]),
    Symlink(&'tree [u8]),
}

impl Content<'_> {
    pub(super) const fn file_type(&self) -> FileType {
        match self {
            Self::Directory(_) => FileType::Directory,
            Self::File(_) => FileType::Regular,
            Self::Symlink(_) => FileType::Symlink,
        }
    }
}

/// How an inode's data are laid out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Data<'tree> {
    /// Everything is in blocks from `start` of the data area; the last is padded with zeros.
    FlatPlain { start: u32 },
    /// Whole blocks from `start` of the data area, and the last `tail` bytes behind the inode.
    FlatInline { start: u32, tail: usize },
    /// The blocks of all extents from `start` of the data area; map and inline extent behind the inode.
    Compressed { start: u32, packed: &'tree Packed },
}

impl Data<'_> {
    const fn start_mut(&mut self) -> &mut u32 {
        match self {
            Self::FlatPlain { start } | Self::FlatInline { start, .. } | Self::Compressed { start, .. } => {
                start
            }
        }
    }
}

impl Node<'_> {
    /// Bytes of the content that lie uncompressed in blocks of the data area.
    pub(super) const fn body(&self) -> usize {
        match self.data {
            Data::FlatPlain { .. } => self.size,
            Data::FlatInline { tail, .. } => self.size - tail,
            Data::Compressed { .. } => 0,
        }
    }

    /// Blocks in the data area.
    fn blocks(&self) -> usize {
        match self.data {
            Data::FlatPlain { .. } | Data::FlatInline { .. } => self.body().div_ceil(BLOCK),
            Data::Compressed { packed, .. } => packed.blocks(),
        }
    }

    /// Bytes in the metadata area.
    fn footprint(&self) -> usize {
        let inode = if self.is_compact { INODE_COMPACT } else { INODE_EXTENDED };
        match self.data {
            Data::FlatPlain { .. } => inode,
            Data::FlatInline { tail, .. } => inode + tail,
            Data::Compressed { packed, .. } => inode + packed.map_length(),
        }
    }
}

impl<'tree> Plan<'tree> {
    /// Places everything in `tree`, behind a super block that `record` bytes follow.
    pub(super) fn new(
        tree: &'tree Tree,
        packing: &'tree Packing<'tree>,
        record: usize,
    ) -> Result<Self, ErofsError> {
        let mut nodes = collect(tree)?;
        for node in &mut nodes {
            settle(node, packing);
        }
        let mut slots = Slots::new(record);
        for node in &mut nodes {
            node.nid = to_u64(slots.place(node.footprint()));
        }
        let mut by_nid: Vec<usize> = (0..nodes.len()).collect();
        by_nid.sort_unstable_by_key(|index| nodes[*index].nid);

        let metadata_blocks = to_u64(slots.blocks());
        let mut extents = Extents::new(metadata_blocks);
        // Directories come first: they are read with the inodes before them.
        for directories in [true, false] {
            for (index, node) in nodes.iter_mut().enumerate() {
                if matches!(node.content, Content::Directory(_)) == directories {
                    extents.place(index, node)?;
                }
            }
        }
        let Extents { by_block, next, shared, .. } = extents;
        Ok(Self {
            nodes,
            by_nid,
            by_block,
            metadata_blocks: block_address(metadata_blocks, "")?,
            blocks: block_address(next, "")?,
            shared,
        })
    }
}

/// Checks the tree's entries and links directories to their children.
fn collect(tree: &Tree) -> Result<Vec<Node<'_>>, ErofsError> {
    let mut nodes = vec![node("", tree.root(), Content::Directory(Directory::new(0, 0)))?];
    let mut directories = HashMap::from([("", 0_usize)]);
    for (path, entry) in tree.iter() {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        if name.len() > NAME_MAX {
            return Err(ErofsError::Name { path: path.to_owned(), length: name.len() });
        }
        if path.len() > TARGET_MAX {
            return Err(ErofsError::Path { path: path.to_owned(), length: path.len() });
        }
        let index = nodes.len();
        let parent = *directories.get(parent).expect("a tree has the parents of its entries before them");
        let content = match &entry.kind {
            Kind::Directory => {
                directories.insert(path, index);
                Content::Directory(Directory::new(index, parent))
            }
            Kind::File(bytes) => Content::File(bytes),
            Kind::Symlink(target) => Content::Symlink(target.as_bytes()),
        };
        let file_type = content.file_type();
        nodes.push(node(path, entry.metadata, content)?);
        if let Content::Directory(directory) = &mut nodes[parent].content {
            directory.push(Child { name, inode: index, file_type });
        }
    }
    Ok(nodes)
}

fn node<'tree>(
    path: &'tree str,
    metadata: Metadata,
    content: Content<'tree>,
) -> Result<Node<'tree>, ErofsError> {
    if metadata.mode > 0o7777 {
        return Err(ErofsError::Mode { path: path.to_owned(), mode: metadata.mode });
    }
    if let Content::Symlink(target) = content
        && !(1..=TARGET_MAX).contains(&target.len())
    {
        return Err(ErofsError::Target { path: path.to_owned(), length: target.len() });
    }
    if path.contains('\0') || matches!(content, Content::Symlink(target) if target.contains(&0)) {
        return Err(ErofsError::Nul { path: path.to_owned() });
    }
    let data = Data::FlatPlain { start: NULL_ADDR };
    Ok(Node { path, metadata, content, size: 0, nlink: 1, is_compact: true, data, nid: 0 })
}

/// Decides everything that does not depend on other inodes' places.
fn settle<'tree>(node: &mut Node<'tree>, packing: &'tree Packing<'tree>) {
    (node.size, node.nlink) = match &mut node.content {
        Content::Directory(directory) => {
            directory.sort();
            (directory.size(), directory.links())
        }
        Content::File(bytes) | Content::Symlink(bytes) => (bytes.len(), 1),
    };
    let Metadata { uid, gid, .. } = node.metadata;
    node.is_compact = Inode::fits_compact(uid, gid, node.nlink, to_u64(node.size));
    let tail = node.size % BLOCK;
    if let Content::File(bytes) = node.content
        && let Some(packed) = packing.get(bytes)
    {
        node.data = Data::Compressed { start: NULL_ADDR, packed };
    } else if tail > 0 && node.footprint() + tail <= BLOCK {
        node.data = Data::FlatInline { start: NULL_ADDR, tail };
    }
}

/// Gives out blocks of the data area.
#[derive(Debug)]
struct Extents<'tree> {
    by_block: Vec<usize>,
    /// Next free block, counted from the start of the image.
    next: u64,
    shared: u64,
    /// Start of what was placed, by whether it is compressed, length and bytes; the length comes first
    /// so that few bytes are compared.
    placed: BTreeMap<(bool, usize, &'tree [u8]), u32>,
}

impl<'tree> Extents<'tree> {
    const fn new(next: u64) -> Self {
        Self { by_block: Vec::new(), next, shared: 0, placed: BTreeMap::new() }
    }

    fn place(&mut self, index: usize, node: &mut Node<'tree>) -> Result<(), ErofsError> {
        let blocks = to_u64(node.blocks());
        if blocks == 0 {
            return Ok(());
        }
        let start = block_address(self.next, node.path)?;
        if let Content::File(bytes) | Content::Symlink(bytes) = node.content {
            let is_packed = matches!(node.data, Data::Compressed { .. });
            let body = if is_packed { bytes } else { &bytes[..node.body()] };
            if let Some(start) = self.placed.get(&(is_packed, body.len(), body)) {
                *node.data.start_mut() = *start;
                self.shared += if is_packed { blocks * BLOCK_BYTES } else { to_u64(body.len()) };
                return Ok(());
            }
            self.placed.insert((is_packed, body.len(), body), start);
        }
        *node.data.start_mut() = start;
        self.by_block.push(index);
        self.next += blocks;
        block_address(self.next, node.path)?;
        Ok(())
    }
}

fn block_address(block: u64, path: &str) -> Result<u32, ErofsError> {
    u32::try_from(block).ok().filter(|block| *block != NULL_ADDR).ok_or_else(|| ErofsError::Size {
        path: path.to_owned(),
        size: Bytes(block.saturating_mul(BLOCK_BYTES)),
    })
}

/// Lossless: no supported host has pointers of more than 64 bits.
pub(super) fn to_u64(number: usize) -> u64 {
    u64::try_from(number).expect("a usize has at most 64 bits")
}
