//! What lets BIOS machines boot a disk that UEFI machines boot too: GRUB's core, and its folder on the ESP.
//!
//! ```text
//! sector 0 of the disk       boot.img; loads the first sector of the BIOS boot partition
//! BIOS boot  sector 0        diskboot.img; its block list is the switch between the two cores
//! partition  1 .. half       core a
//!            half ..         core b: what an update writes, before it writes sector 0
//! ESP        grub/grub.cfg   which slot: see there
//!            grub/grubenv    what is committed, on trial, and how often it failed
//!            grub/a/         linux, microcode, initrd and slot.cfg, which has the kernel's arguments
//! ```

mod arguments;
mod installed;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};

use bytes::Bytes as Content;
use firstboot::slot::entries::config_path;
use firstboot::slot::environment::{self, Environment};
use firstboot::slot::{Generation, Slot};
use thiserror::Error;

pub use arguments::ArgumentError;
pub use installed::InstalledBios;

use crate::format::grub::{self, BlockList, Contents, GrubError, Platform, SECTOR};
use crate::tree::{Kind, Tree};
use crate::units::{Bytes, Lba};

/// Where grub-pc-bin has its files.
const FOLDER: &str = "usr/lib/grub/i386-pc";
/// What the core needs before it can read the ESP, and what `grub.cfg` uses.
const MODULES: [&str; 14] = [
    "biosdisk",
    "part_gpt",
    "fat",
    "normal",
    "configfile",
    "linux",
    "loadenv",
    "probe",
    "test",
    "echo",
    "sleep",
    "reboot",
    "terminal",
    "serial",
];
const CORE_CONFIG: &str = include_str!("bios/core.cfg");
const CONFIG: &str = include_str!("bios/grub.cfg");
/// Names in a slot's folder.
const KERNEL: &str = "linux";
const MICROCODE: &str = "microcode";
const INITRD: &str = "initrd";
/// Bytes of a sector, as files know them.
const SECTOR_SIZE: u64 = 512;

/// Boot programs for BIOS machines.
#[derive(Clone, Debug)]
pub struct BiosBoot {
    boot: Content,
    disk_boot: Content,
    core: Vec<u8>,
}

/// Why BIOS machines could not boot.
#[derive(Debug, Error)]
pub enum BiosError {
    /// The boot packages lack a file.
    #[error("no boot package of the profile has `{path}`")]
    Missing {
        /// Path in the package.
        path: String,
    },
    /// The list of dependencies is no text.
    #[error("`moddep.lst` is no text")]
    Text(#[source] std::str::Utf8Error),
    /// GRUB's files are damaged or too large.
    #[error("assembling GRUB's core")]
    Grub(#[from] GrubError),
    /// Two cores do not fit.
    #[error("GRUB's core has {size}, half of the BIOS boot partition has room for {room}")]
    Room {
        /// Size of the core.
        size: Bytes,
        /// Room that each of two has.
        room: Bytes,
    },
    /// The disk cannot be written.
    #[error("writing GRUB's core")]
    Write(#[from] io::Error),
}

impl BiosBoot {
    /// Assembles the core from the unpacked boot packages; `esp` is the number of the ESP in the table.
    pub fn assemble(packages: &Tree, esp: usize) -> Result<Self, BiosError> {
        let file = |name: &str| {
            let path = format!("{FOLDER}/{name}");
            packages.file(&path).ok_or(BiosError::Missing { path })
        };
        let modules: BTreeMap<&str, &[u8]> = packages
            .below(FOLDER)
            .filter_map(|(path, entry)| {
                let name = path.strip_prefix(FOLDER)?.strip_prefix('/')?.strip_suffix(".mod")?;
                let Kind::File(content) = &entry.kind else { return None };
                Some((name, content.as_ref()))
            })
            .collect();
        let (boot, disk_boot) = (file("boot.img")?, file("diskboot.img")?);
        let platform = Platform {
            boot,
            disk_boot,
            decompressor: file("lzma_decompress.img")?,
            kernel: file("kernel.img")?,
            dependencies: str::from_utf8(file("moddep.lst")?).map_err(BiosError::Text)?,
            modules,
        };
        // Without a disk: the one that it was booted from.
        let prefix = format!("(,gpt{esp})/grub");
        let contents = Contents { modules: &MODULES, config: Some(CORE_CONFIG), prefix: &prefix };
        let core = grub::core(&platform, &contents)?;
        Ok(Self { boot: boot.clone(), disk_boot: disk_boot.clone(), core })
    }

    /// Boot programs of a test, which no machine starts.
    #[cfg(test)]
    pub(crate) fn sample(version: u8, core: usize) -> Self {
        let mut boot = vec![version; SECTOR];
        // What makes a sector GRUB's.
        boot[0x66..0x68].copy_from_slice(&[0xeb, 0x05]);
        Self { boot: boot.into(), disk_boot: vec![version; SECTOR].into(), core: vec![version; core] }
    }

    /// Size of the core.
    pub fn size(&self) -> Bytes {
        Bytes::of(&self.core)
    }

    /// Writes both boot sectors and core a to a disk whose table is written and whose BIOS boot partition is this.
    pub fn write(&self, first: Lba, size: Bytes, disk: &mut File) -> Result<(), BiosError> {
        let half = Bytes(size.0 / 2);
        let room = Bytes(half.0.saturating_sub(SECTOR_SIZE));
        if self.size() > room {
            return Err(BiosError::Room { size: self.size(), room });
        }
        let core = BlockList { first: Lba(first.0.saturating_add(1)), size: self.size() };
        let loader = grub::disk_boot_sector(&self.disk_boot, core)?;
        let mut sector = [0; SECTOR];
        disk.seek(SeekFrom::Start(0))?;
        disk.read_exact(&mut sector)?;
        let sector = grub::boot_sector(&self.boot, first, &sector)?;
        disk.seek(SeekFrom::Start(first.0.saturating_mul(SECTOR_SIZE)))?;
        disk.write_all(&loader)?;
        disk.write_all(&self.core)?;
        disk.seek(SeekFrom::Start(0))?;
        Ok(disk.write_all(&sector)?)
    }
}

/// What a slot holds for GRUB.
#[derive(Clone, Debug)]
pub struct BiosSlot {
    /// The kernel.
    pub kernel: Content,
    /// What the kernel wants before the initrd, uncompressed: microcode, where the bundle has any.
    pub microcode: Option<Content>,
    /// Its initrd.
    pub initrd: Content,
    /// The arguments of its UKI, and those of the medium.
    pub command_line: String,
}

impl BiosSlot {
    /// Reads back what [`BiosSlot::files`] wrote for `slot`; `None` where kernel or initrd is missing. Arguments are not
    /// taken from GRUB's quoted form of them, but given.
    pub fn read<E>(
        slot: Slot,
        command_line: String,
        read: impl Fn(&str) -> Result<Option<Vec<u8>>, E>,
    ) -> Result<Option<Self>, E> {
        let file = |name| Ok(read(&path(slot, name))?.map(Content::from));
        let (kernel, initrd, microcode) = (file(KERNEL)?, file(INITRD)?, file(MICROCODE)?);
        let both = kernel.zip(initrd);
        Ok(both.map(|(kernel, initrd)| Self { kernel, microcode, initrd, command_line }))
    }

    /// What GRUB loads.
    pub fn contents(&self) -> impl Iterator<Item = &Content> {
        std::iter::once(&self.kernel).chain(self.initrds().map(|(_, content)| content))
    }

    /// The slot's files, by their paths on the ESP.
    pub fn files(&self, slot: Slot, generation: Generation) -> Result<Vec<(String, Content)>, ArgumentError> {
        let config = self.config(slot, generation)?;
        let initrds = self.initrds().map(|(name, content)| (name, content.clone()));
        let files = [(KERNEL, self.kernel.clone())].into_iter().chain(initrds);
        let files = files.map(|(name, content)| (path(slot, name), content));
        Ok(files.chain([(config_path(slot), config.into())]).collect())
    }

    /// What the kernel is given as its initrd, in this order: it looks for microcode at the very beginning.
    fn initrds(&self) -> impl Iterator<Item = (&'static str, &Content)> {
        let microcode = self.microcode.as_ref().map(|microcode| (MICROCODE, microcode));
        microcode.into_iter().chain([(INITRD, &self.initrd)])
    }

    /// Defines `load`, which `grub.cfg` calls with `$esp` and `$mode` set.
    fn config(&self, slot: Slot, generation: Generation) -> Result<String, ArgumentError> {
        let arguments = arguments::quoted(&self.command_line)?;
        // GRUB puts files after one another, each from a multiple of four bytes on.
        let initrds = self.initrds().map(|(name, _)| format!("$prefix/{slot}/{name}"));
        let initrds = initrds.collect::<Vec<_>>().join(" ");
        Ok(format!(
            "# Slot {slot}, with the arguments of its UKI and of the medium.\nset generation={generation}\nfunction load {{\n  \
             linux $prefix/{slot}/{KERNEL} {arguments} imgbuild.esp=$esp $mode\n  \
             initrd {initrds}\n}}\n"
        ))
    }
}

/// A file of a slot, by its path on the ESP.
fn path(slot: Slot, name: &str) -> String {
    format!("grub/{slot}/{name}")
}

/// The files on the ESP of a new disk that are no slot's.
pub fn shared_files() -> [(String, Content); 2] {
    [
        ("grub/grub.cfg".to_owned(), CONFIG.into()),
        (environment::PATH.to_owned(), Environment::NEW.to_block().to_vec().into()),
    ]
}

#[cfg(test)]
mod tests;
