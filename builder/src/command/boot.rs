//! `imgbuild boot`: a built image in QEMU, on a disk of its own.

mod watch;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, value_parser};
use firstboot::serve::{ALL_MADE, MADE_WITHOUT_ARGOCD};

use self::watch::Running;
use super::identity::{self, Unlock};
use super::{Context, Note as _, failure, interrupt};
use crate::bundle::manifest::{self, Manifest};
use crate::image::Role;
use crate::machine::{
    Bus, Firmware, FirmwareError, FirmwareKind, Forward, Machine, MachineError, Settings, disk, late_timers,
};
use crate::medium::folder;
use crate::operator::{self, Given};
use crate::secure_boot::SignedBy;
use crate::units::{Arch, Bytes};

/// The artifact without which no node joins.
const K3S: &str = "k3s";
/// Room that the machine's disk has beyond the image, for the state partition.
const STATE: Bytes = Bytes(4 << 30);

/// Arguments of `boot`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Folder that `imgbuild build` has made
    folder: PathBuf,
    /// Node of the cluster file that the machine becomes; several make a cluster, each on a network of its own
    #[arg(long, value_name = "NAME")]
    node: Vec<String>,
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
    /// Port of 127.0.0.1 that leads to the machine's port of the same number, TCP and UDP
    #[arg(long, value_name = "PORT", value_parser = value_parser!(u16).range(1..))]
    forward: Vec<u16>,
    /// Port on 127.0.0.1 that reaches the machine's SSH port
    #[arg(long, value_name = "PORT", value_parser = value_parser!(u16).range(1..))]
    ssh_port: Option<u16>,
    /// Show only the boot's progress and firstboot's report, and switch off once all is done, or all nodes are Ready
    #[arg(long)]
    report: bool,
    #[command(flatten)]
    unlock: Unlock,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let manifest = Manifest::load(&arguments.folder).map_err(failure::of_manifest)?;
    check_nodes(arguments)?;
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

/// Fails where two machines would share what only one can have.
fn check_nodes(arguments: &Arguments) -> anyhow::Result<()> {
    let mut names = BTreeSet::new();
    if let Some(twice) = arguments.node.iter().find(|name| !names.insert(*name)) {
        return Err(anyhow::anyhow!("node `{twice}` is named twice").input());
    }
    let shared = [
        ("--disk", arguments.disk.is_some()),
        ("--ssh-port", arguments.ssh_port.is_some()),
        ("--forward", !arguments.forward.is_empty()),
    ];
    match shared.iter().find(|(_, is_given)| *is_given && arguments.node.len() > 1) {
        Some((option, _)) => {
            let count = arguments.node.len();
            Err(anyhow::anyhow!("`{option}` is for one machine, {count} nodes are named").input())
        }
        None => Ok(()),
    }
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
    let mut machines = Vec::new();
    if arguments.node.is_empty() {
        machines.push(start("unclaimed", Given::default(), arguments, manifest, scratch, context)?);
    }
    for name in &arguments.node {
        let folder = scratch.join(name);
        fs::create_dir(&folder).with_context(|| format!("making `{}`", folder.display()))?;
        let given = given(name, &folder, arguments, manifest, context)?;
        machines.push(start(name, given, arguments, manifest, &folder, context)?);
    }
    if arguments.report {
        watch::report(&mut machines, &flag, context)
    } else {
        watch::follow(&mut machines, &flag, context)
    }
}

fn start(
    name: &str,
    given: Given,
    arguments: &Arguments,
    manifest: &Manifest,
    folder: &Path,
    context: &Context,
) -> anyhow::Result<Running> {
    let disk = arguments.disk.clone().unwrap_or_else(|| folder.join(manifest::DISK));
    if !disk.exists() {
        let task = context.printer.task("copying the disk", None);
        disk::copy(&arguments.folder.join(manifest::DISK), &disk, STATE)?;
        if arguments.firmware == FirmwareKind::Bios && arguments.disk.is_none() {
            allow_late_timers(&disk, manifest)?;
        }
        task.finish(&disk.display().to_string());
    }
    let settings = Settings {
        name: format!("imgbuild-{name}"),
        arch: manifest.arch,
        firmware: arguments.firmware,
        disk,
        bus: arguments.bus,
        sector_size: manifest.sector_size,
        memory: arguments.memory,
        processors: 2,
        forwards: forwards(arguments, &given),
        given: given.items,
        write_log: None,
        variables: None,
        secure_boot: None,
        extra: Vec::new(),
    };
    let machine = Machine::start(&settings).map_err(missing_program)?;
    context.printer.note(&format!("{name}: the machine runs by {}", machine.accelerator()));
    let has_argocd = manifest.artifacts.iter().any(|artifact| artifact.name == "argocd");
    let first_objects = if has_argocd { ALL_MADE } else { MADE_WITHOUT_ARGOCD };
    Running::new(name, machine, given.joins, given.push, first_objects)
}

/// Only on a disk that is thrown away: one that is kept may go to a real machine.
fn allow_late_timers(disk: &Path, manifest: &Manifest) -> anyhow::Result<()> {
    let Some(esp) = manifest.partition(Role::Esp) else { return Ok(()) };
    Ok(late_timers::allow(disk, Bytes(folder::start(esp, manifest.sector_size)), esp.size)?)
}

/// What the machine is switched on with: all that joining needs, where there is a cluster to join, and k3s to do it.
fn given(
    node: &str,
    scratch: &Path,
    arguments: &Arguments,
    manifest: &Manifest,
    context: &Context,
) -> anyhow::Result<Given> {
    let cluster = context.cluster()?;
    let node = cluster.node(node).map_err(failure::of_node)?;
    let path = identity::path(&cluster);
    let lacking = if manifest.absent.iter().any(|name| name == K3S) {
        Some("the image has no k3s")
    } else if path.symlink_metadata().is_err() {
        Some("the cluster has no identity")
    } else {
        None
    };
    if let Some(lacking) = lacking {
        context.printer.note(&format!("{lacking}: node `{}` is configured, and joins nothing", node.name));
        return operator::plain(&cluster, node, scratch);
    }
    operator::joining(&cluster, node, &arguments.unlock.secrets(&cluster)?, scratch)
}

fn forwards(arguments: &Arguments, given: &Given) -> Vec<Forward> {
    let ssh = arguments.ssh_port.map(|port| Forward::tcp(port, 22));
    let asked = arguments.forward.iter().flat_map(|port| Forward::both(*port));
    let mut forwards = given.forwards.clone();
    // A port may be asked for that is needed anyway.
    for forward in asked.chain(ssh) {
        if !forwards.contains(&forward) {
            forwards.push(forward);
        }
    }
    forwards
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
