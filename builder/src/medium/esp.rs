//! The files on the ESP of a new disk: boot programs and the first generation, for both firmwares, and keys to enrol.

use bytes::Bytes;
use firstboot::slot::names::{self, UkiName};
use firstboot::slot::{Generation, Slot};
use thiserror::Error;

use super::bios::{self, ArgumentError, BiosSlot};
use crate::secure_boot::{EnrolmentError, Keys, SecureBoot};
use crate::units::Arch;

/// systemd-boot's settings: no menu, no changed arguments. Nothing is the default, so that the newest is.
const LOADER: &str = "timeout 0\neditor no\n";
/// Where systemd's stub looks for add-ons to any UKI (systemd-stub(7)).
pub const ADDONS: &str = "loader/addons";
/// The name of the medium's own.
const ADDON: &str = "image.addon.efi";

/// What boots a new disk.
#[derive(Clone, Debug)]
pub struct BootFiles<'a> {
    /// Architecture of the boot programs.
    pub arch: Arch,
    /// systemd-boot.
    pub boot_loader: Bytes,
    /// The UKI.
    pub uki: Bytes,
    /// The medium's own kernel arguments, for the stub in the UKI.
    pub addon: Bytes,
    /// Keys for firmware, and when it is given them, where the cluster has any.
    pub secure_boot: Option<(&'a Keys, SecureBoot)>,
    /// The same for GRUB, where BIOS machines can boot the disk.
    pub bios: Option<BiosSlot>,
}

/// Why there is nothing to boot from.
#[derive(Debug, Error)]
pub enum BootFilesError {
    /// GRUB cannot pass on an argument.
    #[error("writing GRUB's slot")]
    Arguments(#[from] ArgumentError),
    /// There is nothing to enrol from.
    #[error("writing Secure Boot keys for enrolment")]
    Enrolment(#[from] EnrolmentError),
}

impl BootFiles<'_> {
    /// All files, by their paths on the ESP.
    pub fn files(&self) -> Result<Vec<(String, Bytes)>, BootFilesError> {
        let efi = self.arch.efi().to_ascii_uppercase();
        let mut files = vec![
            (format!("EFI/BOOT/BOOT{efi}.EFI"), self.boot_loader.clone()),
            (format!("{}/{}", names::FOLDER, UkiName::NEW), self.uki.clone()),
            (format!("{ADDONS}/{ADDON}"), self.addon.clone()),
        ];
        let mut settings = LOADER.to_owned();
        if let Some((keys, secure_boot)) = self.secure_boot {
            settings.extend(["secure-boot-enroll ", secure_boot.enrol.name(), "\n"]);
            files.extend(keys.enrolment_files(secure_boot.microsoft)?);
        }
        files.push(("loader/loader.conf".to_owned(), settings.into()));
        if let Some(slot) = &self.bios {
            files.extend(bios::shared_files());
            files.extend(slot.files(Slot::A, Generation::FIRST)?);
        }
        Ok(files)
    }
}
