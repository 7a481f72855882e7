//! The step that puts the verified root together.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use kernel_ioctl::dm::{DeviceMapper, DeviceNumber};
use rustix::mount::MountFlags;

use super::{Error, HINT_IMAGE, Session};
use crate::gpt::Guid;
use crate::stage0::cmdline::RootHash;
use crate::stage0::disks::{BlockDisk, BootDisk, Partition};
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
    pub(super) fn open_root(&mut self, disk: &BootDisk, root_hash: &RootHash) -> Result<String, Failure> {
        let doing = "opening the verified root";
        let (root, label) = self.partition(disk, "root", root_hash.root_partition())?;
        let (tree, _) = self.partition(disk, "hash tree of the root", root_hash.verity_partition())?;
        let device = self.open_verity(root_hash, &root, &tree)?;
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

    /// Partition `id` of the boot disk as the kernel knows it, and its name in the table.
    fn partition(
        &self,
        disk: &BootDisk,
        role: &'static str,
        id: Guid,
    ) -> Result<(Partition, String), Failure> {
        let doing = "looking for the root on the boot disk";
        let missing = Error::NoPartition { disk: disk.device.name.clone(), role, id };
        let (number, entry) = disk
            .copies
            .table
            .entries()
            .find(|(_, entry)| entry.id == id)
            .ok_or(missing)
            .during(doing, HINT_IMAGE)?;
        let file = BlockDisk::open(&disk.device, false).during(doing, HINT_IMAGE)?;
        let partition =
            self.sysfs.announce(&disk.device, &file, number, entry.extent).during(doing, HINT_IMAGE)?;
        Ok((partition, entry.name.to_string()))
    }

    fn open_verity(
        &mut self,
        root_hash: &RootHash,
        root: &Partition,
        tree: &Partition,
    ) -> Result<DeviceNumber, Failure> {
        let doing = "opening the root with dm-verity";
        let mut bytes = [0; SUPERBLOCK_SIZE];
        File::open(tree.path()).and_then(|mut file| file.read_exact(&mut bytes)).during(doing, HINT_IMAGE)?;
        let superblock = Superblock::parse(&bytes).during(doing, HINT_IMAGE)?;
        let is_on_trial = self.variables.is_on_trial();
        if is_on_trial {
            self.journal.note("this slot is on trial");
        }
        let on_corruption = if is_on_trial { OnCorruption::Panic } else { OnCorruption::Report };
        let target = superblock
            .target(root_hash, (root.device, root.size), tree.device, on_corruption)
            .during(doing, HINT_IMAGE)?;
        let mapper = DeviceMapper::open(Path::new(CONTROL)).during(doing, HINT_IMAGE)?;
        mapper.activate(DEVICE_NAME, &superblock.device_uuid(), &target).during(doing, HINT_IMAGE)
    }
}
