//! What a build folder brings to a slot, and the boot programs that its own disk has.

use std::fs::File;

use bytes::Bytes as Content;
use firstboot::fat::{Fat, Stamp};
use firstboot::gpt::{self, SectorSize, Window};
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
    /// Kernel and initrd for GRUB, where its disk has them.
    pub bios: Option<(Content, Content)>,
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
        let sector_size = folder.sector_size()?;
        let sector_size = SectorSize::new(u64::from(sector_size.bytes())).unwrap_or(SectorSize::S512);
        let mut disk = BlockDisk::over(file, size, sector_size);
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
        Ok(Self {
            root: folder.file(seal::ROOT)?,
            tree: folder.file(seal::VERITY)?,
            uki: folder.content(seal::UKI)?.into(),
            bios: bios.map(|(kernel, initrd)| (kernel.into(), initrd.into())),
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
        let (kernel, initrd) = self.bios.clone()?;
        Some(BiosSlot { kernel, initrd, command_line })
    }

    /// Length of a file of the bundle.
    pub fn length(file: &File) -> Result<Bytes, StagingError> {
        file.metadata().map(|metadata| Bytes(metadata.len())).map_err(StagingError::Bundle)
    }
}
