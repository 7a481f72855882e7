//! What can be wrong with an image: *corrupt* is against the format, *unsupported* is only new to us.

use thiserror::Error;

use super::super::layout::{BLOCK, SUPER_MAGIC, TARGET_MAX};
use crate::tree::TreeError;
use crate::units::Bytes;

/// Why an image cannot be read.
#[derive(Debug, Error, Eq, PartialEq)]
pub enum ReadError {
    /// Not an EROFS image.
    #[error("magic number is {found:#010x}, that of EROFS is {SUPER_MAGIC:#010x}")]
    Magic {
        /// What stands in its place.
        found: u32,
    },
    /// Too small to have a super block.
    #[error("image has {found} bytes, the smallest has {BLOCK}")]
    Short {
        /// Bytes of the image as given.
        found: usize,
    },
    /// Not of the size that its super block says.
    #[error("super block counts {blocks} blocks of {BLOCK} bytes, image has {found} bytes")]
    Blocks {
        /// Blocks by the super block.
        blocks: u32,
        /// Bytes of the image as given.
        found: usize,
    },
    /// The first block is not what was written.
    #[error("checksum of the first block is {found:#010x}, not {expected:#010x}")]
    Checksum {
        /// The checksum in the super block.
        expected: u32,
        /// The checksum of the block.
        found: u32,
    },
    /// A feature of the image, or its block size, is none of ours.
    #[error("`{field}` of the super block is {found:#x}, only {supported:#x} is supported")]
    Feature {
        /// Name in the specification.
        field: &'static str,
        /// The supported value.
        supported: u32,
        /// The value found.
        found: u32,
    },
    /// A form of inode that we do not read, perhaps valid.
    #[error("`{field}` of inode `{path}` is {found:#x}, which is not supported")]
    Inode {
        /// Path of the inode.
        path: String,
        /// Name in the specification.
        field: &'static str,
        /// The value found.
        found: u16,
    },
    /// A name or target is no UTF-8; trees hold no others.
    #[error("a name in or the target of `{path}` is no UTF-8")]
    Text {
        /// Path of the directory or link.
        path: String,
    },
    /// Against the format.
    #[error("`{path}` is corrupt")]
    Corrupt {
        /// Path of the inode.
        path: String,
        /// What is wrong.
        #[source]
        corruption: Corruption,
    },
    /// Directories are nested deeper than Linux can follow.
    #[error("path `{path}` has {length} bytes, Linux follows {TARGET_MAX}")]
    Path {
        /// The path.
        path: String,
        /// Its bytes.
        length: usize,
    },
    /// The tree takes no such path.
    #[error("placing an entry in the tree")]
    Tree {
        /// Why it has no place.
        #[from]
        source: TreeError,
    },
}

/// How an inode or a directory contradicts the format.
#[derive(Debug, Error, Eq, PartialEq)]
pub enum Corruption {
    /// Inode, data or tail lie outside the image.
    #[error("its {part} lies at {offset:#x}, with {length} bytes, in an image of {}", image.0)]
    Outside {
        /// `inode`, `map`, `data`, `cluster` or `tail`.
        part: &'static str,
        /// Where it starts.
        offset: u64,
        /// Bytes it has.
        length: u64,
        /// Size of the image.
        image: Bytes,
    },
    /// A tail leaves the block that its inode is in.
    #[error("its tail of {length} bytes at {offset:#x} crosses a block boundary")]
    Crossing {
        /// Where it starts.
        offset: u64,
        /// Bytes it has.
        length: usize,
    },
    /// It is larger than the host could address.
    #[error("it has {size} bytes, in an image of {}", image.0)]
    Size {
        /// Size in the inode.
        size: u64,
        /// Size of the image.
        image: Bytes,
    },
    /// The map of a compressed file makes no sense.
    #[error("its logical cluster {cluster} is of no kind that may stand there")]
    Cluster {
        /// The cluster, counted from 0.
        cluster: usize,
    },
    /// A compressed cluster does not hold what the map says.
    #[error("the {length} bytes at {start} of it can't be unpacked")]
    Unpack {
        /// Offset in the file.
        start: usize,
        /// Bytes of the file.
        length: usize,
    },
    /// A directory entry and the inode disagree about what it is.
    #[error("its inode is of type {inode}, its name of type {name}")]
    FileType {
        /// Code of the inode's type.
        inode: u8,
        /// Code in the directory entry.
        name: u8,
    },
    /// A directory has two names, or contains itself.
    #[error("directory with nid {nid} has a second name")]
    SecondName {
        /// Its inode.
        nid: u64,
    },
    /// Names do not ascend, so the kernel would not find them.
    #[error("name `{name}` does not follow the one before it")]
    Order {
        /// The name.
        name: String,
    },
    /// A directory block is too small for its entries.
    #[error("a directory block of {length} bytes has {entries} entries")]
    DirectoryBlock {
        /// Bytes of the block.
        length: usize,
        /// Entries it claims.
        entries: usize,
    },
    /// A name lies outside its directory block, is empty, too long, or has a slash or NUL byte.
    #[error("a directory block of {length} bytes has no valid name at {nameoff}")]
    Name {
        /// Bytes of the block.
        length: usize,
        /// `nameoff` of the entry.
        nameoff: usize,
    },
    /// `.` or `..` leads elsewhere.
    #[error("`{name}` leads to nid {found}, not to {expected}")]
    Dots {
        /// `.` or `..`.
        name: &'static str,
        /// Where it should lead.
        expected: u64,
        /// Where it leads.
        found: u64,
    },
    /// `.` or `..` is absent.
    #[error("directory has no `{name}`")]
    NoDots {
        /// `.` or `..`.
        name: &'static str,
    },
    /// The contents are far larger than the image.
    #[error("unpacked contents come to {copied} bytes, of an image of {image}")]
    Amplified {
        /// Bytes copied or unpacked.
        copied: usize,
        /// Bytes of the image.
        image: usize,
    },
}
