//! A first boot whose every write is logged, and the boots that follow power cuts in it.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, ensure};

use crate::{Bundle, Disk, Power, Random, Scene, Vm, WriteLog};

/// stage0's last words: state is made and mounted, the machine has its id.
const HANDED_OVER: &str = "stage0: starting /";

/// A logged first boot, and how far stage0's part of it goes.
#[derive(Debug)]
pub struct FirstBoot {
    log: WriteLog,
    window: usize,
}

/// A first boot that still runs.
#[derive(Debug)]
pub struct Recording {
    /// The machine.
    pub vm: Vm,
    disk: Disk,
    path: PathBuf,
    length: u64,
}

impl Recording {
    /// Switches a machine on with a new disk and no record, and waits until systemd is started.
    pub fn start(name: &str, bundle: &Bundle, scene: &Scene) -> anyhow::Result<Self> {
        let disk = Disk::of(bundle, scene)?;
        let path = disk.folder().join("writes");
        let power = Power { write_log: Some(path.clone()), ..Power::default() };
        let mut vm = Vm::start(name, &disk, power, scene)?;
        vm.wait_for(HANDED_OVER)?;
        let length = fs::metadata(&path).context("looking at the write log")?.len();
        Ok(Self { vm, disk, path, length })
    }

    /// Shuts the machine down; its disk must be whole.
    pub fn finish(self) -> anyhow::Result<FirstBoot> {
        self.vm.shut_down()?;
        check_whole(&self.disk)?;
        let log = WriteLog::load(&self.path)?;
        let window = log.requests_within(self.length);
        ensure!(window > 10, "stage0 asked the disk for no more than {window} writes");
        // The log's file goes with the disk's folder; it stays readable while it is open.
        Ok(FirstBoot { log, window })
    }
}

impl FirstBoot {
    /// How many writes and flushes a power cut can fall between.
    pub fn window(&self) -> usize {
        self.window
    }

    /// Cuts the power at an instant that `random` chooses; the next boot must end well.
    pub fn cut_and_boot(&self, bundle: &Bundle, random: &mut Random, scene: &Scene) -> anyhow::Result<()> {
        let instant = usize::try_from(random.below(u64::try_from(self.window)?))? + 1;
        let disk = Disk::of(bundle, scene)?;
        let cut = self.log.cut(instant, &disk.open()?, random)?;
        let name = format!("cut-at-{instant}");
        println!("{name} of {}: {cut:?}", self.window);
        let vm = Vm::start(&name, &disk, Power::default(), scene)?;
        boot_well(vm, &disk).with_context(|| format!("power cut after request {instant}: {cut:?}"))
    }
}

fn boot_well(mut vm: Vm, disk: &Disk) -> anyhow::Result<()> {
    vm.wait_until_up()?;
    vm.shut_down()?;
    check_whole(disk)
}

/// What every disk is like after a good boot that was shut down.
fn check_whole(disk: &Disk) -> anyhow::Result<()> {
    disk.check_table()?;
    disk.check_state()?;
    let mark = disk.state_file(".imgbuild-state")?;
    ensure!(mark == "1\n", "state is marked `{mark}`");
    let id = disk.state_file("lib/imgbuild/machine-id")?;
    let is_id = id.trim_end().len() == 32 && id.trim_end().bytes().all(|byte| byte.is_ascii_hexdigit());
    ensure!(is_id, "the machine id on state is `{id}`");
    Ok(())
}
