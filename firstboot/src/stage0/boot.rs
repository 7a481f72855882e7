//! The boot, step by step.

mod count;
mod root;
mod storage;

use std::convert::Infallible;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::cmdline::Arguments;
use super::disks::{self, BootDisk, Device, Sysfs};
use super::efi::{EFIVARS, Variables};
use super::failure::{self, During, Failure};
use super::journal::Journal;
use super::modules::Loader;
use super::mounts::{self, SYSROOT};
use super::watchdog::Watchdog;
use super::{machine_id, state};
use crate::boot::{self, BootReport};
use crate::clock;
use crate::gpt::Guid;
use crate::process;
use crate::random::random;
use crate::slot::{Generation, Slot};

/// What every boot needs beside the drivers that the devices ask for. The `crypto-` wishes bring what the CPU has
/// instructions for; it must be there before dm-verity chooses.
const NEEDED_MODULES: [&str; 8] =
    ["efivarfs", "crypto-crc32c", "crypto-sha256", "dm_mod", "dm_verity", "erofs", "overlay", "ext4"];
/// How long the boot disk may take: a USB stick behind two hubs needs 20 s, a RAID controller a minute.
const DISK_DEADLINE: Duration = Duration::from_mins(3);
/// A disk that was never booted has the image's identity, as any other that was written from it: nothing is chosen
/// before the set of disks stayed the same for so long.
const QUIET: Duration = Duration::from_secs(5);
/// Between two looks for the boot disk.
const POLL: Duration = Duration::from_millis(100);
/// For every step that does not ask for more.
const STEP_TIME: Duration = Duration::from_mins(5);
/// What systemd may be called, in the root.
const INITS: [&str; 2] = ["usr/lib/systemd/systemd", "sbin/init"];

const HINT_IMAGE: &str = "the image is damaged or was built wrongly: write it again";
const HINT_DISK: &str = "check that the disk is attached and healthy, then write the image again";
const HINT_STATE: &str =
    "state is not touched: mend it with another system, or remove the partition for a new start";
const HINT_LOADER: &str =
    "boot by systemd-boot or by the disk's own GRUB, or give `imgbuild.esp=<PARTUUID>` to the kernel";
const HINT_SEVERAL: &str = "if a copy of the disk is attached, remove it";

/// Who told from which disk the machine was booted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum BootSource {
    /// systemd-boot, by a UEFI variable.
    LoaderVariable(Guid),
    /// The kernel command line.
    Argument(Guid),
}

impl BootSource {
    /// PARTUUID of the ESP.
    fn esp(self) -> Guid {
        match self {
            Self::LoaderVariable(esp) | Self::Argument(esp) => esp,
        }
    }

    /// The loader knows best; the argument serves where there is none.
    fn choose(variable: Option<Guid>, argument: Option<Guid>) -> Option<Self> {
        variable.map(Self::LoaderVariable).or(argument.map(Self::Argument))
    }
}

impl fmt::Display for BootSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = match self {
            Self::LoaderVariable(_) => "the boot loader",
            Self::Argument(_) => "the kernel command line",
        };
        write!(f, "{who} names partition {}", self.esp())
    }
}

/// Faults that are none of a single module's.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("neither UEFI variable `LoaderDevicePartUUID` nor `imgbuild.esp=` names the boot disk")]
    NoSource,
    #[error("no disk has partition {esp} after {seconds} s; disks: {}", if disks.is_empty() { "none".to_owned() } else { disks.join(", ") })]
    NoDisk { esp: Guid, seconds: u64, disks: Vec<String> },
    #[error("disk `/dev/{disk}` has no partition {id} for the {role}")]
    NoPartition { disk: String, role: &'static str, id: Guid },
    #[error("partitions {one} and {other} of disk `/dev/{disk}` are both {id}, the {role}")]
    TwoPartitions { disk: String, role: &'static str, id: Guid, one: u32, other: u32 },
    #[error("the root has neither of {}", INITS.map(|path| format!("`/{path}`")).join(" and "))]
    NoInit,
    #[error("writing `{path}`")]
    Write { path: PathBuf, source: io::Error },
    #[error("starting `{path}`")]
    Exec { path: String, source: io::Error },
}

/// The disks of each look, and since when they are the same.
#[derive(Debug)]
struct Quiet {
    disks: Vec<Device>,
    since: Instant,
}

impl Quiet {
    fn new(now: Instant) -> Self {
        Self { disks: Vec::new(), since: now }
    }

    /// For how long the disks have been `disks`.
    fn observe(&mut self, disks: Vec<Device>, now: Instant) -> Duration {
        if self.disks != disks {
            *self = Self { disks, since: now };
        }
        now.saturating_duration_since(self.since)
    }
}

/// What is known so far.
struct Session {
    journal: Journal,
    modules: Loader,
    watchdog: Option<Watchdog>,
    variables: Variables,
    sysfs: Sysfs,
    /// For the failure screen.
    place: String,
    /// What starts next, where it is something else.
    next: Option<(Slot, Generation)>,
}

/// Boots; every failure ends in a screen and a restart. `arguments` are what the kernel left for init.
pub(super) fn run(arguments: impl Iterator<Item = OsString>) -> ! {
    let mounted =
        mounts::mount_kernel_file_systems().during("mounting the kernel's file systems", HINT_IMAGE);
    let mut session = Session::open();
    let Err(failure) = mounted.and_then(|()| session.boot(arguments));
    session.allow(failure::LONGEST_DELAY.saturating_add(STEP_TIME));
    failure::stop(&failure, &session.place, session.next, &mut session.journal)
}

impl Session {
    /// To be called once the kernel's file systems are mounted.
    fn open() -> Self {
        connect_console();
        let uname = rustix::system::uname();
        let release = OsString::from(uname.release().to_string_lossy().into_owned());
        Self {
            journal: Journal::new(),
            modules: Loader::open(&Path::new("/lib/modules").join(release)),
            watchdog: None,
            variables: Variables::at(Path::new(EFIVARS)),
            sysfs: Sysfs::at(Path::new("/sys/class/block")),
            place: "before the disk was found".to_owned(),
            next: None,
        }
    }

    fn boot(&mut self, arguments: impl Iterator<Item = OsString>) -> Result<Infallible, Failure> {
        self.start_watchdog();
        self.load_needed_modules();
        let settings = read_settings()?;
        let source = self.find_source(settings.esp)?;
        let disk = self.wait_for_disk(source)?;
        let is_on_trial = self.variables.is_on_trial() || settings.is_on_trial;
        let slot = self.open_root(&disk, &settings, is_on_trial);
        if slot.is_err() && !is_on_trial {
            self.give_way(&disk, &settings);
        }
        let slot = slot?;
        let esp = self.esp_path(&disk)?;
        let state = self.open_state(&disk, settings.state_minimum);
        // Programs of the root do it: where they can't be read, the state is not at fault.
        if state.is_err() && !is_on_trial && root::is_damaged() {
            self.give_way(&disk, &settings);
        }
        let state = state?;
        self.install_machine_id()?;
        write_report(&BootReport {
            version: 1,
            disk: format!("/dev/{}", disk.device.name),
            esp,
            slot,
            is_on_trial,
            root_hash: settings.root_hash.to_string(),
            state: state.path,
            state_created: state.is_new,
            notes: self.journal.notes().to_vec(),
        })?;
        // A machine without UEFI variables was started by GRUB, which counts itself.
        if self.variables.is_there() && !is_on_trial {
            self.count_start(&disk, &settings)?;
        }
        self.hand_over(arguments)
    }

    fn allow(&self, time: Duration) {
        if let Some(watchdog) = &self.watchdog {
            watchdog.allow(time);
        }
    }

    fn load_needed_modules(&mut self) {
        for wish in NEEDED_MODULES {
            self.modules.load(wish, &mut self.journal);
        }
    }

    /// Loads what the devices ask for; returns how many modules that were.
    fn coldplug(&mut self) -> usize {
        self.modules.coldplug(Path::new("/sys/devices"), &mut self.journal)
    }

    /// Only the drivers come first: they may bring the watchdog.
    fn start_watchdog(&mut self) {
        let version = env!("CARGO_PKG_VERSION");
        self.journal.info(&format!("version {version}, {} modules", self.modules.available()));
        self.coldplug();
        self.watchdog = Watchdog::start(STEP_TIME);
        if self.watchdog.is_none() {
            self.modules.load("softdog", &mut self.journal);
            self.watchdog = Watchdog::start(STEP_TIME);
        }
        match &self.watchdog {
            Some(_) => self.journal.info("watchdog runs"),
            None => self.journal.warn("no watchdog: a machine that hangs must be reset by hand"),
        }
    }

    fn find_source(&mut self, argument: Option<Guid>) -> Result<BootSource, Failure> {
        let doing = "asking which disk the machine was booted from";
        if Path::new("/sys/firmware/efi").is_dir() {
            let flags = rustix::mount::MountFlags::NOSUID
                | rustix::mount::MountFlags::NOEXEC
                | rustix::mount::MountFlags::NODEV;
            let mounted = mounts::mount(Path::new("efivarfs"), Path::new(EFIVARS), "efivarfs", flags, "");
            if let Err(error) = mounted {
                // The argument may still tell.
                self.journal.warn(&format!("{error}: {}", error.source));
            }
        }
        let variable = self.variables.loader_partition().during(doing, HINT_LOADER)?;
        let source =
            BootSource::choose(variable, argument).ok_or(Error::NoSource).during(doing, HINT_LOADER)?;
        self.place = format!("the disk with partition {}", source.esp());
        Ok(source)
    }

    /// Waits until the boot disk is there and no driver is still being loaded, and in a first boot until no more
    /// disks appear, for a second one with the same identity may be among them.
    fn wait_for_disk(&mut self, source: BootSource) -> Result<BootDisk, Failure> {
        let doing = "looking for the boot disk";
        let started = Instant::now();
        let mut next_word = Duration::from_secs(2);
        let mut quiet = Quiet::new(started);
        loop {
            let loaded = self.coldplug();
            let stable = quiet.observe(self.sysfs.disks(), Instant::now());
            let found = self.sysfs.find(source.esp(), |device| device.open(false));
            let found = found.during(doing, HINT_SEVERAL)?;
            match found {
                Some(disk) if loaded == 0 && (!is_first_boot(&disk) || stable >= QUIET) => {
                    self.place = format!("disk /dev/{}", disk.device.name);
                    self.journal.info(&format!("booted from /dev/{} ({source})", disk.device.name));
                    return Ok(disk);
                }
                _ => {}
            }
            let waited = started.elapsed();
            let seconds = waited.as_secs();
            if waited > DISK_DEADLINE {
                let disks =
                    self.sysfs.disks().into_iter().map(|disk| format!("/dev/{}", disk.name)).collect();
                return Err(Error::NoDisk { esp: source.esp(), seconds, disks }).during(doing, HINT_DISK);
            }
            if waited > next_word {
                self.journal.info(&format!("waiting for partition {} since {seconds} s", source.esp()));
                next_word = next_word.saturating_mul(2);
            }
            std::thread::sleep(POLL);
        }
    }

    /// Device of the ESP, which the kernel must know: firstboot mounts it.
    fn esp_path(&self, disk: &BootDisk) -> Result<String, Failure> {
        let doing = "looking for the EFI system partition on the boot disk";
        let missing = || disks::Error::Unknown { disk: disk.device.name.clone(), number: disk.esp };
        let entry = disk.copies.table.entry(disk.esp).ok_or_else(missing).during(doing, HINT_DISK)?;
        let file = disk.device.open(false).during(doing, HINT_DISK)?;
        let partition =
            self.sysfs.announce(&disk.device, &file, disk.esp, entry.extent).during(doing, HINT_DISK)?;
        Ok(partition.path().display().to_string())
    }

    /// Raises the clock to `floor`, seconds since 1970, which is the date of `what`.
    fn raise_clock(&mut self, floor: u64, what: &str) {
        match clock::raise_to(floor, what) {
            Ok(raised) => raised.iter().for_each(|note| self.journal.note(note)),
            Err(fault) => self.journal.warn(&fault),
        }
    }

    fn install_machine_id(&mut self) -> Result<(), Failure> {
        let doing = "giving the machine its id";
        let random = random().during(doing, HINT_STATE)?;
        let sysroot = Path::new(SYSROOT);
        let id = machine_id::load_or_make(&sysroot.join("var"), random).during(doing, HINT_STATE)?;
        if id.is_new {
            self.journal.note(&format!("new machine id {}", id.text));
        }
        machine_id::install(&sysroot.join("etc"), &id).during(doing, HINT_IMAGE)
    }

    /// Becomes systemd.
    fn hand_over(&mut self, arguments: impl Iterator<Item = OsString>) -> Result<Infallible, Failure> {
        let doing = "handing over to systemd";
        let sysroot = Path::new(SYSROOT);
        let is_there = |path: &&&str| fs::symlink_metadata(sysroot.join(path)).is_ok();
        let init = INITS.iter().find(is_there).ok_or(Error::NoInit).during(doing, HINT_IMAGE)?;
        if let Err(error) = self.variables.set_failures(0) {
            self.journal.warn(&format!("count of failures stays: {error}"));
        }
        self.journal.info(&format!("starting /{init}"));
        self.allow(STEP_TIME);
        mounts::switch_root(sysroot).during(doing, HINT_IMAGE)?;
        let path = format!("/{init}");
        process::replace_with(&path, arguments)
            .map_err(|source| Error::Exec { path, source })
            .during(doing, HINT_IMAGE)
    }
}

/// Whether the disk still is as its image was written.
fn is_first_boot(disk: &BootDisk) -> bool {
    matches!(state::find(&disk.copies.table), Ok(state::Found::Absent))
}

/// Makes the console the standard streams: the initrd may hold no `/dev/console`, and then they are closed.
fn connect_console() {
    // Without a console there is nobody to read; the kernel's log still works.
    if let Ok(console) = OpenOptions::new().read(true).write(true).open("/dev/console") {
        let _unread = rustix::stdio::dup2_stdin(&console)
            .and_then(|()| rustix::stdio::dup2_stdout(&console))
            .and_then(|()| rustix::stdio::dup2_stderr(&console));
    }
}

fn read_settings() -> Result<Arguments, Failure> {
    let doing = "reading the kernel command line";
    let text = fs::read_to_string("/proc/cmdline").during(doing, HINT_IMAGE)?;
    Arguments::parse(&text).during(doing, HINT_IMAGE)
}

fn write_report(report: &BootReport) -> Result<(), Failure> {
    let doing = "writing the boot report";
    let path = Path::new(boot::PATH);
    let text = serde_json::to_vec(report).during(doing, HINT_IMAGE)?;
    path.parent()
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| fs::write(path, text))
        .map_err(|source| Error::Write { path: path.to_owned(), source })
        .during(doing, HINT_IMAGE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpt::tests::image;
    use crate::gpt::{self, SectorSize};

    #[test]
    fn the_loader_counts_before_the_argument() {
        let (one, other) = (Guid::from_u128(1), Guid::from_u128(2));
        assert_eq!(BootSource::choose(Some(one), Some(other)), Some(BootSource::LoaderVariable(one)));
        assert_eq!(BootSource::choose(None, Some(other)).map(BootSource::esp), Some(other));
        assert_eq!(BootSource::choose(None, None), None);
    }

    #[test]
    fn disks_are_quiet_only_since_the_last_one_came() {
        let disk =
            |name: &str| Device { name: name.to_owned(), size: 1 << 20, sector_size: SectorSize::S512 };
        let start = Instant::now();
        let mut quiet = Quiet::new(start);
        let mut after = |seconds, names: &[&str]| {
            let disks = names.iter().map(|name| disk(name)).collect();
            quiet.observe(disks, start + Duration::from_secs(seconds)).as_secs()
        };
        assert_eq!(after(1, &["vda"]), 0);
        assert_eq!(after(5, &["vda"]), 4);
        assert_eq!(after(5, &["vda", "vdb"]), 0);
        assert_eq!(after(9, &["vda", "vdb"]), 4);
        assert_eq!(after(11, &["vdb"]), 0);
    }

    #[test]
    fn only_a_disk_without_state_is_in_its_first_boot() {
        let mut copies = gpt::read(&image(SectorSize::S512)).unwrap();
        let device = Device { name: "vda".to_owned(), size: 8 << 20, sector_size: SectorSize::S512 };
        let disk = |copies: &gpt::Copies| BootDisk { device: device.clone(), copies: copies.clone(), esp: 1 };
        assert!(is_first_boot(&disk(&copies)));
        copies.table.entry_mut(3).unwrap().name = gpt::Name::new(state::LABEL);
        assert!(!is_first_boot(&disk(&copies)));
    }

    #[test]
    fn a_missing_disk_is_told_with_those_that_are_there() {
        let error = |disks| Error::NoDisk { esp: Guid::ESP, seconds: 180, disks }.to_string();
        let start = "no disk has partition c12a7328-f81f-11d2-ba4b-00a0c93ec93b after 180 s; disks: ";
        assert_eq!(error(Vec::new()), format!("{start}none"));
        assert_eq!(
            error(vec!["/dev/sda".to_owned(), "/dev/sdb".to_owned()]),
            format!("{start}/dev/sda, /dev/sdb")
        );
    }
}
