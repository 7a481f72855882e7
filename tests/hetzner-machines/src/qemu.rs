//! A server as QEMU's command line.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use imgbuild::machine::{Accelerator, Firmware, NO_TIMER_CHECK};
use imgbuild::process::Program;
use imgbuild::units::Arch;
use serde_json::json;

use crate::network::{Interface, PUBLIC_MTU};

/// What a kernel of the rescue system is told. The root is what the initrd unpacks; to systemd each start would be the
/// first, at which it enables what packages would have.
const RESCUE: &str = "console=ttyS0,115200 rdinit=/usr/lib/systemd/systemd no_timer_check panic=10 audit=0 \
     systemd.condition_first_boot=no systemd.getty_auto=no";

/// A machine that is about to be switched on.
#[derive(Debug)]
pub(crate) struct Settings<'a> {
    pub(crate) server: u64,
    pub(crate) name: &'a str,
    pub(crate) accelerator: Accelerator,
    /// MiB.
    pub(crate) memory: u64,
    pub(crate) processors: u64,
    pub(crate) disk: &'a Path,
    /// UEFI, and its variables; none is a BIOS.
    pub(crate) firmware: Option<(&'a Firmware, &'a Path)>,
    pub(crate) interfaces: &'a [Interface],
    pub(crate) console: &'a Path,
    pub(crate) monitor: &'a Path,
    pub(crate) rescue: Option<Rescue<'a>>,
}

/// What a rescue system is started from.
#[derive(Debug)]
pub(crate) struct Rescue<'a> {
    pub(crate) kernel: &'a Path,
    pub(crate) initrd: &'a Path,
    /// A file with root's password.
    pub(crate) password: &'a Path,
    /// A file with keys that may log in.
    pub(crate) keys: &'a Path,
}

impl Settings<'_> {
    /// The command line.
    pub(crate) fn program(&self, qemu: &OsStr) -> Program {
        let Self { server, name, memory, processors, .. } = self;
        let board = self.accelerator.board(Arch::Amd64);
        let is_timer_late = self.accelerator == Accelerator::Emulation && self.firmware.is_some();
        let mut program = Program::new("running a server", qemu)
            .arguments(["-name", &format!("hetzner-simulator-{server}-{name}")])
            .arguments(["-machine", board.machine, "-cpu", board.processor, "-accel", board.accelerator])
            .arguments(["-m", &memory.to_string(), "-smp", &processors.to_string()])
            .arguments(["-nodefaults", "-display", "none"])
            // As on the provider's servers.
            .argument("-smbios")
            .argument(format!("type=1,manufacturer=Hetzner,product=vServer,serial={server}"))
            .arguments(is_timer_late.then_some(["-smbios", NO_TIMER_CHECK]).into_iter().flatten())
            .arguments(["-device", "virtio-rng-pci", "-device", "virtio-scsi-pci,id=scsi0"])
            .argument("-blockdev")
            .argument(self.disk().to_string())
            .arguments(["-device", "scsi-hd,bus=scsi0.0,drive=disk0,bootindex=1"])
            .argument("-qmp")
            .argument(format!("unix:{},server=on,wait=off", escaped(self.monitor)))
            // One log for all of a server's starts.
            .argument("-chardev")
            .argument(format!("file,id=console,append=on,path={}", escaped(self.console)))
            .arguments(["-serial", "chardev:console"]);
        for (interface, number) in self.interfaces.iter().zip(0..) {
            program = program.arguments(network(interface, number));
        }
        if let Some((firmware, variables)) = self.firmware {
            program = program
                .argument("-drive")
                .argument(format!("if=pflash,format=raw,readonly=on,file={}", escaped(&firmware.code)))
                .argument("-drive")
                .argument(format!("if=pflash,format=raw,file={}", escaped(variables)));
        }
        match &self.rescue {
            Some(rescue) => rescue.add_to(program),
            None => program,
        }
    }

    /// What is discarded takes no room.
    fn disk(&self) -> serde_json::Value {
        json!({
            "node-name": "disk0", "driver": "raw", "discard": "unmap", "file": {
                "driver": "file", "filename": self.disk, "discard": "unmap",
                // The host's page cache outlives QEMU, so a power cut loses nothing that was written.
                "cache": { "no-flush": true },
            },
        })
    }
}

impl Rescue<'_> {
    fn add_to(&self, program: Program) -> Program {
        let item = |name: &str, file: &Path| {
            ["-fw_cfg".to_owned(), format!("name=opt/hetzner-simulator/{name},file={}", escaped(file))]
        };
        program
            .argument("-kernel")
            .argument(self.kernel)
            .argument("-initrd")
            .argument(self.initrd)
            .arguments(["-append", RESCUE])
            .arguments(item("password", self.password))
            .arguments(item("keys", self.keys))
            // A restart leads to the disk: without the kernel, so with another command line.
            .argument("-no-reboot")
    }
}

/// An interface without anything to boot from.
fn network(interface: &Interface, number: u32) -> [String; 4] {
    let Interface { name, mac, .. } = interface;
    let mtu = match interface.mtu() {
        PUBLIC_MTU => String::new(),
        mtu => format!(",host_mtu={mtu}"),
    };
    [
        "-netdev".to_owned(),
        format!("tap,id=net{number},ifname={name},script=no,downscript=no"),
        "-device".to_owned(),
        format!("virtio-net-pci,netdev=net{number},mac={mac},romfile={mtu}"),
    ]
}

/// QEMU's options are lists, in which a comma is doubled.
fn escaped(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

/// What a server keeps of its firmware.
pub(crate) fn variables(folder: &Path) -> PathBuf {
    folder.join("variables.fd")
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::network::Side;

    #[test]
    fn a_server_looks_like_the_providers() {
        let interface = |name: &str, side| Interface {
            name: name.to_owned(),
            mac: "96:00:00:00:03:ed".to_owned(),
            address: Ipv4Addr::new(192, 0, 2, 1),
            side,
        };
        let (range, gateway) = ("10.0.0.0/16".parse().unwrap(), Ipv4Addr::new(10, 0, 0, 1));
        let private = Side::Private { range, gateway, aliases: Vec::new() };
        let interfaces = [interface("pub1005", Side::Public { v6: None }), interface("net1005n0", private)];
        let path = Path::new;
        let firmware = Firmware { code: "code.fd".into(), variables: "template.fd".into() };
        let mut settings = Settings {
            server: 1005,
            name: "cp1",
            accelerator: Accelerator::Emulation,
            memory: 1536,
            processors: 2,
            disk: path("disk.raw"),
            firmware: Some((&firmware, path("a,b/variables.fd"))),
            interfaces: &interfaces,
            console: path("console"),
            monitor: path("qmp"),
            rescue: None,
        };
        let command = settings.program(OsStr::new("qemu")).command_line();
        for part in [
            "-smbios type=1,manufacturer=Hetzner,product=vServer,serial=1005 ",
            "-smbios type=11,value=io.systemd.stub.kernel-cmdline-extra=no_timer_check ",
            "virtio-net-pci,netdev=net0,mac=96:00:00:00:03:ed,romfile= ",
            "tap,id=net1,ifname=net1005n0,script=no,downscript=no ",
            "virtio-net-pci,netdev=net1,mac=96:00:00:00:03:ed,romfile=,host_mtu=1450 ",
            "if=pflash,format=raw,file=a,,b/variables.fd",
        ] {
            assert!(command.contains(part), "{part}: {command}");
        }
        assert!(!command.contains("-no-reboot") && !command.contains("-kernel"), "{command}");
        settings.firmware = None;
        settings.rescue = Some(Rescue {
            kernel: path("linux"),
            initrd: path("initrd"),
            password: path("p"),
            keys: path("k"),
        });
        let command = settings.program(OsStr::new("qemu")).command_line();
        assert!(command.contains("name=opt/hetzner-simulator/password,file=p "), "{command}");
        assert!(command.ends_with(" -no-reboot") && !command.contains("pflash"), "{command}");
    }
}
