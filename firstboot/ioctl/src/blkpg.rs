//! Adds, removes and resizes single partitions in the kernel's view of a disk.
//!
//! Unlike `BLKRRPART` this works while other partitions of the disk are in use. Nothing is written to the disk.

use std::os::fd::AsFd;

use rustix::io::{Errno, Result};
use rustix::ioctl::{Opcode, Setter, ioctl};

/// `_IO(0x12, 105)`.
const BLKPG: Opcode = 0x1269;
const ADD_PARTITION: i32 = 1;
const DELETE_PARTITION: i32 = 2;
const RESIZE_PARTITION: i32 = 3;

/// `struct blkpg_partition`.
#[repr(C)]
struct Partition {
    /// Bytes from the start of the disk.
    start: i64,
    /// Bytes.
    length: i64,
    /// Number of the partition, from 1.
    number: i32,
    device_name: [u8; 64],
    volume_name: [u8; 64],
}

/// `struct blkpg_ioctl_arg`.
#[repr(C)]
struct Request {
    operation: i32,
    flags: i32,
    data_length: i32,
    data: *mut Partition,
}

const PARTITION_SIZE: i32 = 152;
const _: () = assert!(size_of::<Partition>() == 152);

/// Makes partition `number` known, `start` and `length` in bytes.
///
/// `EBUSY` where it overlaps one that is known already.
pub fn add(disk: impl AsFd, number: u32, start: u64, length: u64) -> Result<()> {
    request(disk, ADD_PARTITION, number, start, length)
}

/// Forgets partition `number`; `EBUSY` while it is in use.
pub fn delete(disk: impl AsFd, number: u32) -> Result<()> {
    request(disk, DELETE_PARTITION, number, 0, 0)
}

/// Changes the length of partition `number`; `start` must be what the kernel knows, both in bytes.
pub fn resize(disk: impl AsFd, number: u32, start: u64, length: u64) -> Result<()> {
    request(disk, RESIZE_PARTITION, number, start, length)
}

fn request(disk: impl AsFd, operation: i32, number: u32, start: u64, length: u64) -> Result<()> {
    let mut partition = Partition {
        start: i64::try_from(start).map_err(|_| Errno::OVERFLOW)?,
        length: i64::try_from(length).map_err(|_| Errno::OVERFLOW)?,
        number: i32::try_from(number).map_err(|_| Errno::OVERFLOW)?,
        device_name: [0; 64],
        volume_name: [0; 64],
    };
    let request = Request { operation, flags: 0, data_length: PARTITION_SIZE, data: &raw mut partition };
    // SAFETY: `BLKPG` reads a `struct blkpg_ioctl_arg`, which `Request` mirrors, and writes no memory.
    let setter = unsafe { Setter::<BLKPG, Request>::new(request) };
    // SAFETY: `data` points to `partition`, which lives until the call has returned and is as long as
    // `data_length` says. A descriptor that is no disk gives ENOTTY.
    unsafe { ioctl(disk, setter) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_no_disk() {
        let null = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(add(&null, 1, 0, 4096), Err(Errno::NOTTY));
        assert_eq!(delete(&null, 1), Err(Errno::NOTTY));
        assert_eq!(resize(&null, 1, 0, 4096), Err(Errno::NOTTY));
    }

    #[test]
    fn refuses_numbers_that_the_kernel_type_cannot_hold() {
        let null = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(add(&null, 1, u64::MAX, 4096), Err(Errno::OVERFLOW));
        assert_eq!(add(&null, u32::MAX, 0, 4096), Err(Errno::OVERFLOW));
    }
}
