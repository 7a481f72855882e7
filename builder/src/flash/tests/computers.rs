//! Computers, each with what is said of its disks; beside each there is a stick that may be written.

use std::os::unix::fs::symlink;

use super::{Computer, GB, NVME, SATA, SATA2, STICK2};

/// What it is, how it is made, and the disks with why they are not written.
type Case = (&'static str, fn(&mut Computer), &'static [&'static str]);

pub(super) const ALL: [Case; 27] = [
    (
        "a laptop with NVMe",
        |it| {
            it.disk("nvme0n1", NVME, 512 * GB).part(1, "vfat").part(2, "ext4");
            it.mount("8:18", "/", "/dev/nvme0n1p2");
            it.mount("8:17", "/boot/efi", "/dev/nvme0n1p1");
        },
        &[
            "nvme0n1: the running system is on it: nvme0n1p1 is mounted at /boot/efi; the running system is on it: \
              nvme0n1p2 is mounted at /; it is not made to be taken out; it has 476.8 GiB, more than 238.4 GiB, the most that \
              is taken for a stick",
        ],
    ),
    ("one with SATA", |it| drop(it.disk("sda", SATA, 120 * GB)), &["sda: it is not made to be taken out"]),
    (
        "a server whose SATA is hot-plug, which nobody can tell",
        |it| {
            it.disk("sda", SATA, 120 * GB);
            it.disk("sdc", SATA2, 120 * GB);
        },
        &["sda: it is not made to be taken out", "sdc: it is not made to be taken out"],
    ),
    (
        "a system on LVM",
        |it| {
            it.disk("sda", SATA, 120 * GB).part(1, "LVM2_member");
            let minor = it.made_of("dm-0", "LVM-abc", &["sda1"]);
            it.mount(&format!("8:{minor}"), "/", "/dev/mapper/vg-root");
        },
        &[
            "sda: it is in use: sda1 is part of dm-0 (LVM); the running system is on it: dm-0 is mounted at /; it is not \
              made to be taken out",
        ],
    ),
    (
        "LVM in LUKS",
        |it| {
            it.disk("sda", SATA, 120 * GB).part(1, "crypto_LUKS");
            it.made_of("dm-0", "CRYPT-LUKS2-abc", &["sda1"]);
            let minor = it.made_of("dm-1", "LVM-abc", &["dm-0"]);
            it.swap("dm-1");
            it.mount(&format!("8:{minor}"), "/srv", "/dev/mapper/vg-srv");
        },
        &[
            "sda: it is in use: sda1 is part of dm-0 (LUKS); it is in use: dm-0 is part of dm-1 (LVM); it is in use: dm-1 is \
              mounted at /srv; the running system is on it: dm-1 is swap space in use; it is not made to be taken out",
        ],
    ),
    (
        "RAID of two",
        |it| {
            it.disk("sda", SATA, 120 * GB);
            it.disk("sdc", SATA2, 120 * GB);
            it.made_of("md0", "", &["sda", "sdc"]);
        },
        &[
            "sda: it is in use: sda is part of md0 (RAID); it is not made to be taken out",
            "sdc: it is in use: sdc is part of md0 (RAID); it is not made to be taken out",
        ],
    ),
    (
        "RAID on sticks",
        |it| {
            it.disk("sdc", STICK2, 32 * GB).with(&[("removable", "1")]);
            it.made_of("md127", "", &["sdc"]);
        },
        &["sdc: it is in use: sdc is part of md127 (RAID)"],
    ),
    (
        "swap on another stick",
        |it| {
            it.disk("sdc", STICK2, 32 * GB).part(1, "swap");
            it.swap("sdc1");
        },
        &["sdc: the running system is on it: sdc1 is swap space in use"],
    ),
    (
        "a live system from a stick",
        |it| {
            it.disk("sdc", STICK2, 16 * GB).part(1, "iso9660");
            it.mount("8:17", "/run/live/medium", "/dev/sdc1");
        },
        &["sdc: it is in use: sdc1 is mounted at /run/live/medium"],
    ),
    (
        "a stick mounted by a desktop",
        |it| {
            it.disk("sdc", STICK2, 16 * GB).part(1, "exfat");
            it.mount("8:17", "/media/alice/My\\040Stick", "/dev/sdc1");
        },
        &["sdc: it is in use: sdc1 is mounted at /media/alice/My Stick"],
    ),
    (
        "btrfs, whose mounts have numbers of their own",
        |it| {
            it.disk("sda", SATA, 120 * GB).part(1, "btrfs");
            it.mount("0:45", "/", "/dev/sda1");
        },
        &["sda: the running system is on it: sda1 is mounted at /; it is not made to be taken out"],
    ),
    (
        "a USB disk for backups",
        |it| {
            it.disk("sdc", STICK2, 4000 * GB).part(1, "ntfs");
        },
        &["sdc: it has 3725.2 GiB, more than 238.4 GiB, the most that is taken for a stick"],
    ),
    (
        "a small stick",
        |it| {
            it.disk("sdc", STICK2, 4 * GB).with(&[("removable", "1")]);
        },
        &["sdc: it has 3.7 GiB, the image needs 5.5 GiB"],
    ),
    (
        "a reader without a card",
        |it| {
            it.disk("sdc", STICK2, 0).with(&[("removable", "1")]);
        },
        &["sdc: there is no medium in it"],
    ),
    (
        "a card with its switch on",
        |it| {
            it.disk("sdc", STICK2, 32 * GB).with(&[("ro", "1")]);
        },
        &["sdc: it is write-protected"],
    ),
    (
        "a laptop's card reader",
        |it| {
            it.disk("mmcblk0", "pci0000:00/0000:02:00.0/mmc_host/mmc0/mmc0:0001", 64 * GB)
                .with(&[("device/type", "SD")]);
        },
        &["mmcblk0:"],
    ),
    (
        "a tablet's soldered eMMC",
        |it| {
            it.disk("mmcblk0", "platform/mmc_host/mmc0/mmc0:0001", 64 * GB).with(&[("device/type", "MMC")]);
            it.disk("mmcblk0boot0", "platform/mmc_host/mmc0/mmc0:0001", 4 << 20).with(&[("ro", "1")]);
        },
        &[
            "mmcblk0: it is not made to be taken out",
            "mmcblk0boot0: it is not made to be taken out; it is write-protected; it has 4 MiB, the image needs 5.5 GiB",
        ],
    ),
    (
        "a stick with sectors of 4096 bytes",
        |it| {
            it.disk("sdc", STICK2, 32 * GB).with(&[("queue/logical_block_size", "4096")]);
        },
        &["sdc: it has sectors of 4096 bytes, the image is made for 512"],
    ),
    (
        "a virtual machine",
        |it| {
            it.disk("vda", "pci0000:00/0000:00:02.0/virtio1", 40 * GB).with(&[("device/vendor", "0x1af4")]);
        },
        &["vda: it is not made to be taken out"],
    ),
    (
        "a SATA dock, removable by its own word",
        |it| {
            it.disk("sdc", SATA2, 120 * GB).with(&[("removable", "1")]);
        },
        &["sdc:"],
    ),
    (
        "a DVD drive",
        |it| {
            it.disk("sr0", SATA2, 0).with(&[("removable", "1"), ("ro", "1")]);
        },
        &["sr0: there is no medium in it"],
    ),
    (
        "loop devices, memory and zram",
        |it| {
            it.disk("loop0", "virtual", 32 * GB);
            it.disk("ram0", "virtual", 32 * GB);
            it.disk("zram0", "virtual", 32 * GB);
        },
        &[],
    ),
    (
        "paths of one NVMe, which are hidden",
        |it| {
            it.disk("nvme0c0n1", NVME, 512 * GB).with(&[("hidden", "1")]);
        },
        &[],
    ),
    (
        "a disk that goes while it is looked at",
        |it| {
            symlink("../devices/gone", it.path().join("sys/block/sdz")).unwrap();
        },
        &[],
    ),
    (
        "a RAID controller of another time",
        |it| {
            it.disk("cciss!c0d0", "pci0000:00/0000:05:00.0/cciss0/c0d0", 146 * GB).part(1, "ext4");
            it.mount("0:99", "/", "/dev/cciss/c0d0p1");
        },
        &[
            "cciss!c0d0: the running system is on it: cciss!c0d0p1 is mounted at /; it is not made to be taken out",
        ],
    ),
    (
        "multipath",
        |it| {
            it.disk("sda", "pci0000:00/0000:05:00.0/host3/rport-3:0-1/target3:0:0/3:0:0:0", 100 * GB);
            it.made_of("dm-0", "mpath-3600", &["sda"]);
        },
        &["sda: it is in use: sda is part of dm-0 (multipath); it is not made to be taken out"],
    ),
    (
        "a stick with an old RAID and LUKS, which nobody uses",
        |it| {
            it.disk("sdc", STICK2, 32 * GB).part(1, "linux_raid_member").part(2, "crypto_LUKS");
        },
        &["sdc:"],
    ),
];
