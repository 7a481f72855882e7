//! One QEMU machine: its settings, its life, its end.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use firstboot::source::Item;
use serde_json::{Value, json};
use tempfile::TempDir;
use thiserror::Error;

use super::board::{Board, NO_TIMER_CHECK};
use super::monitor::{self, MonitorError};
use super::{Accelerator, Console, ConsoleError, Firmware, FirmwareError, FirmwareKind, Forward};
use crate::process::{ProcessError, Program, Running, find};
use crate::units::{Arch, Bytes, SectorSize};

/// How often a console is looked at.
const POLL: Duration = Duration::from_millis(100);
/// The monitor's socket in the machine's folder.
const MONITOR: &str = "qmp";

/// What a machine is made of.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Name in QEMU's process list and messages.
    pub name: String,
    /// Architecture of its processor.
    pub arch: Arch,
    /// What it boots by.
    pub firmware: FirmwareKind,
    /// Its disk: a raw file that the machine writes to.
    pub disk: PathBuf,
    /// How the disk is attached.
    pub bus: Bus,
    /// Sector size of the disk.
    pub sector_size: SectorSize,
    /// Memory in MiB.
    pub memory: u32,
    /// Number of processors.
    pub processors: u32,
    /// What the machine is given by `fw_cfg`, each in a file.
    pub given: Vec<(Item, PathBuf)>,
    /// Ports of this computer that lead into it.
    pub forwards: Vec<Forward>,
    /// File that every write and flush of the disk is logged to, as the kernel's dm-log-writes does.
    pub write_log: Option<PathBuf>,
    /// Variable store of UEFI firmware, which outlives the machine: made of the firmware's template if it is missing.
    /// Without one, each machine has a new one.
    pub variables: Option<PathBuf>,
    /// Variable store of UEFI firmware with Secure Boot, which outlives the machine: made in setup mode if it is
    /// missing.
    pub secure_boot: Option<PathBuf>,
    /// Further QEMU arguments.
    pub extra: Vec<String>,
}

/// How a machine's disk is attached.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum Bus {
    /// virtio-blk, as with most hypervisors
    #[default]
    Virtio,
    /// Behind a virtio SCSI controller, as Hetzner's servers have it
    Scsi,
    /// A USB stick at an xHCI controller
    Usb,
}

impl Bus {
    /// A controller where it needs one, and the disk.
    const fn devices(self) -> (Option<&'static str>, &'static str) {
        match self {
            Self::Virtio => (None, "virtio-blk-pci"),
            Self::Scsi => (Some("virtio-scsi-pci,id=scsi0"), "scsi-hd,bus=scsi0.0"),
            Self::Usb => (Some("qemu-xhci"), "usb-storage"),
        }
    }

    /// QEMU's arguments for these, with block node `disk0` in the disk.
    fn arguments(self, sector_size: SectorSize) -> Vec<String> {
        let (controller, disk) = self.devices();
        let bytes = sector_size.bytes();
        let disk = format!("{disk},drive=disk0,logical_block_size={bytes},physical_block_size={bytes}");
        let devices = controller.map(ToOwned::to_owned).into_iter().chain([disk]);
        devices.flat_map(|device| ["-device".to_owned(), device]).collect()
    }
}

/// Why a machine could not be started or watched.
#[derive(Debug, Error)]
pub enum MachineError {
    /// QEMU is not installed.
    #[error("`{program}` is not installed")]
    NoQemu {
        /// The program looked for on PATH.
        program: &'static str,
        /// Debian package that brings it.
        package: &'static str,
    },
    /// Only amd64 machines have a BIOS.
    #[error("{arch} machines have no BIOS")]
    NoBios {
        /// Architecture of the machine.
        arch: Arch,
    },
    /// A BIOS has no variables, so nothing would be verified.
    #[error("a BIOS has no Secure Boot, so it cannot use the variable store `{}`", store.display())]
    NoSecureBoot {
        /// The store.
        store: PathBuf,
    },
    /// UEFI firmware is not installed.
    #[error(transparent)]
    Firmware(#[from] FirmwareError),
    /// QEMU did not start or ended badly.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The console did not show what was waited for.
    #[error(transparent)]
    Console(#[from] ConsoleError),
    /// The monitor did not do what it was told.
    #[error(transparent)]
    Monitor(#[from] MonitorError),
    /// The machine's own files could not be written.
    #[error("preparing machine `{name}`")]
    Prepare {
        /// The machine.
        name: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// A running machine; dropping it switches it off.
#[derive(Debug)]
pub struct Machine {
    qemu: Running,
    console: Console,
    accelerator: Accelerator,
    // Removed last, when QEMU is gone.
    folder: TempDir,
}

impl Machine {
    /// Switches a machine on.
    pub fn start(settings: &Settings) -> Result<Self, MachineError> {
        let qemu = Self::qemu(settings.arch)?;
        let firmware = firmware(settings.firmware, settings.arch, settings.secure_boot.as_deref())?;
        let accelerator = match settings.arch {
            Arch::Amd64 => Accelerator::probe(qemu.as_os_str()),
            Arch::Arm64 => Accelerator::Emulation,
        };
        let refused = |source| MachineError::Prepare { name: settings.name.clone(), source };
        let folder = TempDir::with_prefix("imgbuild-machine-").map_err(refused)?;
        let console = folder.path().join("console");
        if let Some(log) = &settings.write_log {
            fs::File::create_new(log).map_err(refused)?;
        }
        let monitor = folder.path().join(MONITOR);
        let mut command = arguments(qemu.as_os_str(), settings, accelerator)
            .argument("-qmp")
            .argument(format!("unix:{},server=on,wait=off", monitor.display()))
            .argument("-serial")
            .argument(format!("file:{}", console.display()));
        if let Some(firmware) = firmware {
            let own = || folder.path().join("variables.fd");
            let kept = settings.secure_boot.as_ref().or(settings.variables.as_ref());
            let variables = kept.cloned().unwrap_or_else(own);
            if !variables.exists() {
                fs::copy(&firmware.variables, &variables).map_err(refused)?;
            }
            command = command
                .argument("-drive")
                .argument(format!("if=pflash,format=raw,readonly=on,file={}", firmware.code.display()))
                .argument("-drive")
                .argument(format!("if=pflash,format=raw,file={}", variables.display()));
        }
        for (item, file) in &settings.given {
            let item = format!("name={},file={}", item.qemu_name(), file.display());
            command = command.argument("-fw_cfg").argument(item);
        }
        let qemu = command.arguments(&settings.extra).start()?;
        Ok(Self { qemu, console: Console::follow(console), accelerator, folder })
    }

    /// Finds the QEMU that runs machines of `arch`.
    pub fn qemu(arch: Arch) -> Result<PathBuf, MachineError> {
        let (program, package) = match arch {
            Arch::Amd64 => ("qemu-system-x86_64", "qemu-system-x86"),
            Arch::Arm64 => ("qemu-system-aarch64", "qemu-system-arm"),
        };
        find(program).ok_or(MachineError::NoQemu { program, package })
    }

    /// How its instructions are carried out.
    pub fn accelerator(&self) -> Accelerator {
        self.accelerator
    }

    /// Its serial console so far.
    pub fn console(&self) -> &Console {
        &self.console
    }

    /// Takes in new console text and hands it to `show`; `false` once the machine has ended.
    pub fn watch(&mut self, mut show: impl FnMut(&str)) -> Result<bool, MachineError> {
        let ended = self.qemu.try_wait()?;
        show(self.console.poll()?);
        match ended {
            Some(status) if status.success() => Ok(false),
            Some(status) => Err(self.qemu.ended_badly(status).into()),
            None => Ok(true),
        }
    }

    /// Waits until `wanted` stands anywhere on the console.
    pub fn wait_for(&mut self, wanted: &str, deadline: Duration) -> Result<(), MachineError> {
        let started = Instant::now();
        loop {
            let is_on = self.watch(|_| {})?;
            if self.console.text().contains(wanted) {
                return Ok(());
            }
            let (wanted, last) = (wanted.to_owned(), self.console.last_lines());
            if !is_on {
                return Err(ConsoleError::Ended { wanted, last }.into());
            }
            if started.elapsed() > deadline {
                return Err(ConsoleError::Deadline { wanted, deadline, last }.into());
            }
            std::thread::sleep(POLL);
        }
    }

    /// Waits until the machine has switched itself off.
    pub fn wait_for_end(&mut self, deadline: Duration) -> Result<(), MachineError> {
        let started = Instant::now();
        while self.watch(|_| {})? {
            if started.elapsed() > deadline {
                let (wanted, last) = ("the machine's end".to_owned(), self.console.last_lines());
                return Err(ConsoleError::Deadline { wanted, deadline, last }.into());
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// Presses the power button, which a running system takes as the wish to be shut down.
    pub fn press_power_button(&self) -> Result<(), MachineError> {
        self.tell("system_powerdown", &json!({}))
    }

    /// Copies `size` bytes of its memory, from physical address `start` on, to a file.
    pub fn save_memory(&self, start: u64, size: Bytes, file: &Path) -> Result<(), MachineError> {
        self.tell("pmemsave", &json!({ "val": start, "size": size.0, "filename": file }))
    }

    /// Pulls the plug of its network, or puts it in again.
    pub fn connect_network(&self, is_connected: bool) -> Result<(), MachineError> {
        self.tell("set_link", &json!({ "name": "net0", "up": is_connected }))
    }

    /// Cuts the power as [`Self::cut_power`] does, and lets QEMU finish the log of writes.
    pub fn end(&mut self, deadline: Duration) -> Result<(), MachineError> {
        self.tell("quit", &json!({}))?;
        self.wait_for_end(deadline)
    }

    fn tell(&self, command: &'static str, arguments: &Value) -> Result<(), MachineError> {
        Ok(monitor::tell(&self.folder.path().join(MONITOR), command, arguments)?)
    }

    /// Cuts the power.
    pub fn cut_power(mut self) {
        self.qemu.kill();
    }
}

/// Finds what a machine boots by; `None` where QEMU brings it. `store` is a variable store with Secure Boot.
fn firmware(kind: FirmwareKind, arch: Arch, store: Option<&Path>) -> Result<Option<Firmware>, MachineError> {
    match (kind, arch, store) {
        (FirmwareKind::Uefi, arch, None) => Ok(Some(Firmware::find(arch)?)),
        (FirmwareKind::Uefi, arch, Some(_)) => Ok(Some(Firmware::find_with_secure_boot(arch)?)),
        (FirmwareKind::Bios, Arch::Amd64, None) => Ok(None),
        (FirmwareKind::Bios, Arch::Amd64, Some(store)) => {
            Err(MachineError::NoSecureBoot { store: store.to_owned() })
        }
        (FirmwareKind::Bios, arch, _) => Err(MachineError::NoBios { arch }),
    }
}

/// What every machine has: a disk, network and random numbers by virtio, one serial port.
fn arguments(qemu: &OsStr, settings: &Settings, accelerator: Accelerator) -> Program {
    let is_timer_late = (settings.arch, accelerator) == (Arch::Amd64, Accelerator::Emulation);
    // Firmware with Secure Boot keeps its variables where only system management mode reaches them.
    let protection = (settings.arch == Arch::Amd64 && settings.secure_boot.is_some())
        .then_some(["-global", "driver=cfi.pflash01,property=secure,value=on"]);
    let smm = if protection.is_some() { ",smm=on" } else { "" };
    let Board { machine, processor, accelerator } = accelerator.board(settings.arch);
    let network = ["user,id=net0".to_owned()].into_iter();
    let network: Vec<_> = network.chain(settings.forwards.iter().map(ToString::to_string)).collect();
    Program::new("running a machine", qemu)
        .arguments([
            "-name",
            &settings.name,
            "-machine",
            &format!("{machine}{smm}"),
            "-cpu",
            processor,
            "-accel",
            accelerator,
        ])
        .arguments(["-m", &settings.memory.to_string(), "-smp", &settings.processors.to_string()])
        .arguments(["-nodefaults", "-display", "none", "-no-reboot"])
        .arguments(protection.into_iter().flatten())
        .arguments(is_timer_late.then_some(["-smbios", NO_TIMER_CHECK]).into_iter().flatten())
        .arguments(["-device", "virtio-rng-pci", "-device", "virtio-net-pci,netdev=net0"])
        .argument("-netdev")
        .argument(network.join(","))
        .argument("-blockdev")
        .argument(disk(settings).to_string())
        .arguments(settings.bus.arguments(settings.sector_size))
}

/// The disk as QEMU's block layer takes it, node `disk0`.
fn disk(settings: &Settings) -> Value {
    // The host's page cache outlives a killed QEMU, so a power cut loses nothing that was written.
    let file = |path: &Path| json!({ "driver": "file", "filename": path, "cache": { "no-flush": true } });
    match &settings.write_log {
        None => json!({ "node-name": "disk0", "driver": "raw", "file": file(&settings.disk) }),
        Some(log) => json!({
            "node-name": "disk0",
            "driver": "blklogwrites",
            "file": file(&settings.disk),
            "log": file(log),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bios_takes_no_variables_and_other_architectures_have_none() {
        let bios = |arch, store: Option<&str>| firmware(FirmwareKind::Bios, arch, store.map(Path::new));
        assert_eq!(bios(Arch::Amd64, None).unwrap(), None);
        assert_eq!(
            bios(Arch::Amd64, Some("a/variables.fd")).unwrap_err().to_string(),
            "a BIOS has no Secure Boot, so it cannot use the variable store `a/variables.fd`"
        );
        assert_eq!(bios(Arch::Arm64, None).unwrap_err().to_string(), "arm64 machines have no BIOS");
    }

    /// What several threads do is at [`Accelerator::board`].
    #[test]
    fn emulated_processors_share_a_thread() {
        let settings = Settings {
            name: "machine".to_owned(),
            arch: Arch::Amd64,
            firmware: FirmwareKind::Bios,
            disk: PathBuf::from("disk.raw"),
            bus: Bus::Virtio,
            sector_size: SectorSize::B512,
            memory: 1536,
            processors: 2,
            given: Vec::new(),
            forwards: Forward::both(51820).into(),
            write_log: None,
            variables: None,
            secure_boot: None,
            extra: Vec::new(),
        };
        for (arch, accelerator, expected) in [
            (Arch::Amd64, Accelerator::Emulation, " -cpu max,-cx16 -accel tcg,thread=single -m 1536 -smp 2 "),
            (
                Arch::Arm64,
                Accelerator::Emulation,
                " -cpu cortex-a72 -accel tcg,thread=single -m 1536 -smp 2 ",
            ),
            (Arch::Amd64, Accelerator::Kvm, " -cpu host -accel kvm -m 1536 -smp 2 "),
        ] {
            let settings = Settings { arch, ..settings.clone() };
            let command = arguments(OsStr::new("qemu"), &settings, accelerator).command_line();
            assert!(command.contains(expected), "{command}");
            let network = " -netdev user,id=net0,hostfwd=tcp:127.0.0.1:51820-:51820,hostfwd=udp:127.0.0.1:51820-:51820 ";
            assert!(command.contains(network), "{command}");
        }
    }

    #[test]
    fn the_disk_has_its_sector_size_on_every_bus() {
        for (bus, expected) in [
            (Bus::Virtio, "-device virtio-blk-pci,drive=disk0"),
            (Bus::Scsi, "-device virtio-scsi-pci,id=scsi0 -device scsi-hd,bus=scsi0.0,drive=disk0"),
            (Bus::Usb, "-device qemu-xhci -device usb-storage,drive=disk0"),
        ] {
            let arguments = bus.arguments(SectorSize::B4096).join(" ");
            let sizes = ",logical_block_size=4096,physical_block_size=4096";
            assert_eq!(arguments, format!("{expected}{sizes}"));
        }
    }
}
