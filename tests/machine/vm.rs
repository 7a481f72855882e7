//! A machine from power-on to its end.

use std::ffi::OsString;
use std::io::Read as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use firstboot::screen;
use firstboot::source::Item;
use imgbuild::machine::{Bus, FirmwareKind, Forward, Machine, Settings};
use imgbuild::units::Bytes;

use crate::{Disk, Plug, Scene, oracle};

/// For everything a machine does, by emulation on a busy host.
const DEADLINE: Duration = Duration::from_mins(8);
/// For one command inside it.
const COMMAND_DEADLINE: Duration = Duration::from_mins(2);
/// How long the power button may go unnoticed.
const PRESS_AGAIN: Duration = Duration::from_secs(10);
/// What systemd prints when a machine is up.
const IS_UP: &str = "Reached target multi-user.target";

/// What a machine is switched on with.
#[derive(Clone, Debug, Default)]
pub struct Power {
    /// Node record by `fw_cfg`.
    pub record: Option<PathBuf>,
    /// What else it is given so.
    pub given: Vec<(Item, PathBuf)>,
    /// Ports of this computer that lead into it, besides that of SSH.
    pub forwards: Vec<Forward>,
    /// Log of every write to the disk.
    pub write_log: Option<PathBuf>,
    /// Variable store of firmware with Secure Boot; made in setup mode if it is missing.
    pub secure_boot: Option<PathBuf>,
    /// What it boots by.
    pub firmware: FirmwareKind,
    /// How the disk is attached.
    pub bus: Bus,
    /// What its battery has kept of the time, `2001-01-01T00:00:00`; this computer's time without it.
    pub clock: Option<&'static str>,
    /// A second network.
    pub lan: Option<Plug>,
}

/// A running machine; dropping it cuts its power.
#[derive(Debug)]
pub struct Vm {
    machine: Machine,
    name: String,
    port: u16,
    key: PathBuf,
    known_hosts: PathBuf,
    started: Instant,
}

impl Vm {
    /// Switches a machine on; `name` is for messages.
    pub fn start(name: &str, disk: &Disk, power: Power, scene: &Scene) -> anyhow::Result<Self> {
        let port = free_port()?;
        let settings = Settings {
            name: format!("imgbuild-test-{name}-{port}"),
            arch: disk.arch(),
            firmware: power.firmware,
            disk: disk.path().to_owned(),
            bus: power.bus,
            sector_size: disk.sector_size(),
            memory: 1536,
            processors: 2,
            given: power.record.map(|record| (Item::Record, record)).into_iter().chain(power.given).collect(),
            forwards: power.forwards.into_iter().chain([Forward::tcp(port, 22)]).collect(),
            write_log: power.write_log,
            // What firmware remembers belongs to the machine, as its disk does.
            variables: Some(disk.folder().join("variables.fd")),
            secure_boot: power.secure_boot,
            extra: power
                .clock
                .into_iter()
                .flat_map(|time| ["-rtc".to_owned(), format!("base={time}")])
                .chain(power.lan.into_iter().flat_map(Plug::arguments))
                .collect(),
        };
        let machine = Machine::start(&settings)?;
        println!("{name}: switched on, by {}", machine.accelerator());
        let known_hosts = disk.folder().join("known_hosts");
        Ok(Self {
            machine,
            name: name.to_owned(),
            port,
            key: scene.key(),
            known_hosts,
            started: Instant::now(),
        })
    }

    /// Waits until `text` stands on the console.
    pub fn wait_for(&mut self, text: &str) -> anyhow::Result<()> {
        let left = DEADLINE.saturating_sub(self.started.elapsed());
        self.machine.wait_for(text, left).with_context(|| format!("machine `{}`", self.name))?;
        println!("{}: `{text}` after {} s", self.name, self.started.elapsed().as_secs());
        Ok(())
    }

    /// Waits until `text` stands on the console once more than it does now; for machines that have run for long.
    pub fn wait_for_again(&mut self, text: &str, deadline: Duration) -> anyhow::Result<()> {
        let before = self.console().matches(text).count();
        let started = Instant::now();
        while self.machine.watch(|_| {})? {
            if self.console().matches(text).count() > before {
                println!("{}: `{text}` again after {} s", self.name, started.elapsed().as_secs());
                return Ok(());
            }
            if started.elapsed() > deadline {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        bail!("machine `{}` does not say `{text}` again:\n{}", self.name, self.machine.console().last_lines())
    }

    /// Lets it run for so long, or until `text` stands on its console.
    pub fn run_for(&mut self, time: Duration, text: &str) -> anyhow::Result<()> {
        let started = Instant::now();
        while started.elapsed() < time && self.machine.watch(|_| {})? && !self.console().contains(text) {
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Cuts its power at once; the log of its writes is whole afterwards.
    pub fn cut_power(mut self) -> anyhow::Result<()> {
        println!("{}: power cut after {} s", self.name, self.started.elapsed().as_secs());
        Ok(self.machine.end(COMMAND_DEADLINE)?)
    }

    /// Pulls the plug of its network, or puts it in again.
    pub fn connect_network(&self, is_connected: bool) -> anyhow::Result<()> {
        println!("{}: uplink {}", self.name, if is_connected { "is back" } else { "is gone" });
        Ok(self.machine.connect_network(is_connected)?)
    }

    /// Waits until the machine is up (`true`), or has ended or restarted before.
    pub fn comes_up(&mut self) -> anyhow::Result<bool> {
        while self.machine.watch(|_| {})? {
            if self.console().contains(IS_UP) {
                return Ok(true);
            }
            let last = || self.machine.console().last_lines();
            ensure!(self.started.elapsed() < DEADLINE, "machine `{}` hangs:\n{}", self.name, last());
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(false)
    }

    /// Waits until systemd has reached its target.
    pub fn wait_until_up(&mut self) -> anyhow::Result<()> {
        self.wait_for(IS_UP)
    }

    /// Waits until the machine has ended, be it that it switched itself off or that it restarts.
    pub fn wait_for_end(&mut self) -> anyhow::Result<()> {
        let left = DEADLINE.saturating_sub(self.started.elapsed());
        self.machine.wait_for_end(left).with_context(|| format!("machine `{}`", self.name))?;
        println!("{}: ended after {} s", self.name, self.started.elapsed().as_secs());
        Ok(())
    }

    /// Presses the power button until the machine ends: one that has just come up may not look at it yet.
    pub fn shut_down(mut self) -> anyhow::Result<String> {
        self.machine.press_power_button()?;
        let mut pressed = Instant::now();
        while self.machine.watch(|_| {})? {
            if self.started.elapsed() > DEADLINE {
                let last = self.machine.console().last_lines();
                bail!("machine `{}` does not shut down; its console ends with:\n{last}", self.name);
            }
            if pressed.elapsed() > PRESS_AGAIN {
                // Refused where QEMU is just ending, which the next look shows.
                let _ending = self.machine.press_power_button();
                pressed = Instant::now();
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        println!("{}: shut down after {} s", self.name, self.started.elapsed().as_secs());
        let failed = self.console().lines().find(|line| line.contains("Failed unmounting"));
        ensure!(
            failed.is_none(),
            "machine `{}` says on its way down: {}",
            self.name,
            failed.unwrap_or_default()
        );
        Ok(self.console().to_owned())
    }

    /// Its memory from physical address `start` on.
    pub fn memory(&self, start: u64, size: Bytes) -> anyhow::Result<Vec<u8>> {
        // Beside the host keys: this goes with the disk's folder.
        let file = self.known_hosts.with_file_name("memory");
        self.machine.save_memory(start, size, &file)?;
        std::fs::read(&file).context("reading a machine's memory")
    }

    /// The console so far.
    pub fn console(&self) -> &str {
        self.machine.console().text()
    }

    /// Runs a shell command as root, by SSH with the key of the cluster file; it must end well.
    /// The machine's host key must be that of its disk's earlier boots.
    pub fn run(&self, command: &str) -> anyhow::Result<String> {
        self.by_ssh("ssh", ["root@127.0.0.1", command])
    }

    /// Its address inside the VPN.
    pub fn vpn_address(&self) -> anyhow::Result<String> {
        let address = self.run("ip -4 -o address show wg0 | tr -s ' ' | cut -d' ' -f4 | cut -d/ -f1")?;
        Ok(address.trim().to_owned())
    }

    /// Copies a file into it, as one of root's at `path`; what runs here may be run there.
    pub fn put(&self, file: &Path, path: &str) -> anyhow::Result<()> {
        let place = format!("root@127.0.0.1:{path}");
        self.by_ssh("scp", [file.as_os_str(), place.as_ref()]).map(drop)
    }

    fn by_ssh<A: Into<OsString>>(&self, name: &str, arguments: [A; 2]) -> anyhow::Result<String> {
        let port = format!("Port={}", self.port);
        let hosts = format!("UserKnownHostsFile={}", self.known_hosts.display());
        let options = [
            "BatchMode=yes",
            "StrictHostKeyChecking=accept-new",
            "HostKeyAlias=node",
            "LogLevel=ERROR",
            &port,
            &hosts,
        ];
        let program = oracle::program(name)?
            .arguments(["-F", "none", "-i"])
            .argument(&self.key)
            .arguments(options.iter().flat_map(|option| ["-o", option]))
            .arguments(arguments);
        program.output(COMMAND_DEADLINE).with_context(|| {
            format!("machine `{}`, its console:\n{}", self.name, self.machine.console().last_lines())
        })
    }

    /// What the SSH port says to who connects; empty where nobody listens.
    pub fn ssh_greeting(&self) -> anyhow::Result<String> {
        let mut stream =
            TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).context("connecting to QEMU")?;
        stream.set_read_timeout(Some(Duration::from_secs(20))).context("setting a deadline")?;
        let mut greeting = [0; 64];
        match stream.read(&mut greeting) {
            Ok(length) => {
                Ok(String::from_utf8_lossy(greeting.get(..length).unwrap_or_default()).into_owned())
            }
            // QEMU accepts for the guest, and resets when the guest refuses.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Ok(String::new()),
            Err(error) => bail!("waiting for the SSH port's greeting: {error}"),
        }
    }
}

/// firstboot's report on a console.
pub fn report(console: &str) -> anyhow::Result<&str> {
    let framed = console.split_once(screen::BEGIN).and_then(|(_, rest)| rest.split_once(screen::END));
    let (report, _) =
        framed.with_context(|| format!("firstboot's report is not on the console:\n{console}"))?;
    Ok(report)
}

/// A port that nobody uses at this moment.
pub fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("looking for a free port")?;
    Ok(listener.local_addr().context("looking for a free port")?.port())
}
