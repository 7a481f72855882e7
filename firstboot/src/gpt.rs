//! GUID partition tables of a disk that may lose power at any write.
//!
//! ```text
//! LBA 0        protective MBR (never touched: GRUB's code lies in it)
//! LBA 1        primary header          last LBA       backup header
//! LBA 2..      primary entries         before it      backup entries
//! ```
//!
//! Spec: UEFI 2.10, chapter 5. Supported: revision 1.0, entries of 128 bytes, the primary array at LBA 2.
//! [`read`] takes the primary copy, or the backup where the primary is damaged; [`write()`] replaces the backup first,
//! so that at every instant one copy is whole.

mod block_disk;
mod copies;
mod disk;
mod guid;
mod header;
mod table;

pub use block_disk::BlockDisk;
pub use copies::{Copies, CopyState, Error, read, repair, write};
pub use disk::{Disk, Lba, SectorSize, Window};
pub use guid::{Guid, ParseGuidError};
pub use header::{Fault, HEADER_SIZE};
pub use table::{ENTRY_SIZE, Entry, Extent, Name, Table};

#[cfg(test)]
pub(crate) mod tests;
