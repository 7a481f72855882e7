//! The files on the ESP of a new disk: boot programs and the first generation, for both firmwares.

use bytes::Bytes;
use firstboot::slot::names::{self, UkiName};
use firstboot::slot::{Generation, Slot};

use super::bios::{self, ArgumentError, BiosSlot};
use crate::units::Arch;

/// systemd-boot's settings: no menu, no changed arguments. Nothing is the default, so that the newest is.
const LOADER: &str = "timeout 0\neditor no\n";

/// What boots a new disk.
#[derive(Clone, Debug)]
pub struct BootFiles<'a> {
    /// Architecture of the boot programs.
    pub arch: Arch,
    /// systemd-boot.
    pub boot_loader: Bytes,
    /// The UKI.
    pub uki: Bytes,
    /// The same for GRUB, where BIOS machines can boot the disk.
    pub bios: Option<BiosSlot<'a>>,
}

impl BootFiles<'_> {
    /// All files, by their paths on the ESP.
    pub fn files(&self) -> Result<Vec<(String, Bytes)>, ArgumentError> {
        let efi = self.arch.efi().to_ascii_uppercase();
        let mut files = vec![
            (format!("EFI/BOOT/BOOT{efi}.EFI"), self.boot_loader.clone()),
            (format!("{}/{}", names::FOLDER, UkiName::NEW), self.uki.clone()),
            ("loader/loader.conf".to_owned(), LOADER.into()),
        ];
        if let Some(slot) = &self.bios {
            files.extend(bios::shared_files());
            files.extend(slot.files(Slot::A, Generation::FIRST)?);
        }
        Ok(files)
    }
}
