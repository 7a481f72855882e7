//! Block devices as sysfs shows them, and the one disk that the machine was booted from.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use kernel_ioctl::blkpg;
use kernel_ioctl::dm::DeviceNumber;

use crate::gpt::{self, BlockDisk, Copies, Extent, Guid, SectorSize};

/// Unit of sizes in sysfs, whatever the disk's sectors are.
const SYSFS_SECTOR: u64 = 512;
/// Devices that are made of other devices or of memory, or hold removable discs; none is booted from.
const NO_DISKS: [&str; 8] = ["loop", "ram", "zram", "dm-", "md", "sr", "fd", "nbd"];

/// A whole disk.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Device {
    /// Name below `/dev`, `vda`.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
    /// Size of a logical sector.
    pub sector_size: SectorSize,
}

impl Device {
    /// Opens `/dev/<name>` for reading, and for writing where `is_writable`.
    pub fn open(&self, is_writable: bool) -> io::Result<BlockDisk> {
        let path = Path::new("/dev").join(&self.name);
        let file = OpenOptions::new().read(true).write(is_writable).open(path)?;
        BlockDisk::over(file, self.sector_size)
    }
}

/// A partition that the kernel knows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Partition {
    /// Name below `/dev`, `vda7` or `nvme0n1p7`.
    pub name: String,
    /// Number of the block device.
    pub device: DeviceNumber,
    /// Bytes from the disk's start.
    pub start: u64,
    /// Bytes.
    pub size: u64,
}

impl Partition {
    /// The device file.
    pub fn path(&self) -> PathBuf {
        Path::new("/dev").join(&self.name)
    }
}

/// The disk that the machine was booted from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BootDisk {
    /// The disk.
    pub device: Device,
    /// Its partition table.
    pub copies: Copies,
    /// Number of the ESP.
    pub esp: u32,
}

/// Why the boot disk cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A copy of the disk is attached too; which one was meant cannot be known.
    #[error("partition {esp} is on {count} disks: {}", disks.join(", "), count = disks.len())]
    Several {
        /// PARTUUID of the ESP.
        esp: Guid,
        /// Device files and sizes.
        disks: Vec<String>,
    },
    /// The kernel does not know a partition and does not take it.
    #[error("telling the kernel of partition {number} of `/dev/{disk}`")]
    Announce {
        /// Name of the disk.
        disk: String,
        /// Number of the partition.
        number: u32,
        /// What the system said.
        source: io::Error,
    },
    /// sysfs does not show what it should.
    #[error("the kernel knows no partition {number} on `/dev/{disk}`")]
    Unknown {
        /// Name of the disk.
        disk: String,
        /// Number of the partition.
        number: u32,
    },
}

/// Block devices below a `/sys/class/block`.
#[derive(Clone, Debug)]
pub struct Sysfs {
    folder: PathBuf,
}

impl Sysfs {
    /// Usually `/sys/class/block`.
    pub fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Disks with a medium, sorted by name.
    pub fn disks(&self) -> Vec<Device> {
        let mut disks: Vec<_> = fs::read_dir(&self.folder)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| self.disk(&entry.file_name().into_string().ok()?))
            .collect();
        disks.sort_by(|one, other| one.name.cmp(&other.name));
        disks
    }

    fn disk(&self, name: &str) -> Option<Device> {
        let folder = self.folder.join(name);
        let is_no_disk = NO_DISKS.iter().any(|prefix| name.starts_with(prefix));
        if is_no_disk || folder.join("partition").exists() {
            return None;
        }
        let size = number(&folder.join("size"))?.checked_mul(SYSFS_SECTOR)?;
        let sector_size = SectorSize::new(number(&folder.join("queue/logical_block_size"))?)?;
        (size > 0).then(|| Device { name: name.to_owned(), size, sector_size })
    }

    /// Looks on every disk for the partition `esp`; a disk that cannot be read or has no table is passed over.
    ///
    /// `open` makes a disk readable.
    pub fn find<D: gpt::Disk>(
        &self,
        esp: Guid,
        open: impl Fn(&Device) -> io::Result<D>,
    ) -> Result<Option<BootDisk>, Error> {
        let mut found = Vec::new();
        for device in self.disks() {
            let Some(copies) = open(&device).ok().and_then(|disk| gpt::read(&disk).ok()) else { continue };
            let number = copies.table.entries().find(|(_, entry)| entry.id == esp).map(|(number, _)| number);
            if let Some(number) = number {
                found.push(BootDisk { device, copies, esp: number });
            }
        }
        if found.len() > 1 {
            let disks = found
                .iter()
                .map(|disk| format!("/dev/{} ({} bytes)", disk.device.name, disk.device.size))
                .collect();
            return Err(Error::Several { esp, disks });
        }
        Ok(found.pop())
    }

    /// What the kernel knows of partition `number` of `disk`.
    pub fn partition(&self, disk: &Device, number: u32) -> Option<Partition> {
        let folder = self.folder.join(&disk.name);
        let name = fs::read_dir(&folder).ok()?.flatten().find_map(|entry| {
            let shown = self::number(&entry.path().join("partition"))?;
            (shown == u64::from(number)).then(|| entry.file_name().into_string().ok())?
        })?;
        let folder = folder.join(&name);
        let device = fs::read_to_string(folder.join("dev")).ok()?;
        let (major, minor) = device.trim_end().split_once(':')?;
        Some(Partition {
            device: DeviceNumber { major: major.parse().ok()?, minor: minor.parse().ok()? },
            start: self::number(&folder.join("start"))?.checked_mul(SYSFS_SECTOR)?,
            size: self::number(&folder.join("size"))?.checked_mul(SYSFS_SECTOR)?,
            name,
        })
    }

    /// Makes the kernel know partition `number` as the table has it, and returns how it knows it.
    pub fn announce(
        &self,
        device: &Device,
        disk: &BlockDisk,
        number: u32,
        extent: Extent,
    ) -> Result<Partition, Error> {
        let unit = device.sector_size.bytes();
        let (start, size) = (extent.first.0.saturating_mul(unit), extent.sectors().saturating_mul(unit));
        let outcome = match self.partition(device, number) {
            Some(known) if (known.start, known.size) == (start, size) => Ok(()),
            Some(known) if known.start == start => blkpg::resize(disk.file(), number, start, size),
            Some(_) => {
                blkpg::delete(disk.file(), number).and_then(|()| blkpg::add(disk.file(), number, start, size))
            }
            None => blkpg::add(disk.file(), number, start, size),
        };
        outcome.map_err(|errno| Error::Announce {
            disk: device.name.clone(),
            number,
            source: errno.into(),
        })?;
        self.partition(device, number).ok_or_else(|| Error::Unknown { disk: device.name.clone(), number })
    }
}

fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim_end().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpt::tests::{MemoryDisk, image};

    /// A `/sys/class/block` with these disks, each of 8 MiB, and partition 1 of `vda`.
    fn sysfs(disks: &[&str]) -> (tempfile::TempDir, Sysfs) {
        let folder = tempfile::tempdir().unwrap();
        for disk in disks {
            let path = folder.path().join(disk);
            fs::create_dir_all(path.join("queue")).unwrap();
            fs::write(path.join("size"), "16384\n").unwrap();
            fs::write(path.join("queue/logical_block_size"), "512\n").unwrap();
        }
        let partition = folder.path().join("vda/vda1");
        fs::create_dir_all(&partition).unwrap();
        for (file, text) in
            [("partition", "1\n"), ("start", "2048\n"), ("size", "4096\n"), ("dev", "254:1\n")]
        {
            fs::write(partition.join(file), text).unwrap();
        }
        let sysfs = Sysfs::at(folder.path());
        (folder, sysfs)
    }

    fn with_image_on(names: &'static [&str]) -> impl Fn(&Device) -> io::Result<MemoryDisk> {
        |device| {
            if device.name == "vdz" {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
            let has_image = names.contains(&device.name.as_str());
            Ok(if has_image { image(SectorSize::S512) } else { MemoryDisk::new(SectorSize::S512, 16384) })
        }
    }

    #[test]
    fn only_disks_with_a_medium_are_looked_at() {
        let (folder, sysfs) = sysfs(&["vda", "nvme0n1", "loop0", "dm-0", "sr0", "zram0", "sdb"]);
        fs::write(folder.path().join("sdb/size"), "0\n").unwrap();
        let names: Vec<_> = sysfs.disks().into_iter().map(|disk| disk.name).collect();
        assert_eq!(names, ["nvme0n1", "vda"]);
    }

    #[test]
    fn the_disk_with_the_esp_is_found_among_others() {
        let (_folder, sysfs) = sysfs(&["vda", "vdb", "vdz"]);
        let found = sysfs.find(Guid::from_u128(0xe5), with_image_on(&["vdb"])).unwrap().unwrap();
        assert_eq!((found.device.name.as_str(), found.esp), ("vdb", 1));
        assert_eq!(sysfs.find(Guid::from_u128(0xe6), with_image_on(&["vdb"])).unwrap(), None);
    }

    #[test]
    fn two_disks_with_the_same_esp_are_listed() {
        let (_folder, sysfs) = sysfs(&["vda", "vdb"]);
        let error = sysfs.find(Guid::from_u128(0xe5), with_image_on(&["vda", "vdb"])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "partition 00000000-0000-0000-0000-0000000000e5 is on 2 disks: \
             /dev/vda (8388608 bytes), /dev/vdb (8388608 bytes)"
        );
    }

    #[test]
    fn a_partition_is_found_by_its_number() {
        let (_folder, sysfs) = sysfs(&["vda"]);
        let disk = sysfs.disks().remove(0);
        let expected = Partition {
            name: "vda1".to_owned(),
            device: DeviceNumber { major: 254, minor: 1 },
            start: 1 << 20,
            size: 2 << 20,
        };
        assert_eq!(sysfs.partition(&disk, 1), Some(expected));
        assert_eq!(sysfs.partition(&disk, 2), None);
    }
}
