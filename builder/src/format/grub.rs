//! GRUB's core image for BIOS machines (platform `i386-pc`), assembled from the files of grub-pc-bin.
//!
//! ```text
//! disk    sector 0          boot.img, beside the partition table        -> first sector of the partition
//! BIOS    0                 diskboot.img, with where the core lies      -> core a or core b
//! boot    1 ..              core a                                      \ lzma_decompress.img,
//! part.   half of it ..     core b                                      / then the payload, LZMA
//!
//! payload kernel.img laid out at its addresses, without .bss
//!         module area: header, then objects: modules (ELF), configuration, prefix
//! ```
//!
//! There is no specification: sizes and offsets are those of GRUB 2.12's `include/grub/offsets.h` and
//! `include/grub/kernel.h`. `grub-mkimage` is the oracle: the payloads are the same byte for byte; their
//! compressed forms are not, for there is more than one LZMA encoder. Reed-Solomon redundancy is left out: the
//! core lies in a partition of its own, where nobody writes over it.

mod core;
mod error;
mod kernel;
mod modules;
mod sector;

pub use core::{core, payload};
pub use error::GrubError;
pub use sector::{BlockList, SECTOR, block_list, boot_sector, disk_boot_sector, replace_code};

use std::collections::BTreeMap;

/// The files of platform `i386-pc` that make a core.
#[derive(Clone, Debug)]
pub struct Platform<'a> {
    /// `boot.img`, for the first sector of the disk.
    pub boot: &'a [u8],
    /// `diskboot.img`, which loads the core.
    pub disk_boot: &'a [u8],
    /// `lzma_decompress.img`, the core's beginning.
    pub decompressor: &'a [u8],
    /// `kernel.img`.
    pub kernel: &'a [u8],
    /// `moddep.lst`: which module needs which others.
    pub dependencies: &'a str,
    /// Every `NAME.mod` by its name.
    pub modules: BTreeMap<&'a str, &'a [u8]>,
}

/// What a core is made for.
#[derive(Clone, Copy, Debug)]
pub struct Contents<'a> {
    /// Modules that are wanted; what they need is added.
    pub modules: &'a [&'a str],
    /// Commands that run first, one a line; of the rescue parser's language, which has no `if`.
    pub config: Option<&'a str>,
    /// Value of `$prefix`: `(,gpt2)/grub` is a folder on the second partition of the disk booted from.
    pub prefix: &'a str,
}

#[cfg(test)]
mod tests;
