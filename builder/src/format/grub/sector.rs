//! The two boot sectors: the disk's, which loads the partition's, which loads the core.

use super::GrubError;
use crate::units::{Bytes, Lba};

/// Bytes of a sector; BIOS machines boot from no other.
pub const SECTOR: usize = 512;

/// Offsets in `boot.img` (`include/grub/i386/pc/boot.h`).
const KERNEL_SECTOR: usize = 0x5c;
const DRIVE_CHECK: usize = 0x66;
/// The disk's signature and the partition table, which stay; boot code ends before them.
const CODE_END: usize = 0x1b8;
/// Two `nop`s in place of a jump: the BIOS's word on the drive is not trusted, for some tell a wrong one for hard
/// disks. `grub-install` does the same for all that is no floppy.
const NO_JUMP: [u8; 2] = [0x90, 0x90];
/// `jmp` by 5.
const JUMP: [u8; 2] = [0xeb, 0x05];

/// The one entry of `diskboot.img`'s block list: first sector (8 bytes), number of sectors, segment in memory.
const BLOCK_START: usize = 0x1f4;
const BLOCK_LENGTH: usize = 0x1fc;
/// Of 16 bits, and the BIOS loads below 640 KiB anyway.
const LARGEST: Bytes = Bytes(0xffff * 512);

/// Where a core lies on the disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BlockList {
    /// Its first sector.
    pub first: Lba,
    /// Its size.
    pub size: Bytes,
}

/// Puts `boot.img` into the disk's first sector `mbr`, so that it loads the sector `next`.
pub fn boot_sector(boot: &[u8], next: Lba, mbr: &[u8; SECTOR]) -> Result<[u8; SECTOR], GrubError> {
    let boot = sector("boot.img", boot)?;
    let mut sector = *mbr;
    sector[..CODE_END].copy_from_slice(&boot[..CODE_END]);
    if boot[DRIVE_CHECK..DRIVE_CHECK + JUMP.len()] != JUMP {
        return Err(GrubError::Kind { file: "boot.img".to_owned(), expected: "boot sector of GRUB 2" });
    }
    sector[DRIVE_CHECK..DRIVE_CHECK + NO_JUMP.len()].copy_from_slice(&NO_JUMP);
    sector[KERNEL_SECTOR..KERNEL_SECTOR + 8].copy_from_slice(&next.0.to_le_bytes());
    Ok(sector)
}

/// `diskboot.img` that loads the core at `core`.
pub fn disk_boot_sector(disk_boot: &[u8], core: BlockList) -> Result<[u8; SECTOR], GrubError> {
    let mut sector = sector("diskboot.img", disk_boot)?;
    let sectors = core.size.0.div_ceil(512);
    let too_large = |_| GrubError::TooLarge { what: "GRUB's core", size: core.size, limit: LARGEST };
    let sectors = u16::try_from(sectors).map_err(too_large)?;
    sector[BLOCK_START..BLOCK_START + 8].copy_from_slice(&core.first.0.to_le_bytes());
    sector[BLOCK_LENGTH..BLOCK_LENGTH + 2].copy_from_slice(&sectors.to_le_bytes());
    Ok(sector)
}

/// Puts the code of another disk's first sector `from` into `mbr`, so that it loads the sector `next`.
pub fn replace_code(from: &[u8; SECTOR], next: Lba, mbr: &[u8; SECTOR]) -> [u8; SECTOR] {
    let mut sector = *mbr;
    sector[..CODE_END].copy_from_slice(&from[..CODE_END]);
    sector[KERNEL_SECTOR..KERNEL_SECTOR + 8].copy_from_slice(&next.0.to_le_bytes());
    sector
}

/// Which core a partition's boot sector loads; its size is in whole sectors.
pub fn block_list(disk_boot: &[u8; SECTOR]) -> BlockList {
    let mut first = [0; 8];
    first.copy_from_slice(&disk_boot[BLOCK_START..BLOCK_START + 8]);
    let sectors = u16::from_le_bytes([disk_boot[BLOCK_LENGTH], disk_boot[BLOCK_LENGTH + 1]]);
    BlockList { first: Lba(u64::from_le_bytes(first)), size: Bytes(u64::from(sectors) * 512) }
}

fn sector(file: &'static str, content: &[u8]) -> Result<[u8; SECTOR], GrubError> {
    content.try_into().map_err(|_| GrubError::Length { file, found: content.len(), expected: "512" })
}
