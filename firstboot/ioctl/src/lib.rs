//! The ioctls that the initrd and the writing of sticks need and that no maintained crate offers without a C library.
//!
//! - [`dm`]: make a device-mapper device (`linux/dm-ioctl.h`)
//! - [`blkpg`]: tell the kernel of one partition of a disk in use (`linux/blkpg.h`)
//! - [`removal`]: let a disk be taken out (`linux/cdrom.h`, `scsi/scsi_ioctl.h`, `linux/fs.h`)
//!
//! This is the only crate of the workspace with unsafe code. Requests are plain `repr(C)` integers, so whatever the
//! kernel writes back is a valid value.

pub mod blkpg;
pub mod dm;
pub mod removal;
