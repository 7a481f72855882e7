//! Writes a bundle into the free slot of a disk, so that a power cut at any instant leaves what was bootable bootable.
//!
//! ```text
//!  1  what leads to the free slot goes: UKIs, GRUB's block, slot.cfg     nothing starts it any more
//!  2  root, hash tree, flush
//!  3  partition table: labels and PARTUUIDs of the slot, backup first
//!  4  GRUB's kernel, microcode, initrd, then slot.cfg
//!  5  UKI under a name that is none, then `imgbuild_GENERATION+3.efi`    UEFI machines start the new one
//!  6  GRUB's environment block                                           BIOS machines do
//!  7  boot programs whose bytes differ: each is the old or the new one
//! ```
//!
//! The free slot is the one that is not committed; what is on trial in it, or was committed before, is written over.
//! An older bundle is staged as any other: its generation is the highest.

pub mod disk;
mod error;
mod layout;
mod source;

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use firstboot::fat::{Fat, FatError, Stamp};
use firstboot::gpt::{self, Copies, Disk, Guid, Lba, Name, Window};
use firstboot::root_hash::RootHash as Root;
use firstboot::slot::entries::{self, Choice, Entries, UNFINISHED, config_path};
use firstboot::slot::environment::Environment;
use firstboot::slot::names::{self, Names, Tries, UkiName};
use firstboot::slot::{Generation, Slot, TRIES};
use serde::Serialize;

pub use self::error::StagingError;
pub use self::layout::{Layout, Place};
pub use self::source::Source;

use crate::medium::bios::{BiosSlot, InstalledBios};
use crate::medium::esp::ADDONS;
use crate::units::{Bytes, RootHash};

/// Bytes copied at once.
const CHUNK: u64 = 1 << 20;

/// What was staged.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Staged {
    /// Slot that is on trial now.
    pub slot: Slot,
    /// Its generation.
    pub generation: Generation,
    /// Root hash of what lies in it.
    pub root_hash: RootHash,
    /// Starts it is given.
    pub tries: u8,
    /// Slot that is committed, and stays so until a start of the other one works.
    pub committed_slot: Slot,
    /// Its generation.
    pub committed_generation: Generation,
    /// Boot programs that were replaced: paths on the ESP, or `GRUB's core`.
    pub programs: Vec<String>,
}

/// Everything that is decided before the first write.
#[derive(Debug)]
struct Plan<'a> {
    source: &'a Source,
    layout: Layout,
    /// What the boot entries are like, and what they become first.
    entries: Entries,
    withdrawn: Choice,
    committed: (Slot, Generation),
    generation: Generation,
}

/// Stages a bundle on a disk whose table was read. `advance` is told the bytes of root and tree as they are written.
pub fn stage<D: Disk>(
    source: &Source,
    disk: &mut D,
    copies: &Copies,
    advance: impl Fn(u64),
) -> Result<Staged, StagingError> {
    let plan = Plan::make(source, disk, copies)?;
    gpt::repair(disk, copies).map_err(|source| StagingError::Disk { action: "mending the table", source })?;
    plan.withdraw(disk)?;
    plan.write_slot(disk, &advance)?;
    plan.name_slot(disk, copies)?;
    plan.write_entries(disk)?;
    let programs = plan.replace_programs(disk)?;
    Ok(Staged {
        slot: plan.slot(),
        generation: plan.generation,
        root_hash: source.manifest.root_hash,
        tries: TRIES,
        committed_slot: plan.committed.0,
        committed_generation: plan.committed.1,
        programs,
    })
}

impl<'a> Plan<'a> {
    /// Looks at the disk, and refuses whatever can be known to go wrong.
    fn make<D: Disk>(source: &'a Source, disk: &mut D, copies: &Copies) -> Result<Self, StagingError> {
        let layout = Layout::of(&copies.table, &source.manifest)?;
        if layout.bios_boot.is_some() && (source.bios.is_none() || source.installed.is_none()) {
            return Err(StagingError::NoBios);
        }
        let sector = disk.sector_size().bytes();
        let fat = open_esp(&layout, source, disk)?;
        let entries = Entries::read(&fat)?;
        let generation = entries.committed().ok_or(StagingError::NoneCommitted)?;
        let place = |root: &Root| layout.slot_of(root);
        let slot = entries.slot_of(generation, place).ok_or(StagingError::Lost { generation })?;
        let own = Guid::from_u128(source.manifest.root_hash.root_partuuid().as_u128());
        let number = layout.root(slot).number;
        if copies.table.entry(number).is_some_and(|entry| entry.id == own) {
            return Err(StagingError::Same { slot, root_hash: source.manifest.root_hash });
        }
        let free = slot.other();
        layout::check_size("the root", Source::length(&source.root)?, layout.root(free), sector)?;
        layout::check_size("the hash tree", Source::length(&source.tree)?, layout.tree(free), sector)?;
        let withdrawn = withdrawn(&entries, (slot, generation));
        let newest = entries.newest().unwrap_or(generation);
        let next = newest.0.checked_add(1).map(Generation).ok_or(StagingError::Generation(newest))?;
        let plan =
            Self { source, layout, entries, withdrawn, committed: (slot, generation), generation: next };
        plan.check_room(&fat)?;
        Ok(plan)
    }

    fn slot(&self) -> Slot {
        self.committed.0.other()
    }

    /// Room for the boot files once those of the free slot are gone. A replaced boot program is there twice for a while.
    fn check_room<D: Disk>(&self, fat: &Fat<D>) -> Result<(), StagingError> {
        let mut free = fat.free();
        for path in self.outdated(fat)? {
            let size = fat.size(&path)?.unwrap_or_default();
            free = free.saturating_add(fat.room_for(size.into()));
        }
        let bios = self.source.bios.iter().flat_map(BiosSlot::contents);
        let files = bios.chain([&self.source.uki]).map(|content| Bytes::of(content).0);
        let programs = self.source.programs.iter().map(|(_, content)| Bytes::of(content).0);
        let needed = files.chain(programs).map(|size| fat.room_for(size)).fold(0, u64::saturating_add);
        // Folders, and the slot's configuration.
        let needed = needed.saturating_add(fat.room_for(1).saturating_mul(4));
        if needed > free {
            return Err(StagingError::Esp { needed: Bytes(needed), free: Bytes(free) });
        }
        Ok(())
    }

    /// Files of the free slot, and what a staging has left unfinished.
    fn outdated<D: Disk>(&self, fat: &Fat<D>) -> Result<Vec<String>, StagingError> {
        let slot = self.slot();
        let names = self.entries.names.0.iter().filter(|name| !self.withdrawn.names.0.contains(name));
        let mut paths: Vec<String> = names.map(|name| format!("{}/{name}", names::FOLDER)).collect();
        paths.extend(self.entries.unfinished.iter().map(|name| format!("{}/{name}", names::FOLDER)));
        // The configuration first: without it GRUB passes over the slot.
        let items = fat.list(&format!("grub/{slot}"))?.unwrap_or_default();
        let mut items: Vec<String> =
            items.into_iter().map(|item| format!("grub/{slot}/{}", item.name)).collect();
        items.sort_by_key(|path| *path != config_path(slot));
        paths.extend(items);
        Ok(paths)
    }

    /// Makes both back ends agree on what is committed, and takes away whatever leads to the free slot.
    fn withdraw<D: Disk>(&self, disk: &mut D) -> Result<(), StagingError> {
        let mut fat = open_esp(&self.layout, self.source, disk)?;
        self.entries.change(&self.withdrawn, &mut fat)?;
        for path in self.outdated(&fat)? {
            if fat.size(&path)?.is_some() {
                fat.remove(&path)?;
            }
        }
        fat.reclaim()?;
        Ok(fat.finish()?)
    }

    fn write_slot<D: Disk>(&self, disk: &mut D, advance: &impl Fn(u64)) -> Result<(), StagingError> {
        let slot = self.slot();
        copy(&self.source.root, self.layout.root(slot), disk, advance)?;
        copy(&self.source.tree, self.layout.tree(slot), disk, advance)?;
        disk.flush().map_err(|source| StagingError::Disk { action: "flushing the slot", source })
    }

    /// Gives the slot's partitions their names and the halves of the root hash.
    fn name_slot<D: Disk>(&self, disk: &mut D, copies: &Copies) -> Result<(), StagingError> {
        let slot = self.slot();
        let root_hash = self.source.manifest.root_hash;
        let mut table = copies.table.clone();
        for (place, name, id) in [
            (self.layout.root(slot), format!("root-{slot}"), root_hash.root_partuuid()),
            (self.layout.tree(slot), format!("root-{slot}-verity"), root_hash.verity_partuuid()),
        ] {
            if let Some(entry) = table.entry_mut(place.number) {
                entry.name = Name::new(&name);
                entry.id = Guid::from_u128(id.as_u128());
            }
        }
        if table == copies.table {
            return Ok(());
        }
        gpt::write(disk, &table).map_err(|source| StagingError::Disk { action: "writing the table", source })
    }

    /// GRUB's files, the UKI, and last the environment block.
    fn write_entries<D: Disk>(&self, disk: &mut D) -> Result<(), StagingError> {
        let slot = self.slot();
        let bios = self.source.bios.as_ref().filter(|_| self.layout.bios_boot.is_some());
        let bios = bios.map(|bios| bios.files(slot, self.generation)).transpose()?;
        let mut fat = open_esp(&self.layout, self.source, disk)?;
        if let Some(files) = &bios {
            let folder = format!("grub/{slot}");
            if fat.list(&folder)?.is_none() {
                fat.make_folder(&folder)?;
            }
            // In their order: what reads the others comes last.
            for (path, content) in files {
                fat.create(path, content)?;
            }
        }
        let name = UkiName { generation: self.generation, tries: Some(Tries { left: TRIES, done: None }) };
        let name = name.to_string();
        let unfinished =
            name.strip_suffix(".efi").map_or_else(|| name.clone(), |stem| format!("{stem}{UNFINISHED}"));
        fat.create(&format!("{}/{unfinished}", names::FOLDER), &self.source.uki)?;
        fat.rename(names::FOLDER, &unfinished, &name)?;
        if let Some(mut block) = self.withdrawn.environment {
            block.stage(self.generation);
            entries::write_environment(&block, &mut fat)?;
        }
        Ok(fat.finish()?)
    }

    /// Boot programs whose bytes differ; returns what they are called.
    fn replace_programs<D: Disk>(&self, disk: &mut D) -> Result<Vec<String>, StagingError> {
        let mut replaced = Vec::new();
        let mut fat = open_esp(&self.layout, self.source, disk)?;
        let is_bios = self.layout.bios_boot.is_some();
        for (path, content) in &self.source.programs {
            if (is_bios || !path.starts_with("grub/")) && fat.read(path)?.as_deref() != Some(content) {
                if let Some((folder, _)) = path.rsplit_once('/').filter(|(folder, _)| *folder == ADDONS)
                    && fat.list(folder)?.is_none()
                {
                    fat.make_folder(folder)?;
                }
                fat.replace(path, content)?;
                replaced.push(path.clone());
            }
        }
        fat.finish()?;
        if let (Some(place), Some(programs)) = (self.layout.bios_boot, &self.source.installed) {
            let failed = |source| StagingError::Disk { action: "writing GRUB's core", source };
            let found = InstalledBios::read(disk, place.extent).map_err(failed)?;
            if programs.install(found.as_ref(), place.extent, disk).map_err(failed)? {
                replaced.push("GRUB's core".to_owned());
            }
        }
        Ok(replaced)
    }
}

/// Boot entries that lead to the committed slot and to no other.
fn withdrawn(entries: &Entries, (slot, generation): (Slot, Generation)) -> Choice {
    let mut names =
        Names(entries.names.0.iter().filter(|name| name.generation == generation).copied().collect());
    names.commit(generation);
    let failures = entries.environment().map_or(0, |block| block.failures);
    let environment = Environment { committed: slot, generation, trial: None, failures };
    Choice { names, environment: entries.grub.as_ref().map(|_| environment) }
}

fn open_esp<'a, D: Disk>(
    layout: &Layout,
    source: &Source,
    disk: &'a mut D,
) -> Result<Fat<Window<&'a mut D>>, FatError> {
    let extent = layout.esp.extent;
    Fat::open(Window::new(disk, extent.first, extent.sectors()), Stamp::from_unix(source.manifest.date.0))
}

/// Copies a file to the beginning of a partition that has room for it.
fn copy<D: Disk>(file: &File, to: Place, disk: &mut D, advance: &impl Fn(u64)) -> Result<(), StagingError> {
    let length = Source::length(file)?.0;
    let sector = disk.sector_size();
    let mut offset = 0;
    while offset < length {
        let count = usize::try_from(CHUNK.min(length - offset)).unwrap_or_default();
        let mut chunk = vec![0; count];
        file.read_exact_at(&mut chunk, offset).map_err(StagingError::Bundle)?;
        chunk.resize(count.next_multiple_of(sector.in_memory()), 0);
        let at = Lba(to.extent.first.0 + offset / sector.bytes());
        disk.write(at, &chunk).map_err(|source| StagingError::Disk { action: "writing the slot", source })?;
        offset += u64::try_from(count).unwrap_or(u64::MAX);
        advance(u64::try_from(count).unwrap_or_default());
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests;
