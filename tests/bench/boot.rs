//! Boots of the same packages, ours and by Debian's own initramfs, on a machine whose clock counts its
//! instructions: the host's load and speed play no part.
//!
//! The clock starts when the kernel does, so firmware and boot loader are not in these figures.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use firstboot::source::Item;
use imgbuild::machine::Machine;
use imgbuild::process::Program as Bounded;
use imgbuild::units::{Arch, Bytes};

use super::program::Program;

/// Nanoseconds per instruction, as a power of two; a processor of 125 million instructions per second.
const CLOCK: &str = "shift=3,sleep=off";
/// For one machine, on a busy host.
const DEADLINE: Duration = Duration::from_mins(30);
/// Bytes of the peer's disk.
const DISK: &str = "2G";
/// Unit and script that tell the figures, by their paths in a root.
const UNIT: &str = "etc/systemd/system/report.service";
const SCRIPT: &str = "usr/lib/report";
const REPORT: &str = "[Unit]
Description=Tell when this machine was where
After=multi-user.target

[Service]
Type=oneshot
ExecStart=/usr/bin/bash /usr/lib/report

[Install]
WantedBy=multi-user.target
";
const TELL: &str = r#"while read -r key value _; do
  case $key in MemTotal:) total=$value ;; MemAvailable:) available=$value ;; esac
done < /proc/meminfo
manager=$(systemctl show --value --property UserspaceTimestampMonotonic)
firstboot=$(systemctl show --value --property ExecMainStartTimestampMonotonic firstboot.service)
up=$(systemctl show --value --property ActiveEnterTimestampMonotonic multi-user.target)
printf '\nreport %s %s %s %s end\n' "$manager" "$firstboot" "$up" "$((total - available))" > /dev/ttyS0
systemctl --no-block poweroff
"#;

/// When a machine was where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Boot {
    /// Seconds from the kernel's entry to the start of systemd as PID 1.
    pub(crate) manager: f64,
    /// Seconds from the kernel's entry to firstboot's start.
    pub(crate) firstboot: f64,
    /// Seconds from the kernel's entry to systemd's multi-user target.
    pub(crate) up: f64,
    /// Memory in use when the machine was up.
    pub(crate) memory: Bytes,
}

/// What a machine told, as integers.
#[derive(Debug)]
pub(crate) struct Figures(Vec<u64>);

/// What a machine boots.
#[derive(Debug)]
pub(crate) struct Bootable {
    disk: PathBuf,
    arguments: Vec<String>,
}

impl Bootable {
    /// A copy of a disk that we made with [`profile`], which its own GRUB starts, and the node's record.
    pub(crate) fn ours(built: &Path, record: &Path, work: &Path) -> anyhow::Result<Self> {
        let bootable = Self::copied(built, &[(Item::Record, record.to_owned())], work, "ours")?;
        // Room for the state partition.
        let disk = &bootable.disk;
        let file = fs::OpenOptions::new().write(true).open(disk);
        let grow = |file: fs::File| file.set_len(file.metadata()?.len().saturating_add(1 << 31));
        file.and_then(grow).with_context(|| format!("growing `{}`", disk.display()))?;
        Ok(bootable)
    }

    /// A copy of a disk of ours, and what its machine is given.
    pub(crate) fn copied(
        disk: &Path,
        given: &[(Item, PathBuf)],
        work: &Path,
        name: &str,
    ) -> anyhow::Result<Self> {
        let copy = work.join(format!("boot-{name}.raw"));
        Program::new("cp").argument("--sparse=always").argument(disk).argument(&copy).run()?;
        let item = |(item, file): &(Item, PathBuf)| {
            ["-fw_cfg".to_owned(), format!("name={},file={}", item.qemu_name(), file.display())]
        };
        Ok(Self { disk: copy, arguments: given.iter().flat_map(item).collect() })
    }

    /// An ext4 disk of what mmdebstrap made of the same packages, started with the initramfs that their scripts made.
    pub(crate) fn debian(root: &Path, work: &Path) -> anyhow::Result<Self> {
        let (kernel, initrd) = (boot_file(root, "vmlinuz-")?, boot_file(root, "initrd.img-")?);
        let write = |path: &str, text: &str| {
            fs::write(root.join(path), text).with_context(|| format!("writing `{path}`"))
        };
        write(UNIT, REPORT)?;
        write(SCRIPT, TELL)?;
        // Not the work of a machine's first boot.
        write("etc/machine-id", "0123456789abcdef0123456789abcdef\n")?;
        // Started where ours is; there is no record to read.
        let unit = firstboot::UNIT.replace("/usr/bin/firstboot --console", "/usr/bin/true");
        ensure!(unit != firstboot::UNIT, "firstboot.service starts another program");
        write("etc/systemd/system/firstboot.service", &unit)?;
        let enable = ["enable", "firstboot.service", "report.service", "systemd-networkd.service"];
        Program::new("systemctl").argument("--root").argument(root).arguments(enable).run()?;
        let disk = work.join("boot-debian.raw");
        let make = Program::new("mke2fs").arguments(["-q", "-t", "ext4", "-d"]).argument(root);
        make.argument(&disk).argument(DISK).run()?;
        let arguments = ["-append", "root=/dev/vda rw console=tty0 console=ttyS0,115200 panic=10"];
        let files = [("-kernel", kernel), ("-initrd", initrd)].map(|(option, file)| {
            let copy = work.join(format!("boot{option}"));
            fs::copy(&file, &copy).with_context(|| format!("copying `{}`", file.display()))?;
            Ok([option.to_owned(), copy.display().to_string()])
        });
        let files = files.into_iter().collect::<anyhow::Result<Vec<_>>>()?.into_iter().flatten();
        Ok(Self { disk, arguments: files.chain(arguments.map(str::to_owned)).collect() })
    }

    /// From power-on until it has switched itself off.
    pub(crate) fn boot(&self) -> anyhow::Result<Figures> {
        let console = self.disk.with_extension("console");
        let qemu = Machine::qemu(Arch::Amd64)?;
        let drive = format!("if=virtio,format=raw,cache=unsafe,file={}", self.disk.display());
        let machine = Bounded::new("measuring a boot", qemu)
            .arguments(["-machine", "q35", "-accel", "tcg,thread=single", "-icount", CLOCK])
            // As in tests: kernels crash at cmpxchg16b in QEMU 7.2's emulation.
            .arguments(["-cpu", "max,-cx16", "-smp", "1", "-m", "2048"])
            .arguments(["-nodefaults", "-display", "none", "-no-reboot"])
            .arguments(["-device", "virtio-rng-pci"])
            .arguments(["-netdev", "user,id=net0", "-device", "virtio-net-pci,netdev=net0"])
            .arguments(["-serial".to_owned(), format!("file:{}", console.display())])
            .arguments(["-drive".to_owned(), drive]);
        machine.arguments(&self.arguments).output(DEADLINE)?;
        let text = fs::read(&console).with_context(|| format!("reading `{}`", console.display()))?;
        let text = String::from_utf8_lossy(&text);
        Figures::of(&text).with_context(|| format!("console `{}`", console.display()))
    }
}

impl Figures {
    fn of(console: &str) -> anyhow::Result<Self> {
        let line =
            console.lines().rev().find_map(|line| line.trim().strip_prefix("report ")?.strip_suffix(" end"));
        let words = line.context("the machine told no figures")?.split(' ');
        let figures = words.map(|word| word.parse().with_context(|| format!("`{word}` is no figure")));
        figures.collect::<anyhow::Result<_>>().map(Self)
    }

    /// All of them, microseconds on the machine's clock, as seconds.
    pub(crate) fn seconds<const COUNT: usize>(&self) -> anyhow::Result<[f64; COUNT]> {
        let mut seconds = [0.0; COUNT];
        ensure!(self.0.len() == COUNT, "{COUNT} figures are expected: {self:?}");
        for (second, figure) in seconds.iter_mut().zip(&self.0) {
            let microseconds = u32::try_from(*figure).with_context(|| format!("`{figure}` is no time"))?;
            ensure!(microseconds > 0, "something did not start: {self:?}");
            *second = f64::from(microseconds) / 1e6;
        }
        Ok(seconds)
    }
}

impl TryFrom<Figures> for Boot {
    type Error = anyhow::Error;

    fn try_from(mut figures: Figures) -> anyhow::Result<Self> {
        let kibibytes = figures.0.pop().context("the machine told no figures")?;
        let [manager, firstboot, up] = figures.seconds()?;
        Ok(Self { manager, firstboot, up, memory: Bytes(kibibytes.saturating_mul(1024)) })
    }
}

/// Adds to the profile `inherited` what tells the figures of a [`Boot`].
pub(crate) fn profile(inherited: &str) -> String {
    profile_telling(inherited, TELL)
}

/// Adds to the profile `inherited` a script that tells figures and switches the machine off.
pub(crate) fn profile_telling(inherited: &str, tell: &str) -> String {
    format!(
        "version = 1\ndescription = \"Tells when it was where\"\ninherits = \"{inherited}\"\n\n\
         [units]\nenable = [\"report.service\"]\n\n\
         [[file]]\npath = \"{UNIT}\"\ntext = '''\n{REPORT}'''\n\n\
         [[file]]\npath = \"{SCRIPT}\"\ntext = '''\n{tell}'''\n"
    )
}

fn boot_file(root: &Path, prefix: &str) -> anyhow::Result<PathBuf> {
    let folder = root.join("boot");
    let entries = fs::read_dir(&folder).with_context(|| format!("reading folder `{}`", folder.display()))?;
    let mut paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    let wanted =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix));
    paths.find(wanted).with_context(|| format!("`{}` has no `{prefix}*`", folder.display()))
}
