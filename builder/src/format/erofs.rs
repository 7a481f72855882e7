//! EROFS, the read-only file system of the root partition.
//!
//! ```text
//! block 0         1 KiB free | super block | record of the compression | inodes …
//! metadata area   inodes in 32-byte slots, each followed by its map or by the tail of its data
//! data area       whole blocks: large directories, then files in path order
//! ```
//! On-disk format: <https://erofs.docs.kernel.org/en/latest/core_ondisk.html> and `fs/erofs/erofs_fs.h`
//! of Linux 6.12. Written and read: 4096-byte blocks, compact and extended inodes, `FLAT_PLAIN`,
//! `FLAT_INLINE` and `COMPRESSED_COMPACT` data in LZ4 or Zstandard with big and inline clusters, the
//! super block's checksum. Absent: fragments, extended attributes, devices, hard links (equal files
//! share blocks, not inodes).
//!
//! [`write`](writer::write) makes an image from a [`Tree`](crate::tree::Tree): `compress` makes extents
//! of the files, `plan` decides every place from sizes alone, `writer` emits bytes front to back.
//! [`read`](reader::read) makes a tree from an image.

mod clusters;
mod compress;
mod compression;
mod directory;
mod error;
mod layout;
mod plan;
mod reader;
mod slots;
mod writer;

pub use compression::{Algorithm, Compression, CompressionError};
pub use error::ErofsError;
pub use reader::{Corruption, ReadError, read};
pub use writer::{Options, Summary, write};

#[cfg(test)]
mod dump;
#[cfg(test)]
mod tests;
