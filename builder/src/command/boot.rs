//! `imgbuild boot`: a built image in QEMU, on a disk of its own.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::{Args, value_parser};
use firstboot::screen;
use firstboot::source::Item;

use super::interrupt::{self, Flag};
use super::{Context, Note as _, failure};
use crate::bundle::manifest::{self, Manifest};
use crate::image::Role;
use crate::machine::{
    Bus, Firmware, FirmwareError, FirmwareKind, Forward, Machine, MachineError, Settings, disk, late_timers,
};
use crate::medium::folder;
use crate::secure_boot::SignedBy;
use crate::units::{Arch, Bytes};

/// Room that the machine's disk has beyond the image, for the state partition.
const STATE: Bytes = Bytes(4 << 30);
/// What systemd prints when a machine is up.
const IS_UP: &str = "Reached target multi-user.target";
/// How long an emulated machine may take to get there.
const DEADLINE: Duration = Duration::from_mins(10);

/// Arguments of `boot`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Folder that `imgbuild build` has made
    folder: PathBuf,
    /// Node of the cluster file that the machine becomes
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// Firmware to boot by
    #[arg(long, value_enum, default_value_t)]
    firmware: FirmwareKind,
    /// How the machine's disk is attached
    #[arg(long, value_enum, default_value_t)]
    bus: Bus,
    /// Keep the machine's disk in this file; without it, it is thrown away
    #[arg(long, value_name = "FILE")]
    disk: Option<PathBuf>,
    /// Memory of the machine in MiB
    #[arg(long, value_name = "MIB", default_value_t = 2048, value_parser = value_parser!(u32).range(512..))]
    memory: u32,
    /// Port on 127.0.0.1 that reaches the machine's SSH port
    #[arg(long, value_name = "PORT", value_parser = value_parser!(u16).range(1..))]
    ssh_port: Option<u16>,
    /// Show only the boot's progress and firstboot's report, then switch off
    #[arg(long)]
    report: bool,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let manifest = Manifest::load(&arguments.folder).map_err(failure::of_manifest)?;
    arguments.disk.as_deref().map(check_disk).transpose()?;
    match arguments.firmware {
        FirmwareKind::Uefi => drop(Firmware::find(manifest.arch).map_err(missing_firmware)?),
        FirmwareKind::Bios => check_bios(&manifest)?,
    }
    Machine::qemu(manifest.arch).map_err(missing_program)?;
    if manifest.secure_boot != SignedBy::Nobody {
        let firmware = match arguments.firmware {
            FirmwareKind::Uefi => "this firmware has Secure Boot off",
            FirmwareKind::Bios => "a BIOS has no Secure Boot",
        };
        context.printer.note(&format!("{firmware}: nothing checks the signatures of the boot programs"));
    }
    let scratch = tempfile::Builder::new()
        .prefix("imgbuild-boot-")
        .tempdir()
        .context("making a folder for the machine")?;
    boot(arguments, &manifest, scratch.path(), context)
}

/// Fails where QEMU would find no disk and could not make one.
fn check_disk(path: &Path) -> anyhow::Result<()> {
    let kind = match path.metadata() {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            return Err(anyhow::Error::from(error)
                .context(format!("opening disk `{}`", path.display()))
                .input());
        }
    };
    if kind.is_file() || kind.is_block_device() {
        return Ok(());
    }
    let kind = if kind.is_dir() { "a folder" } else { "neither a file nor a block device" };
    let fault = anyhow::anyhow!("`{}` is {kind}, which is no disk for a machine", path.display());
    Err(fault.input().hint("give the path of a file; one that is not there is made"))
}

/// Fails where a BIOS would find nothing to start.
fn check_bios(manifest: &Manifest) -> anyhow::Result<()> {
    let arch = manifest.arch;
    if arch != Arch::Amd64 {
        return Err(anyhow::Error::from(MachineError::NoBios { arch }).input());
    }
    if manifest.partition(Role::BiosBoot).is_none() {
        let fault =
            anyhow::anyhow!("image `{}` has no partition `{}`", manifest.image, Role::BiosBoot.name());
        return Err(fault.input().hint("it starts by UEFI: leave out `--firmware bios`"));
    }
    Ok(())
}

fn boot(arguments: &Arguments, manifest: &Manifest, scratch: &Path, context: &Context) -> anyhow::Result<()> {
    // Not by ending the process: QEMU is ended by its own handle.
    let flag = interrupt::flag()?;
    let record = arguments.node.as_deref().map(|node| write_record(node, scratch, context)).transpose()?;
    let disk = arguments.disk.clone().unwrap_or_else(|| scratch.join(manifest::DISK));
    if !disk.exists() {
        let task = context.printer.task("copying the disk", None);
        disk::copy(&arguments.folder.join(manifest::DISK), &disk, STATE)?;
        if arguments.firmware == FirmwareKind::Bios && arguments.disk.is_none() {
            allow_late_timers(&disk, manifest)?;
        }
        task.finish(&disk.display().to_string());
    }
    let settings = Settings {
        name: format!("imgbuild-{}", arguments.node.as_deref().unwrap_or("unclaimed")),
        arch: manifest.arch,
        firmware: arguments.firmware,
        disk,
        bus: arguments.bus,
        sector_size: manifest.sector_size,
        memory: arguments.memory,
        processors: 2,
        given: record.map(|record| (Item::Record, record)).into_iter().collect(),
        forwards: arguments.ssh_port.map(|port| Forward::tcp(port, 22)).into_iter().collect(),
        write_log: None,
        variables: None,
        secure_boot: None,
        extra: Vec::new(),
    };
    let mut machine = Machine::start(&settings).map_err(missing_program)?;
    context.printer.note(&format!("the machine runs by {}", machine.accelerator()));
    if arguments.report { report(&mut machine, &flag, context) } else { follow(&mut machine, &flag) }
}

/// Only on a disk that is thrown away: one that is kept may go to a real machine.
fn allow_late_timers(disk: &Path, manifest: &Manifest) -> anyhow::Result<()> {
    let Some(esp) = manifest.partition(Role::Esp) else { return Ok(()) };
    Ok(late_timers::allow(disk, Bytes(folder::start(esp, manifest.sector_size)), esp.size)?)
}

/// Passes the console on until the machine switches itself off.
fn follow(machine: &mut Machine, flag: &Flag) -> anyhow::Result<()> {
    let mut output = io::stdout().lock();
    let mut written = Ok(());
    loop {
        let is_on = machine.watch(|text| {
            written = output.write_all(text.as_bytes()).and_then(|()| output.flush());
        })?;
        std::mem::replace(&mut written, Ok(())).context("writing the console to standard output")?;
        if !is_on {
            return Ok(());
        }
        flag.check()?;
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Waits until the machine is up and shows what firstboot reported.
fn report(machine: &mut Machine, flag: &Flag, context: &Context) -> anyhow::Result<()> {
    /// What people see of a boot: a line of the console, and what it means.
    const MILESTONES: [(&str, &str); 5] = [
        ("stage0", "the kernel runs stage0"),
        ("systemd[1]", "systemd runs from the verified root"),
        (screen::BEGIN, "firstboot reports"),
        ("Reached target network", "the network is set up"),
        (IS_UP, "the machine is up"),
    ];
    let task = context.printer.task("booting", None);
    let started = Instant::now();
    let mut next = 0;
    while next < MILESTONES.len() {
        flag.check()?;
        let is_on = machine.watch(|_| {})?;
        let text = machine.console().text();
        for (index, (line, meaning)) in MILESTONES.iter().enumerate().skip(next) {
            if text.contains(line) {
                context.printer.note(&format!("  {:4} s  {meaning}", started.elapsed().as_secs()));
                next = index + 1;
            }
        }
        if next < MILESTONES.len() && (!is_on || started.elapsed() > DEADLINE) {
            bail!("the machine did not come up; its console ends with:\n{}", machine.console().last_lines());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    task.finish(&format!("up after {} s by {}", started.elapsed().as_secs(), machine.accelerator()));
    let text = machine.console().text();
    let report = text.split_once(screen::BEGIN).and_then(|(_, rest)| rest.split_once(screen::END));
    let (report, _) = report.context("firstboot's report is not whole on the console")?;
    Ok(context.printer.data(&format!("{}{report}{}\n", screen::BEGIN, screen::END))?)
}

fn write_record(node: &str, scratch: &Path, context: &Context) -> anyhow::Result<PathBuf> {
    let cluster = context.cluster()?;
    let node = cluster.node(node).map_err(failure::of_node)?;
    let record = serde_json::to_vec_pretty(&cluster.record(node)).context("rendering the node record")?;
    let path = scratch.join("record.json");
    fs::write(&path, record).with_context(|| format!("writing `{}`", path.display()))?;
    Ok(path)
}

fn missing_firmware(error: FirmwareError) -> anyhow::Error {
    let hint = format!("install UEFI firmware for QEMU; on Debian: `apt install {}`", error.package);
    anyhow::Error::from(error).hint(hint)
}

fn missing_program(error: MachineError) -> anyhow::Error {
    match &error {
        MachineError::NoQemu { package, .. } => {
            let hint = format!("install QEMU; on Debian: `apt install {package}`");
            anyhow::Error::from(error).hint(hint)
        }
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_a_file_or_will_be_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        assert!(check_disk(&file).is_ok(), "QEMU's disk is made");
        fs::write(&file, "").unwrap();
        assert!(check_disk(&file).is_ok());
        let refusal = |path: &Path| format!("{:#}", check_disk(path).unwrap_err());
        let shown = folder.path().display();
        assert_eq!(refusal(folder.path()), format!("`{shown}` is a folder, which is no disk for a machine"));
        assert_eq!(
            refusal(Path::new("/dev/null")),
            "`/dev/null` is neither a file nor a block device, which is no disk for a machine"
        );
        let below = file.join("disk");
        assert_eq!(
            refusal(&below),
            format!("opening disk `{}`: Not a directory (os error 20)", below.display())
        );
    }
}
