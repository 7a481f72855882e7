//! Small bundles, each in a build folder with a disk of its own.

use std::fs;

use bytes::Bytes as Content;
use firstboot::slot::{Generation, Slot};

use super::recorder::Recorder;
use crate::bundle::manifest::{DISK, Manifest, Partition};
use crate::bundle::{sbom, seal};
use crate::format::uki::{self, Uki};
use crate::image::{self, Image, Role};
use crate::medium::bios::{self, BiosBoot, BiosSlot};
use crate::medium::disk::{self, DiskContents};
use crate::medium::folder::Folder;
use crate::medium::staging::Source;
use crate::secure_boot::SecureBoot;
use crate::units::{Arch, Bytes, RootHash, SectorSize, Sha256, Timestamp};

/// Bytes of a root: no whole number of sectors' writes.
const ROOT: usize = 300_000;

/// A bundle.
pub(crate) struct Sample {
    /// 1, 2, 3.
    pub(super) number: u8,
    pub(crate) manifest: Manifest,
    pub(crate) root: Vec<u8>,
    pub(crate) tree: Vec<u8>,
    pub(super) uki: Vec<u8>,
    pub(super) kernel: Content,
    pub(super) initrd: Content,
    /// The second has none.
    pub(super) microcode: Option<Content>,
    /// Files on the ESP that are no slot's.
    pub(super) programs: Vec<(String, Content)>,
    /// The byte that GRUB's core and the boot sectors are made of.
    pub(super) core: u8,
    folder: tempfile::TempDir,
}

impl Sample {
    /// The first two have the same boot programs, the third has others.
    pub(crate) fn all(sector_size: SectorSize) -> Vec<Self> {
        (1..=3).map(|number| Self::new(number, sector_size)).collect()
    }

    fn new(number: u8, sector_size: SectorSize) -> Self {
        let programs_of = if number == 3 { 3 } else { 1 };
        let root_hash = RootHash(Sha256::of(&[number]));
        let command_line = format!("roothash={root_hash} quiet");
        let bytes = |length: usize, salt: u8| -> Vec<u8> {
            let at = |at: usize| {
                u8::try_from(at % 253).unwrap_or_default().wrapping_mul(number).wrapping_add(salt)
            };
            (0..length).map(at).collect()
        };
        let stub = uki::tests::pe();
        let (kernel, initrd) = (Content::from(bytes(9000, 3)), Content::from(bytes(5000, 4)));
        let microcode = (number != 2).then(|| Content::from(bytes(2000, 5)));
        let parts =
            Uki { stub: &stub, initrd: Some(&initrd), command_line: Some(&command_line), ..Uki::default() };
        let uki = uki::assemble(&parts).unwrap();
        let is_bios = sector_size == SectorSize::B512;
        let text = |name: &str| Content::from(format!("{name} of {programs_of}").repeat(100));
        let mut programs: Vec<(String, Content)> =
            ["loader/loader.conf", "EFI/BOOT/BOOTX64.EFI", "loader/addons/image.addon.efi"]
                .map(|path| (path.to_owned(), text(path)))
                .into();
        let mut esp = programs.clone();
        esp.push(("EFI/Linux/imgbuild_1.efi".to_owned(), uki.clone().into()));
        let image_command_line = "imgbuild.state-minimum=1".to_owned();
        if is_bios {
            programs.insert(1, ("grub/grub.cfg".to_owned(), text("grub/grub.cfg")));
            esp.extend(bios::shared_files().into_iter().filter(|(path, _)| path != "grub/grub.cfg"));
            esp.push(("grub/grub.cfg".to_owned(), text("grub/grub.cfg")));
            let slot = BiosSlot {
                kernel: kernel.clone(),
                initrd: initrd.clone(),
                microcode: microcode.clone(),
                command_line: format!("{command_line} {image_command_line}"),
            };
            esp.extend(slot.files(Slot::A, Generation::FIRST).unwrap());
        }
        let folder = tempfile::tempdir().unwrap();
        let (root, tree) = (bytes(ROOT, 1), bytes(5000, 2));
        let path = |name: &str| folder.path().join(name);
        fs::write(path(seal::ROOT), &root).unwrap();
        fs::write(path(seal::VERITY), &tree).unwrap();
        fs::write(path(seal::UKI), &uki).unwrap();
        let core = BiosBoot::sample(programs_of, 3000);
        let contents = DiskContents {
            arch: Arch::Amd64,
            root_hash,
            time: Timestamp(1_787_977_142),
            root: &path(seal::ROOT),
            verity: &path(seal::VERITY),
            esp: &esp,
            bios: is_bios.then_some(&core),
        };
        let layout = disk::write(&contents, &image(sector_size), &path(DISK)).unwrap();
        let partitions = layout.partitions.into_iter().map(|placed| Partition {
            label: placed.label,
            kind: placed.partition_type,
            partuuid: placed.partuuid,
            first: placed.first,
            size: placed.size,
            used: Bytes(0),
        });
        let partitions = partitions.collect();
        let manifest = Manifest {
            root_hash,
            command_line,
            image_command_line,
            sector_size,
            partitions,
            ..sbom::tests::manifest()
        };
        Self {
            number,
            manifest,
            root,
            tree,
            uki,
            kernel,
            initrd,
            microcode,
            programs,
            core: programs_of,
            folder,
        }
    }

    /// The bundle as staging reads it.
    pub(super) fn source(&self) -> Source {
        let folder = Folder { path: self.folder.path().to_owned(), manifest: self.manifest.clone() };
        Source::open(&folder).unwrap()
    }

    /// The file of its disk.
    pub(crate) fn path(&self) -> std::path::PathBuf {
        self.folder.path().join(DISK)
    }

    /// Its disk.
    pub(super) fn disk(&self) -> Recorder {
        Recorder::load(&self.path(), self.manifest.sector_size.into())
    }
}

/// A disk as small as can be; with sectors of 4096 bytes FAT32 needs more.
fn image(sector_size: SectorSize) -> Image {
    let is_bios = sector_size == SectorSize::B512;
    let partition = |role, size: u64| image::Partition { role, size: Bytes(size << 20) };
    let mut partitions = vec![
        partition(Role::Esp, if is_bios { 40 } else { 260 }),
        partition(Role::RootA, 1),
        partition(Role::RootAVerity, 1),
        partition(Role::RootB, 1),
        partition(Role::RootBVerity, 1),
    ];
    if is_bios {
        partitions.insert(0, partition(Role::BiosBoot, 1));
    }
    Image {
        name: "test".into(),
        description: String::new(),
        layout: 1,
        sector_size,
        partitions,
        command_line: Vec::new(),
        state_minimum: Bytes(1),
        secure_boot: SecureBoot::default(),
    }
}
