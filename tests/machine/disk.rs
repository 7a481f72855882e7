//! A machine's own disk, looked at and tampered with from outside.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use firstboot::fat::{Fat, Stamp};
use firstboot::gpt::{BlockDisk, Lba, Window};
use firstboot::root_hash::RootHash;
use firstboot::slot::Slot;
use firstboot::slot::environment::{self, Environment};
use firstboot::slot::node::{self, Running, Standing};
use imgbuild::machine::{disk, late_timers};
use imgbuild::units::{Arch, Bytes, SectorSize};
use serde_json::Value;
use tempfile::TempDir;

use crate::{Bundle, Scene, oracle};

/// Room for the state partition.
const STATE: Bytes = Bytes(2 << 30);
/// Verifying a bundle and copying it.
const STAGING_DEADLINE: Duration = Duration::from_mins(2);

/// A disk; the file goes when it is dropped.
#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
    folder: TempDir,
    arch: Arch,
    sector_size: SectorSize,
}

/// A partition as other people's tools see it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SeenPartition {
    /// Number in the table.
    pub number: u32,
    /// Label.
    pub label: String,
    /// Partition type GUID, lower case.
    pub kind: String,
    /// PARTUUID, lower case.
    pub partuuid: String,
    /// First sector.
    pub first: u64,
    /// Sectors.
    pub sectors: u64,
}

impl Disk {
    /// A copy of the build's disk with room for state, as it is written to a real disk.
    pub fn of(bundle: &Bundle, scene: &Scene) -> anyhow::Result<Self> {
        let folder =
            TempDir::with_prefix_in("disk-", scene.folder()).context("making a folder for a disk")?;
        let path = folder.path().join("disk.raw");
        disk::copy(&bundle.file("disk.raw"), &path, STATE)?;
        let (arch, sector_size) = (bundle.manifest.arch, bundle.manifest.sector_size);
        Ok(Self { path, folder, arch, sector_size })
    }

    /// The architecture of machines that it boots.
    pub fn arch(&self) -> Arch {
        self.arch
    }

    /// Its sector size.
    pub fn sector_size(&self) -> SectorSize {
        self.sector_size
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the file for reading and writing.
    pub fn open(&self) -> anyhow::Result<File> {
        OpenOptions::new().read(true).write(true).open(&self.path).context("opening the disk")
    }

    /// Where what belongs to the disk can lie, such as the host keys known of it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Lets others check both copies of the table.
    pub fn check_table(&self) -> anyhow::Result<()> {
        check_table(&self.path, self.sector_size)
    }

    /// The partition called `label`.
    pub fn partition(&self, label: &str) -> anyhow::Result<SeenPartition> {
        let seen = partitions(&self.path, self.sector_size)?;
        let labels: Vec<_> = seen.iter().map(|partition| partition.label.clone()).collect();
        let found = seen.into_iter().find(|partition| partition.label == label);
        found.with_context(|| format!("no partition is called `{label}`, but: {}", labels.join(", ")))
    }

    /// Changes the lowest bit of a byte, `offset` bytes into the partition.
    pub fn flip_bit(&self, label: &str, offset: u64) -> anyhow::Result<()> {
        self.flip_bit_of_byte(label, offset, 0)
    }

    /// Changes one bit, from 0 for the lowest to 7, of a byte.
    pub fn flip_bit_of_byte(&self, label: &str, offset: u64, bit: u64) -> anyhow::Result<()> {
        ensure!(bit < 8, "a byte has no bit {bit}");
        let at = self.start(label)? + offset;
        let file = self.open()?;
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).context("reading the disk")?;
        file.write_all_at(&[byte[0] ^ (1 << bit)], at).context("writing the disk")
    }

    /// Removes a partition from the table.
    pub fn remove_partition(&self, label: &str) -> anyhow::Result<()> {
        let number = self.partition(label)?.number;
        oracle::run("sgdisk", ["-d".into(), number.to_string().into(), self.path.clone().into_os_string()])?;
        Ok(())
    }

    /// Makes the disk larger, as a rented server's disk is when its owner pays for more.
    pub fn grow(&self, by: Bytes) -> anyhow::Result<()> {
        let file = self.open()?;
        let length = file.metadata().context("looking at the disk")?.len();
        file.set_len(length.checked_add(by.0).context("no disk is that large")?).context("growing the disk")
    }

    /// Puts a file on the ESP, as a person with a stick does.
    pub fn put_on_esp(&self, from: &Path, to: &str) -> anyhow::Result<()> {
        let image = self.esp_device()?;
        let (folder, _) = to.rsplit_once('/').with_context(|| format!("`{to}` is in no folder"))?;
        let folder = format!("::{folder}");
        // A machine that was started has left some of them.
        if oracle::run("mdir", ["-i", &image, &folder]).is_err() {
            oracle::run("mmd", ["-i", &image, &folder])?;
        }
        oracle::run("mcopy", ["-i", &image, &from.display().to_string(), &format!("::{to}")])?;
        Ok(())
    }

    /// Puts a file into a folder of the ESP that is there, in place of one of its name.
    pub fn replace_on_esp(&self, from: &Path, to: &str) -> anyhow::Result<()> {
        let from = from.display().to_string();
        oracle::run("mcopy", ["-o", "-i", &self.esp_device()?, &from, &format!("::{to}")])?;
        Ok(())
    }

    /// Copies a file of the ESP to `to`.
    pub fn copy_from_esp(&self, from: &str, to: &Path) -> anyhow::Result<()> {
        let to = to.display().to_string();
        oracle::run("mcopy", ["-o", "-i", &self.esp_device()?, &format!("::{from}"), &to])?;
        Ok(())
    }

    /// A text file of the ESP, by its path there.
    pub fn esp_file(&self, path: &str) -> anyhow::Result<String> {
        oracle::run("mtype", ["-i", &self.esp_device()?, &format!("::{path}")])
    }

    /// Puts other contents into a file of the ESP.
    pub fn change_esp_file(&self, path: &str, content: &[u8]) -> anyhow::Result<()> {
        let file = self.folder().join("changed");
        std::fs::write(&file, content).context("writing a file for the ESP")?;
        self.replace_on_esp(&file, path)
    }

    /// Puts zeros in place of a part of a file on the ESP.
    pub fn zero_in_esp_file(&self, path: &str, offset: u64, length: usize) -> anyhow::Result<()> {
        let copy = self.folder().join("damaged");
        self.copy_from_esp(path, &copy)?;
        let file = OpenOptions::new().write(true).open(&copy).context("opening a file of the ESP")?;
        file.write_all_at(&vec![0; length], offset).context("damaging a file of the ESP")?;
        self.replace_on_esp(&copy, path)
    }

    /// Removes a file from the ESP.
    pub fn remove_esp_file(&self, path: &str) -> anyhow::Result<()> {
        oracle::run("mdel", ["-i", &self.esp_device()?, &format!("::{path}")])?;
        Ok(())
    }

    /// Stages a bundle into the free slot; returns what `imgbuild slot write` says of it as JSON.
    pub fn stage(&self, bundle: &Bundle, scene: &Scene) -> anyhow::Result<Value> {
        let program = scene.imgbuild().arguments(["--json", "slot", "write"]).argument(&bundle.folder);
        let said = program.argument("--into").argument(&self.path).output(STAGING_DEADLINE)?;
        serde_json::from_str(&said).context("reading what `slot write` says")
    }

    /// Commits a slot that is on trial, as the node does that it makes.
    pub fn commit(&self, bundle: &Bundle, slot: Slot) -> anyhow::Result<()> {
        let esp = self.partition("esp")?;
        let disk = BlockDisk::over(self.open()?, self.sector_size.into()).context("looking at the disk")?;
        let mut fat =
            Fat::open(Window::new(disk, Lba(esp.first), esp.sectors), Stamp::from_unix(1_800_000_000))?;
        let root_hash =
            RootHash::parse(&bundle.manifest.root_hash.to_string()).context("reading the root hash")?;
        let done = node::commit(&mut fat, Running { slot, root_hash, is_on_trial: true })?;
        ensure!(done.standing == Standing::Committed, "{done:?}");
        Ok(())
    }

    /// Names of the UKIs, sorted.
    pub fn ukis(&self) -> anyhow::Result<Vec<String>> {
        let list = oracle::run("mdir", ["-b", "-i", &self.esp_device()?, "::EFI/Linux"])?;
        let names = list.lines().filter_map(|line| Some(line.trim().rsplit_once('/')?.1.to_owned()));
        let mut names: Vec<String> = names.filter(|name| !name.is_empty()).collect();
        names.sort();
        Ok(names)
    }

    /// GRUB's environment block.
    pub fn environment(&self) -> anyhow::Result<Environment> {
        Ok(Environment::parse(self.esp_file(environment::PATH)?.as_bytes())?)
    }

    /// Lets `fsck.vfat` check the ESP.
    pub fn check_esp(&self) -> anyhow::Result<()> {
        let esp = self.partition("esp")?;
        let copy = self.folder().join("esp.img");
        let mut disk = self.open()?;
        disk.seek(SeekFrom::Start(self.start("esp")?)).context("reading the ESP")?;
        let mut part = disk.take(esp.sectors * u64::from(self.sector_size.bytes()));
        let mut to = File::create(&copy).context("copying the ESP")?;
        std::io::copy(&mut part, &mut to).context("copying the ESP")?;
        oracle::run("fsck.vfat", [Path::new("-n"), &copy])?;
        std::fs::remove_file(&copy).context("removing the copy of the ESP")
    }

    /// The ESP as mtools take it.
    fn esp_device(&self) -> anyhow::Result<String> {
        Ok(format!("{}@@{}", self.path.display(), self.start("esp")?))
    }

    /// Where a partition begins, in bytes.
    fn start(&self, label: &str) -> anyhow::Result<u64> {
        Ok(self.partition(label)?.first * u64::from(self.sector_size.bytes()))
    }

    /// Lets the kernel of a BIOS start take late timer interrupts, as `imgbuild boot` does.
    pub fn allow_late_timers(&self) -> anyhow::Result<()> {
        let size = Bytes(self.partition("esp")?.sectors * u64::from(self.sector_size.bytes()));
        Ok(late_timers::allow(&self.path, Bytes(self.start("esp")?), size)?)
    }

    /// A file of the state partition, by its path there; `debugfs` reads it.
    pub fn state_file(&self, path: &str) -> anyhow::Result<String> {
        oracle::run("debugfs", ["-R", &format!("cat {path}"), &self.state_device()?])
    }

    /// Lets `e2fsck` check the state partition, which must have been unmounted.
    pub fn check_state(&self) -> anyhow::Result<()> {
        oracle::run("e2fsck", ["-fn", &self.state_device()?])?;
        Ok(())
    }

    /// The state partition as e2fsprogs take it.
    fn state_device(&self) -> anyhow::Result<String> {
        Ok(format!("{}?offset={}", self.path.display(), self.start("state")?))
    }
}

/// Lets others check both copies of the table in `path`. They end well even where they complain.
pub fn check_table(path: &Path, sector_size: SectorSize) -> anyhow::Result<()> {
    match sector_size {
        SectorSize::B512 => {
            let words = oracle::words("sgdisk", [Path::new("-v"), path])?;
            ensure!(words.contains("No problems found"), "sgdisk -v `{}`:\n{words}", path.display());
        }
        // sgdisk takes every file for a disk with sectors of 512 bytes.
        SectorSize::B4096 => {
            let words = list(path, sector_size)?;
            // It also finds that the protective MBR is for a smaller disk, and it is: nothing writes to sector 0 again.
            let is_whole = words.contains("Disklabel type: gpt") && !words.contains("is corrupt");
            ensure!(is_whole, "fdisk `{}`:\n{words}", path.display());
        }
    }
    Ok(())
}

/// The table in `path` as `fdisk` reads it.
pub fn partitions(path: &Path, sector_size: SectorSize) -> anyhow::Result<Vec<SeenPartition>> {
    let list = list(path, sector_size)?;
    let rows = list.lines().skip_while(|line| !line.starts_with("Device")).skip(1);
    rows.map(|row| partition(path, row)).collect()
}

/// What `fdisk` says of the table, complaints first.
fn list(path: &Path, sector_size: SectorSize) -> anyhow::Result<String> {
    let sector_size = sector_size.bytes().to_string();
    let columns = "Device,Start,Sectors,Type-UUID,UUID,Name";
    let options = ["--list", "--sector-size", &sector_size, "--output", columns].map(AsRef::as_ref);
    oracle::words("fdisk", options.into_iter().chain([path.as_os_str()]))
}

/// A row of `fdisk`'s table; the first column is the file's path with the partition's number behind it.
fn partition(path: &Path, row: &str) -> anyhow::Result<SeenPartition> {
    let seen = || {
        let mut words = row.strip_prefix(path.to_str()?)?.split_whitespace();
        Some(SeenPartition {
            number: words.next()?.parse().ok()?,
            first: words.next()?.parse().ok()?,
            sectors: words.next()?.parse().ok()?,
            kind: words.next()?.to_lowercase(),
            partuuid: words.next()?.to_lowercase(),
            label: words.next().unwrap_or_default().to_owned(),
        })
    };
    seen().with_context(|| format!("fdisk describes a partition as `{row}`"))
}
