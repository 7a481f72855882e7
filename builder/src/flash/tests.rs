//! Computers with disks of all kinds, as sysfs, udev and /proc show them.

mod computers;
mod writing;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::units::Bytes;

const GB: u64 = 1_000_000_000;
const LIMITS: Limits = Limits { least: Bytes(6 * GB), most: Bytes(256 * GB), sector_size: Some(512) };

/// A computer whose disks are added one by one.
pub(super) struct Computer {
    folder: TempDir,
    minor: u32,
}

impl Computer {
    pub(super) fn new() -> Self {
        let computer = Self { folder: tempfile::tempdir().unwrap(), minor: 0 };
        fs::create_dir_all(computer.path().join("sys/block")).unwrap();
        computer.write("proc/self/mountinfo", "22 27 0:21 / /proc rw - proc proc rw\n");
        computer
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn append(&self, name: &str, line: &str) {
        let before = fs::read_to_string(self.path().join(name)).unwrap_or_default();
        self.write(name, &format!("{before}{line}\n"));
    }

    /// Makes a disk at the end of `place`, a folder below `sys/devices`.
    pub(super) fn disk(&mut self, name: &str, place: &str, size: u64) -> Disk<'_> {
        let folder = format!("sys/devices/{place}/block/{name}");
        symlink(format!("../devices/{place}/block/{name}"), self.path().join("sys/block").join(name))
            .unwrap();
        self.minor += 16;
        let minor = self.minor;
        let disk = Disk { computer: self, folder, name: name.to_owned(), minor };
        let sectors = (size / 512).to_string();
        disk.with(&[
            ("dev", &format!("8:{minor}")),
            ("size", &sectors),
            ("removable", "0"),
            ("ro", "0"),
            ("queue/logical_block_size", "512"),
        ])
    }

    /// A device that is made of others.
    fn made_of(&mut self, name: &str, id: &str, members: &[&str]) -> u32 {
        for member in members {
            // A disk of its own, or a partition of one.
            let is_disk = self.path().join("sys/block").join(member).exists();
            let disk = if is_disk { member } else { member.trim_end_matches(|c: char| c.is_ascii_digit()) };
            let part = if is_disk { String::new() } else { format!("{member}/") };
            self.write(&format!("sys/block/{disk}/{part}holders/{name}"), "");
        }
        let disk = self.disk(name, "virtual", 40 * GB);
        disk.with(&[("dm/uuid", id)]).minor
    }

    fn mount(&self, number: &str, at: &str, source: &str) {
        self.append("proc/self/mountinfo", &format!("36 35 {number} / {at} rw - ext4 {source} rw"));
    }

    fn swap(&self, device: &str) {
        if !self.path().join("proc/swaps").exists() {
            self.append("proc/swaps", "Filename Type Size Used Priority");
        }
        self.append("proc/swaps", &format!("/dev/{device} partition 1000 0 -2"));
    }

    pub(super) fn all(&self) -> Vec<Device> {
        all(self.path()).unwrap()
    }

    /// Each disk with why it is not written; nothing for one that may be.
    fn verdicts(&self) -> Vec<String> {
        let verdict = |device: &Device| {
            let all: Vec<_> = device.obstacles(&LIMITS).iter().map(ToString::to_string).collect();
            format!("{}: {}", device.name, all.join("; ")).trim_end().to_owned()
        };
        self.all().iter().map(verdict).collect()
    }
}

/// A disk of a computer.
pub(super) struct Disk<'a> {
    computer: &'a mut Computer,
    folder: String,
    name: String,
    minor: u32,
}

impl Disk<'_> {
    pub(super) fn with(self, attributes: &[(&str, &str)]) -> Self {
        for (name, value) in attributes {
            self.computer.write(&format!("{}/{name}", self.folder), &format!("{value}\n"));
        }
        self
    }

    pub(super) fn udev(self, properties: &[(&str, &str)]) -> Self {
        let lines: Vec<_> = properties.iter().map(|(key, value)| format!("E:{key}={value}\n")).collect();
        self.computer.write(&format!("run/udev/data/b8:{}", self.minor), &lines.concat());
        self
    }

    /// A partition with what udev says is in it.
    pub(super) fn part(self, index: u32, content: &str) -> Self {
        let digit = self.name.ends_with(|c: char| c.is_ascii_digit());
        let part = format!("{}{}{index}", self.name, if digit { "p" } else { "" });
        let minor = self.minor + index;
        let folder = format!("{}/{part}", self.folder);
        for (name, value) in [("partition", index.to_string()), ("dev", format!("8:{minor}"))] {
            self.computer.write(&format!("{folder}/{name}"), &value);
        }
        self.computer.write(&format!("{folder}/size"), "2048");
        self.computer.write(&format!("run/udev/data/b8:{minor}"), &format!("E:ID_FS_TYPE={content}\n"));
        self
    }
}

const STICK: &str = "pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/host6/target6:0:0/6:0:0:0";
const STICK2: &str = "pci0000:00/usb2/2-1/host7/target7:0:0/7:0:0:0";
const SATA: &str = "pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0";
const SATA2: &str = "pci0000:00/0000:00:17.0/ata2/host1/target1:0:0/1:0:0:0";
const NVME: &str = "pci0000:00/0000:00:1d.0/0000:03:00.0/nvme/nvme0";

fn stick(computer: &mut Computer) {
    computer.disk("sdb", STICK, 32 * GB).with(&[("removable", "1"), ("device/model", "Ultra Fit")]);
}

#[test]
fn a_stick_is_written_and_nothing_else() {
    for (what, make, expected) in computers::ALL {
        let mut computer = Computer::new();
        make(&mut computer);
        stick(&mut computer);
        let mut expected: Vec<String> = expected.iter().map(|line| (*line).to_owned()).collect();
        expected.push("sdb:".to_owned());
        expected.sort();
        assert_eq!(computer.verdicts(), expected, "{what}");
    }
}

#[test]
fn a_disk_says_what_it_is_and_what_lies_on_it() {
    let mut computer = Computer::new();
    computer
        .disk("sdb", STICK, 32 * GB)
        .with(&[("removable", "1"), ("device/vendor", "SanDisk "), ("device/model", "Ultra Fit       ")])
        .part(1, "vfat")
        .part(10, "ext4")
        .part(2, "crypto_LUKS");
    computer.disk("sdc", STICK2, 64 * GB).udev(&[
        ("ID_MODEL_ENC", "Extreme\\x20Pro"),
        ("ID_VENDOR_ENC", "SanDisk"),
        ("ID_SERIAL_SHORT", "4C53"),
        ("ID_PART_TABLE_TYPE", "gpt"),
    ]);
    computer
        .disk("sdd", SATA, 64 * GB)
        .with(&[("device/vendor", "ATA"), ("device/serial", "S1")])
        .udev(&[("ID_FS_TYPE", "iso9660")]);
    let shown: Vec<_> = computer
        .all()
        .iter()
        .map(|device| {
            format!("{} {} {}: {}", device.path.display(), device.bus, device.title(), device.contents())
        })
        .collect();
    assert_eq!(
        shown,
        [
            "/dev/sdb USB SanDisk Ultra Fit: partitions: vfat, crypto_LUKS, ext4",
            "/dev/sdc USB SanDisk Extreme Pro, serial 4C53: gpt",
            "/dev/sdd SATA a disk that does not say what it is, serial S1: iso9660",
        ]
    );
}

#[test]
fn what_the_kernel_does_not_say_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let fault = all(folder.path()).unwrap_err();
    assert!(fault.to_string().ends_with("proc/self/mountinfo`"), "{fault}");
}
