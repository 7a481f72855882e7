//! What a machine would start from a disk: the rules of firmware, systemd-boot, `grub.cfg` and stage0, with `fatfs` as
//! reader of the ESP. Whatever could be started must be whole, not only what is started first.

use std::io::{self, Read, Seek, SeekFrom, Write};

use firstboot::gpt::{self, Disk, Guid, Lba, Table};
use firstboot::slot::Slot;
use firstboot::slot::environment::Environment;
use firstboot::slot::names::{Names, UkiName};

use super::recorder::State;
use super::sample::Sample;
use crate::format::grub;

/// What a machine starts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Choice {
    /// Number of the sample.
    pub(super) sample: u8,
    pub(super) is_on_trial: bool,
    /// Number of the sample that is committed.
    pub(super) committed: u8,
}

pub(super) struct Judge<'a> {
    samples: &'a [Sample],
}

impl<'a> Judge<'a> {
    pub(super) fn new(samples: &'a [Sample]) -> Self {
        Self { samples }
    }

    /// By UEFI, and by BIOS where the disk is for both.
    pub(super) fn choices(&self, disk: &State<'_>, place: &str) -> Vec<Choice> {
        let table = gpt::read(disk).unwrap_or_else(|fault| panic!("{place}: {fault}")).table;
        let mut entries = table.entries();
        let (_, esp) = entries.find(|(_, entry)| entry.kind == Guid::ESP).unwrap();
        let esp = Esp::open(disk, esp.extent.first, esp.extent.sectors());
        let mut choices = vec![self.by_uefi(&esp, disk, &table, place)];
        if table.entries().any(|(_, entry)| entry.name == *"bios-boot") {
            choices.push(self.by_bios(&esp, disk, &table, place));
        }
        choices
    }

    fn by_uefi(&self, esp: &Esp<'_>, disk: &State<'_>, table: &Table, place: &str) -> Choice {
        for path in ["EFI/BOOT/BOOTX64.EFI", "loader/loader.conf", "loader/addons/image.addon.efi"] {
            self.check_program(esp, path, place);
        }
        let mut names = Names::default();
        for name in esp.list("EFI/Linux").iter().filter(|name| name.to_lowercase().ends_with(".efi")) {
            names.0.insert(name.parse().unwrap_or_else(|fault| panic!("{place}: {fault}")));
        }
        let sample = |name: &UkiName| {
            let content = esp.read(&format!("EFI/Linux/{name}")).unwrap();
            let sample = self.samples.iter().find(|sample| sample.uki == content);
            let sample = sample.unwrap_or_else(|| panic!("{place}: `{name}` is nobody's UKI"));
            check_root(sample, disk, table, place);
            sample.number
        };
        let all: Vec<(UkiName, u8)> = names.0.iter().map(|name| (*name, sample(name))).collect();
        let of = |generation| all.iter().find(|(name, _)| Some(name.generation) == generation).unwrap();
        let committed = of(names.committed()).1;
        let started = of(names.boot());
        Choice { sample: started.1, is_on_trial: started.0.is_trial(), committed }
    }

    fn by_bios(&self, esp: &Esp<'_>, disk: &State<'_>, table: &Table, place: &str) -> Choice {
        self.check_core(disk, table, place);
        self.check_program(esp, "grub/grub.cfg", place);
        let block = esp.read("grub/grubenv").unwrap_or_default();
        let mut block = Environment::parse(&block).unwrap_or_else(|fault| panic!("{place}: {fault}"));
        let before = block;
        let first = block.boot();
        // What `grub.cfg` goes through where a slot has no files.
        let order = [first, before.committed, before.committed.other()];
        let slot = |slot: Slot| self.bios_slot(slot, esp, disk, table, place);
        let (a, b) = (slot(Slot::A), slot(Slot::B));
        let of = |slot| if slot == Slot::A { a } else { b };
        let started = order.into_iter().find_map(|slot| Some((slot, of(slot)?)));
        let (started, sample) = started.unwrap_or_else(|| panic!("{place}: GRUB finds no slot"));
        let committed =
            of(before.committed).unwrap_or_else(|| panic!("{place}: the committed slot is empty"));
        let is_on_trial = before.trial.is_some_and(|trial| trial.tries > 0 && trial.slot == started);
        Choice { sample, is_on_trial, committed }
    }

    /// The sample that GRUB would start from a slot.
    fn bios_slot(
        &self,
        slot: Slot,
        esp: &Esp<'_>,
        disk: &State<'_>,
        table: &Table,
        place: &str,
    ) -> Option<u8> {
        let config = String::from_utf8(esp.read(&format!("grub/{slot}/slot.cfg"))?).unwrap();
        let sample = self.samples.iter().find(|sample| {
            config.contains(&format!("'roothash={}'", sample.manifest.root_hash)) && config.ends_with("\n}\n")
        });
        let sample = sample.unwrap_or_else(|| panic!("{place}: slot {slot} of GRUB is nobody's: {config}"));
        let [kernel, initrd] = [&sample.kernel, &sample.initrd].map(|content| Some(&content[..]));
        for (name, content) in
            [("linux", kernel), ("initrd", initrd), ("microcode", sample.microcode.as_deref())]
        {
            let found = esp.read(&format!("grub/{slot}/{name}"));
            assert!(found.as_deref() == content, "{place}: `{name}` of slot {slot} is not whole");
        }
        check_root(sample, disk, table, place);
        Some(sample.number)
    }

    fn check_program(&self, esp: &Esp<'_>, path: &str, place: &str) {
        let found = esp.read(path);
        let is_known = |sample: &Sample| {
            let program = sample.programs.iter().find(|(name, _)| name == path);
            program.map(|(_, content)| content.as_ref()) == found.as_deref()
        };
        assert!(self.samples.iter().any(is_known), "{place}: `{path}` is nobody's");
    }

    /// The chain of boot sectors, as a BIOS and GRUB's code go along it.
    fn check_core(&self, disk: &State<'_>, table: &Table, place: &str) {
        let (_, partition) = table.entries().find(|(_, entry)| entry.name == *"bios-boot").unwrap();
        let first = partition.extent.first.0;
        let boot = disk.bytes(0, 512);
        assert_eq!(boot[0x5c..0x64], first.to_le_bytes(), "{place}: the first sector leads elsewhere");
        assert_eq!(boot[510..], [0x55, 0xaa], "{place}: the first sector is none");
        let loader: [u8; 512] = disk.bytes(first, 512).try_into().unwrap();
        let list = grub::block_list(&loader);
        let core = disk.bytes(list.first.0, usize::try_from(list.size.0).unwrap());
        let known = self.samples.iter().map(|sample| sample.core).find(|version| loader[0] == *version);
        let known = known.unwrap_or_else(|| panic!("{place}: the loader is nobody's"));
        let whole = core.iter().take(3000).all(|byte| *byte == known);
        assert!(whole && core.len() == 3072, "{place}: GRUB's core is not whole");
        assert!(
            self.samples.iter().any(|sample| boot[0] == sample.core),
            "{place}: the first sector is nobody's"
        );
        // GRUB itself reads the primary entries, whatever their checksum is: it finds the ESP there.
        let (number, esp) = table.entries().find(|(_, entry)| entry.kind == Guid::ESP).unwrap();
        let entry = 1024 + (usize::try_from(number).unwrap() - 1) * 128;
        let primary = disk.bytes(0, 2048);
        assert_eq!(
            primary[entry + 32..entry + 40],
            esp.extent.first.0.to_le_bytes(),
            "{place}: GRUB loses the ESP"
        );
    }
}

/// What stage0 and dm-verity do: root and tree by the halves of the root hash, each once, and whole.
fn check_root(sample: &Sample, disk: &State<'_>, table: &Table, place: &str) {
    let hash = sample.manifest.root_hash;
    for (id, content, what) in
        [(hash.root_partuuid(), &sample.root, "root"), (hash.verity_partuuid(), &sample.tree, "hash tree")]
    {
        let id = Guid::from_u128(id.as_u128());
        let found: Vec<_> = table.entries().filter(|(_, entry)| entry.id == id).collect();
        assert_eq!(
            found.len(),
            1,
            "{place}: {what} of sample {} is there {} times",
            sample.number,
            found.len()
        );
        let at = found[0].1.extent.first.0;
        assert!(
            disk.bytes(at, content.len()) == *content,
            "{place}: {what} of sample {} is damaged",
            sample.number
        );
    }
}

/// The ESP as `fatfs` reads it.
struct Esp<'a> {
    system: fatfs::FileSystem<Stream<'a>>,
}

impl<'a> Esp<'a> {
    fn open(disk: &'a State<'a>, first: Lba, sectors: u64) -> Self {
        let bytes = sectors * disk.sector_size.bytes();
        let stream = Stream { disk, start: first.0, bytes, position: 0 };
        Self { system: fatfs::FileSystem::new(stream, fatfs::FsOptions::new()).unwrap() }
    }

    fn list(&self, path: &str) -> Vec<String> {
        let folder = self.system.root_dir().open_dir(path).unwrap();
        folder.iter().map(|entry| entry.unwrap().file_name()).filter(|name| !name.starts_with('.')).collect()
    }

    fn read(&self, path: &str) -> Option<Vec<u8>> {
        let mut content = Vec::new();
        self.system.root_dir().open_file(path).ok()?.read_to_end(&mut content).ok()?;
        Some(content)
    }
}

/// A partition for reading.
struct Stream<'a> {
    disk: &'a State<'a>,
    start: u64,
    bytes: u64,
    position: u64,
}

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let size = self.disk.sector_size;
        let within = usize::try_from(self.position % size.bytes()).unwrap();
        let count = buffer.len().min(size.in_memory() - within);
        if self.position >= self.bytes {
            return Ok(0);
        }
        let mut sector = vec![0; size.in_memory()];
        self.disk.read(Lba(self.start + self.position / size.bytes()), &mut sector)?;
        buffer[..count].copy_from_slice(&sector[within..within + count]);
        self.position += u64::try_from(count).unwrap();
        Ok(count)
    }
}

impl Write for Stream<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        // `fatfs` notes on closing that it was here.
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Stream<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = match to {
            SeekFrom::Start(position) => position,
            SeekFrom::Current(by) => self.position.checked_add_signed(by).unwrap(),
            SeekFrom::End(by) => self.bytes.checked_add_signed(by).unwrap(),
        };
        Ok(self.position)
    }
}
