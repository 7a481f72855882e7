//! What a build folder brings to a slot, and the boot programs that its own disk has.

use std::fs::File;

use bytes::Bytes as Content;
use firstboot::fat::{Fat, Stamp};
use firstboot::gpt::{self, Window};
use firstboot::stage0::disks::BlockDisk;

use super::layout::Layout;
use super::{ADDONS, StagingError};
use crate::bundle::manifest::Manifest;
use crate::bundle::seal;
use crate::medium::bios::{BiosSlot, InstalledBios};
use crate::medium::folder::{DISK, Folder};
use crate::units::Bytes;

/// Boot programs and their settings, of which a disk has one each for both slots.
const PROGRAM_FOLDERS: [&str; 2] = ["EFI/BOOT", ADDONS];
const PROGRAM_FILES: [&str; 2] = ["loader/loader.conf", "grub/grub.cfg"];
/// GRUB's files of the first slot of a new disk.
const KERNEL: &str = "grub/a/linux";
const INITRD: &str = "grub/a/initrd";
const MICROCODE: &str = "grub/a/microcode";

/// What GRUB loads.
#[derive(Clone, Debug)]
pub struct BiosFiles {
    /// The kernel.
    pub kernel: Content,
    /// Its initrd.
    pub initrd: Content,
    /// Processor microcode, if the profile has any.
    pub microcode: Option<Content>,
}

impl BiosFiles {
    /// All of them.
    pub fn contents(&self) -> impl Iterator<Item = &Content> {
        [&self.kernel, &self.initrd].into_iter().chain(&self.microcode)
    }
}

/// A bundle to be staged.
#[derive(Debug)]
pub struct Source {
    /// What it says of itself.
    pub manifest: Manifest,
    /// The root file system.
    pub root: File,
    /// Its hash tree.
    pub tree: File,
    /// The UKI.
    pub uki: Content,
    /// What GRUB loads, where the bundle's disk has it.
    pub bios: Option<BiosFiles>,
    /// Files on the ESP that are no slot's, by their paths.
    pub programs: Vec<(String, Content)>,
    /// GRUB in the disk's boot sectors.
    pub installed: Option<InstalledBios>,
}

impl Source {
    /// Opens a build folder that was verified.
    pub fn open(folder: &Folder) -> Result<Self, StagingError> {
        let file = folder.file(DISK)?;
        let size = file.metadata().map_err(StagingError::Bundle)?.len();
        let mut disk = BlockDisk::over(file, size, folder.sector_size()?.into());
        let copies = gpt::read(&disk).map_err(StagingError::BundleTable)?;
        let layout = Layout::of(&copies.table, &folder.manifest)?;
        let installed = match layout.bios_boot {
            Some(place) => InstalledBios::read(&disk, place.extent).map_err(StagingError::Bundle)?,
            None => None,
        };
        let esp = Window::new(&mut disk, layout.esp.extent.first, layout.esp.extent.sectors());
        let fat =
            Fat::open(esp, Stamp::from_unix(folder.manifest.date.0)).map_err(StagingError::BundleEsp)?;
        let read = |path: &str| fat.read(path).map_err(StagingError::BundleEsp);
        let mut paths: Vec<String> = PROGRAM_FILES.map(str::to_owned).into();
        for folder in PROGRAM_FOLDERS {
            let items = fat.list(folder).map_err(StagingError::BundleEsp)?.unwrap_or_default();
            paths.extend(items.into_iter().map(|item| format!("{folder}/{}", item.name)));
        }
        let mut programs = Vec::new();
        for path in paths {
            programs.extend(read(&path)?.map(|content| (path, content.into())));
        }
        let bios = read(KERNEL)?.zip(read(INITRD)?);
        let microcode = read(MICROCODE)?.map(Content::from);
        Ok(Self {
            root: folder.file(seal::ROOT)?,
            tree: folder.file(seal::VERITY)?,
            uki: folder.content(seal::UKI)?.into(),
            bios: bios.map(|(kernel, initrd)| BiosFiles {
                kernel: kernel.into(),
                initrd: initrd.into(),
                microcode,
            }),
            programs,
            installed,
            manifest: folder.manifest.clone(),
        })
    }

    /// Arguments of the UKI and of the medium, as GRUB passes them.
    pub fn command_line(&self) -> String {
        format!("{} {}", self.manifest.command_line, self.manifest.image_command_line)
    }

    /// GRUB's files of a slot.
    pub fn bios_slot<'a>(&self, command_line: &'a str) -> Option<BiosSlot<'a>> {
        let BiosFiles { kernel, initrd, microcode } = self.bios.clone()?;
        Some(BiosSlot { kernel, microcode, initrd, command_line })
    }

    /// Length of a file of the bundle.
    pub fn length(file: &File) -> Result<Bytes, StagingError> {
        file.metadata().map(|metadata| Bytes(metadata.len())).map_err(StagingError::Bundle)
    }
}
