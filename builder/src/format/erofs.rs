//! EROFS, the read-only file system of the root partition.
//!
//! ```text
//! block 0         1 KiB free | super block | inodes …
//! metadata area   inodes in 32-byte slots, each followed by the tail of its data
//! data area       whole blocks: large directories, then files in path order
//! ```
//! On-disk format: <https://erofs.docs.kernel.org/en/latest/core_ondisk.html> and `fs/erofs/erofs_fs.h`
//! of Linux 6.12. Written and read: 4096-byte blocks, compact and extended inodes, `FLAT_PLAIN` and
//! `FLAT_INLINE` data, the super block's checksum. Absent: compression, extended attributes, devices,
//! hard links (equal files share blocks, not inodes).
//!
//! [`write`](writer::write) makes an image from a [`Tree`](crate::tree::Tree) in two passes: `plan`
//! decides every place from sizes alone, `writer` emits bytes front to back.
//! [`read`](reader::read) makes a tree from an image.

mod directory;
mod error;
mod layout;
mod plan;
mod reader;
mod slots;
mod writer;

pub use error::ErofsError;
pub use reader::{Corruption, ReadError, read};
pub use writer::{Options, Summary, write};

#[cfg(test)]
mod dump;
#[cfg(test)]
mod tests;
