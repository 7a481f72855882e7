//! A staging whose every write is logged, and the disks that power cuts in it leave.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::Path;

use anyhow::Context as _;
use firstboot::fat::{Fat, Stamp};
use firstboot::gpt::{self, BlockDisk, Disk as _, Guid, Lba, SectorSize, Window};
use firstboot::slot::entries::Entries;
use imgbuild::medium::folder::Folder;
use imgbuild::medium::staging::{self, Source, disk};

use crate::write_log::LogFile;
use crate::{Bundle, Disk, PowerCut, Random, Scene, WriteLog};

/// A recorded staging.
#[derive(Debug)]
pub struct Staging {
    log: WriteLog,
    /// Numbers of requests after which boot entries and slots are as never before.
    states: Vec<usize>,
    // Holds the log's file.
    _disk: Disk,
}

impl Staging {
    /// Stages `bundle` on a new disk of `old`.
    pub fn record(old: &Bundle, bundle: &Bundle, scene: &Scene) -> anyhow::Result<Self> {
        let disk = Disk::of(old, scene)?;
        let path = disk.folder().join("staging");
        let states = record(disk.path(), &path, bundle)?;
        Ok(Self { log: WriteLog::load(&path)?, states, _disk: disk })
    }

    /// How many states a machine could find.
    pub fn states(&self) -> usize {
        self.states.len()
    }

    /// Makes `disk`, a new one of the same bundle, what it is in a state; what was not flushed survives by chance.
    pub fn cut(&self, state: usize, disk: &Disk, random: &mut Random) -> anyhow::Result<PowerCut> {
        let instant = self.states.get(state).context("there is no such state")?;
        self.log.cut(*instant, &disk.open()?, random)
    }
}

fn record(path: &Path, log: &Path, bundle: &Bundle) -> anyhow::Result<Vec<usize>> {
    let folder = Folder::open(&bundle.folder)?;
    let source = Source::open(&folder)?;
    let (inner, copies) = disk::open(path)?;
    let file = File::open(path).context("opening the disk again")?;
    let view = BlockDisk::over(file, inner.sector_size()).context("opening the disk again")?;
    let mut logged =
        Logged { inner, view, log: LogFile::create(log)?, seen: BTreeSet::new(), states: Vec::new() };
    staging::stage(&source, &mut logged, &copies, |_| {})?;
    logged.log.close()?;
    Ok(logged.states)
}

/// A disk that writes down what is asked of it.
struct Logged<D> {
    inner: D,
    /// The same disk, for looking at it.
    view: BlockDisk,
    log: LogFile,
    seen: BTreeSet<String>,
    states: Vec<usize>,
}

impl<D: gpt::Disk> Logged<D> {
    /// Notes the state after a request, if it is a new one.
    fn look(&mut self) {
        let state = self.state().unwrap_or_else(|fault| format!("{fault:#}"));
        if self.seen.insert(state) {
            self.states.push(self.log.requests());
        }
    }

    /// Everything that decides what is started.
    fn state(&mut self) -> anyhow::Result<String> {
        let table = gpt::read(&self.view)?.table;
        let slots: Vec<String> =
            table.entries().map(|(_, entry)| format!("{} {}", entry.name, entry.id)).collect();
        let esp =
            table.entries().find(|(_, entry)| entry.kind == Guid::ESP).context("there is no ESP")?.1.extent;
        let fat = Fat::open(Window::new(&mut self.view, esp.first, esp.sectors()), Stamp::from_unix(0))?;
        Ok(format!("{slots:?} {:?}", Entries::read(&fat)?))
    }
}

impl<D: gpt::Disk> gpt::Disk for Logged<D> {
    fn sector_size(&self) -> SectorSize {
        self.inner.sector_size()
    }

    fn sectors(&self) -> u64 {
        self.inner.sectors()
    }

    fn read(&self, at: Lba, buffer: &mut [u8]) -> io::Result<()> {
        self.inner.read(at, buffer)
    }

    fn write(&mut self, at: Lba, data: &[u8]) -> io::Result<()> {
        self.inner.write(at, data)?;
        self.log.write(at.0, data)?;
        self.look();
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.log.flush()?;
        self.look();
        Ok(())
    }
}
