//! The step that puts the verified root together.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use kernel_ioctl::dm::{DeviceMapper, DeviceNumber};
use rustix::mount::MountFlags;

use super::count::open_esp;
use super::{Error, HINT_IMAGE, Session};
use crate::fat::FatError;
use crate::gpt::{Entry, Guid, Table};
use crate::root_hash::RootHash;
use crate::slot::{Generation, Slot, node};
use crate::stage0::cmdline::Arguments;
use crate::stage0::disks::{BootDisk, Partition};
use crate::stage0::failure::{During, Failure};
use crate::stage0::mounts::{self, SYSROOT};
use crate::stage0::verity::{OnCorruption, SUPERBLOCK_SIZE, Superblock};

const CONTROL: &str = "/dev/mapper/control";
/// Name of the device: `/dev/mapper/root`.
const DEVICE_NAME: &str = "root";
/// Where `/etc`'s changes of this boot lie.
const ETC_MEMORY: &str = "/run/imgbuild/etc";

impl Session {
    /// Mounts the root read-only behind verity, with `/etc` in memory over it; returns the slot, `a` or `b`.
    pub(super) fn open_root(
        &mut self,
        disk: &BootDisk,
        settings: &Arguments,
        is_on_trial: bool,
    ) -> Result<String, Failure> {
        let root_hash = &settings.root_hash;
        let doing = "opening the verified root";
        let (root, label) = self.partition(disk, "root", root_hash.root_partition())?;
        let (tree, _) = self.partition(disk, "hash tree of the root", root_hash.verity_partition())?;
        let device = self.open_verity(settings, &root, &tree, is_on_trial)?;
        let sysroot = Path::new(SYSROOT);
        let source = format!("/dev/dm-{}", device.minor);
        mounts::mount(Path::new(&source), sysroot, "erofs", MountFlags::RDONLY, "")
            .during(doing, HINT_IMAGE)?;
        let image_date = fs::metadata(sysroot.join("usr")).during(doing, HINT_IMAGE)?.mtime();
        self.raise_clock(u64::try_from(image_date).unwrap_or(0), "the image's date");
        mounts::mount_etc_overlay(sysroot, Path::new(ETC_MEMORY)).during(doing, HINT_IMAGE)?;
        let slot = label.strip_prefix("root-").unwrap_or(&label).to_owned();
        self.journal.info(&format!("slot {slot}: root {root_hash} on {}", root.path().display()));
        Ok(slot)
    }

    /// The committed slot's root cannot be used: the other slot is committed in its place, if there is one.
    pub(super) fn give_way(&mut self, disk: &BootDisk, settings: &Arguments) {
        match give_up(disk, &settings.root_hash) {
            Ok(next) => self.next = next,
            Err(error) => self.journal.warn(&format!("this slot stays committed: {error}")),
        }
    }

    /// Partition `id` of the boot disk as the kernel knows it, and its name in the table.
    fn partition(
        &self,
        disk: &BootDisk,
        role: &'static str,
        id: Guid,
    ) -> Result<(Partition, String), Failure> {
        let doing = "looking for the root on the boot disk";
        let (number, entry) = only_partition(disk, role, id).during(doing, HINT_IMAGE)?;
        let file = disk.device.open(false).during(doing, HINT_IMAGE)?;
        let partition =
            self.sysfs.announce(&disk.device, &file, number, entry.extent).during(doing, HINT_IMAGE)?;
        Ok((partition, entry.name.to_string()))
    }

    fn open_verity(
        &mut self,
        settings: &Arguments,
        root: &Partition,
        tree: &Partition,
        is_on_trial: bool,
    ) -> Result<DeviceNumber, Failure> {
        let doing = "opening the root with dm-verity";
        let mut bytes = [0; SUPERBLOCK_SIZE];
        File::open(tree.path()).and_then(|mut file| file.read_exact(&mut bytes)).during(doing, HINT_IMAGE)?;
        let superblock = Superblock::parse(&bytes).during(doing, HINT_IMAGE)?;
        if is_on_trial {
            self.journal.note("this slot is on trial");
        }
        let on_corruption = if is_on_trial { OnCorruption::Panic } else { OnCorruption::Report };
        let target = superblock
            .target(&settings.root_hash, (root.device, root.size), tree.device, on_corruption)
            .during(doing, HINT_IMAGE)?;
        let mapper = DeviceMapper::open(Path::new(CONTROL)).during(doing, HINT_IMAGE)?;
        mapper.activate(DEVICE_NAME, &superblock.device_uuid(), &target).during(doing, HINT_IMAGE)
    }
}

/// Whether a block was read that the root hash does not vouch for.
pub(super) fn is_damaged() -> bool {
    let mapper = DeviceMapper::open(Path::new(CONTROL)).ok();
    let status = mapper.and_then(|mapper| mapper.status(DEVICE_NAME).ok());
    // `verity_status` in the kernel's `drivers/md/dm-verity-target.c`: `V` until a block was found corrupted.
    status.is_some_and(|status| status.starts_with('C'))
}

fn give_up(disk: &BootDisk, root: &RootHash) -> Result<Option<(Slot, Generation)>, FatError> {
    let Some(mut esp) = open_esp(disk)? else { return Ok(None) };
    node::give_up(&mut esp, root, |root| slot_of(&disk.copies.table, root))
}

/// The slot whose root partition has this root hash; both halves may be damaged, its place in the table is enough.
fn slot_of(table: &Table, root: &RootHash) -> Option<Slot> {
    let (_, entry) = table.entries().find(|(_, entry)| entry.id == root.root_partition())?;
    entry.name.to_string().strip_prefix("root-")?.parse().ok()
}

/// The one partition `id` of the boot disk; where there are two, which of them is whole cannot be known.
fn only_partition<'a>(disk: &'a BootDisk, role: &'static str, id: Guid) -> Result<(u32, &'a Entry), Error> {
    let name = || disk.device.name.clone();
    let mut hits = disk.copies.table.entries().filter(|(_, entry)| entry.id == id);
    let (one, entry) = hits.next().ok_or_else(|| Error::NoPartition { disk: name(), role, id })?;
    match hits.next() {
        None => Ok((one, entry)),
        Some((other, _)) => Err(Error::TwoPartitions { disk: name(), role, id, one, other }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpt::tests::image;
    use crate::gpt::{self, SectorSize};
    use crate::stage0::disks::Device;

    #[test]
    fn a_root_that_is_there_twice_is_not_chosen() {
        let device = Device { name: "vda".to_owned(), size: 8 << 20, sector_size: SectorSize::S512 };
        let copies = gpt::read(&image(SectorSize::S512)).unwrap();
        let mut disk = BootDisk { device, copies, esp: 1 };
        let root = Guid::from_u128(0xa0);
        assert_eq!(only_partition(&disk, "root", root).unwrap().0, 2);
        disk.copies.table.entry_mut(3).unwrap().id = root;
        assert_eq!(
            only_partition(&disk, "root", root).unwrap_err().to_string(),
            "partitions 2 and 3 of disk `/dev/vda` are both 00000000-0000-0000-0000-0000000000a0, the root"
        );
        assert_eq!(
            only_partition(&disk, "root", Guid::from_u128(7)).unwrap_err().to_string(),
            "disk `/dev/vda` has no partition 00000000-0000-0000-0000-000000000007 for the root"
        );
    }
}
