//! Lets a disk be taken out, and the kernel look at what is on it now.
//!
//! These take no argument and touch no memory of the process. Nothing is written to the disk.

use std::os::fd::AsFd;

use rustix::io::Result;
use rustix::ioctl::{NoArg, Opcode, ioctl};

/// `CDROMEJECT`, which the kernel knows of every SCSI disk, and so of every one on USB.
const EJECT: Opcode = 0x5309;
/// `SCSI_IOCTL_DOORUNLOCK`.
const UNLOCK: Opcode = 0x5381;
/// `BLKRRPART`, `_IO(0x12, 95)`.
const READ_PARTITIONS: Opcode = 0x125f;

/// Tells the disk to let its medium go; a stick has none from then on until it is plugged in again.
///
/// `ENOTTY` where it is no SCSI disk, `EIO` where it does not know the command.
pub fn eject(disk: impl AsFd) -> Result<()> {
    // The kernel locks the medium in while the disk is open; one that knows no lock says so, and is not locked.
    let _ = request::<UNLOCK>(&disk);
    request::<EJECT>(&disk)
}

/// Lets the kernel read the partition table again; `EBUSY` while a partition is in use, `EACCES` without the right to.
pub fn read_partitions(disk: impl AsFd) -> Result<()> {
    request::<READ_PARTITIONS>(&disk)
}

fn request<const OPCODE: Opcode>(disk: impl AsFd) -> Result<()> {
    // SAFETY: none of these opcodes reads or writes memory of the process.
    let request = unsafe { NoArg::<OPCODE>::new() };
    // SAFETY: the argument is not looked at. A descriptor that is no disk gives ENOTTY.
    unsafe { ioctl(disk, request) }
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn refuses_what_is_no_disk() {
        let null = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(eject(&null), Err(Errno::NOTTY));
        assert_eq!(read_partitions(&null), Err(Errno::NOTTY));
    }
}
