//! What a build folder brings to a slot, and the boot programs that its own disk has.

use std::fs::File;

use bytes::Bytes as Content;
use firstboot::fat::{Fat, Stamp};
use firstboot::gpt::{self, BlockDisk, Window};
use firstboot::slot::Slot;

use super::StagingError;
use super::layout::Layout;
use crate::bundle::manifest::{DISK, Manifest};
use crate::bundle::seal;
use crate::medium::bios::{BiosSlot, InstalledBios};
use crate::medium::esp::ADDONS;
use crate::medium::folder::Folder;
use crate::units::Bytes;

/// Boot programs and their settings, of which a disk has one each for both slots.
const PROGRAM_FOLDERS: [&str; 2] = ["EFI/BOOT", ADDONS];
const PROGRAM_FILES: [&str; 2] = ["loader/loader.conf", "grub/grub.cfg"];

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
    pub bios: Option<BiosSlot>,
    /// Files on the ESP that are no slot's, by their paths.
    pub programs: Vec<(String, Content)>,
    /// GRUB in the disk's boot sectors.
    pub installed: Option<InstalledBios>,
}

impl Source {
    /// Opens a build folder that was verified.
    pub fn open(folder: &Folder) -> Result<Self, StagingError> {
        let file = folder.file(DISK)?;
        let mut disk =
            BlockDisk::over(file, folder.manifest.sector_size.into()).map_err(StagingError::Bundle)?;
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
        let manifest = folder.manifest.clone();
        let command_line = format!("{} {}", manifest.command_line, manifest.image_command_line);
        // A new disk has its bundle in the first slot.
        let bios = BiosSlot::read(Slot::A, command_line, read)?;
        Ok(Self {
            root: folder.file(seal::ROOT)?,
            tree: folder.file(seal::VERITY)?,
            uki: folder.content(seal::UKI)?.into(),
            bios,
            programs,
            installed,
            manifest,
        })
    }

    /// Length of a file of the bundle.
    pub fn length(file: &File) -> Result<Bytes, StagingError> {
        file.metadata().map(|metadata| Bytes(metadata.len())).map_err(StagingError::Bundle)
    }
}
