//! A disk in memory that remembers every write and flush, and the disks that power cuts make of it.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use firstboot::fat::{Fat, Stamp};
use firstboot::gpt::{self, Disk, Lba, SectorSize, Window};

use super::sample::Sample;
use crate::medium::staging::Layout;

type Sectors = HashMap<u64, Vec<u8>>;

#[derive(Clone)]
enum Request {
    Write { at: u64, data: Vec<u8> },
    Flush,
}

/// The disk, and what was asked of it.
#[derive(Clone)]
pub(super) struct Recorder {
    sector_size: SectorSize,
    sectors: u64,
    /// As it was when the log began.
    base: Sectors,
    current: Sectors,
    log: Vec<Request>,
}

impl Recorder {
    pub(super) fn load(path: &Path, sector_size: SectorSize) -> Self {
        let bytes = std::fs::read(path).unwrap();
        let size = sector_size.in_memory();
        let base: Sectors = (0..)
            .zip(bytes.chunks(size).map(<[u8]>::to_vec))
            .filter(|(_, sector)| sector.iter().any(|byte| *byte != 0))
            .collect();
        let sectors = u64::try_from(bytes.len()).unwrap() / sector_size.bytes();
        Self { sector_size, sectors, current: base.clone(), base, log: Vec::new() }
    }

    /// Forgets what was asked so far.
    pub(super) fn start_log(&mut self) {
        self.base = self.current.clone();
        self.log.clear();
    }

    /// Whether nothing was written since the log began.
    pub(super) fn is_unchanged(&self) -> bool {
        !self.log.iter().any(|request| matches!(request, Request::Write { .. }))
    }

    /// A file of the ESP.
    pub(super) fn esp_file(&mut self, sample: &Sample, path: &str) -> Option<Vec<u8>> {
        let layout = Layout::of(&gpt::read(self).unwrap().table, &sample.manifest).unwrap();
        let esp = Window::new(self, layout.esp.extent.first, layout.esp.extent.sectors());
        Fat::open(esp, Stamp::from_unix(0)).unwrap().read(path).unwrap()
    }

    fn state<'a>(&self, base: &'a Sectors, over: Sectors) -> State<'a> {
        State { sector_size: self.sector_size, sectors: self.sectors, base, over }
    }

    /// The disk when the log began.
    pub(super) fn start(&self) -> State<'_> {
        self.state(&self.base, Sectors::new())
    }

    /// The disk as it is.
    pub(super) fn end(&self) -> State<'_> {
        self.state(&self.current, Sectors::new())
    }

    /// Cuts the power after every request; of the sectors that were not flushed, all, none, and `rounds` times some
    /// survive. A sector is whole or not written.
    pub(super) fn cuts(&self, rounds: usize, dice: &mut Dice, mut see: impl FnMut(&State<'_>, &str)) {
        let size = self.sector_size.in_memory();
        let mut durable = self.base.clone();
        let mut pending: Vec<(u64, Vec<u8>)> = Vec::new();
        for (index, request) in self.log.iter().enumerate() {
            match request {
                Request::Write { at, data } => {
                    pending.extend((*at..).zip(data.chunks(size).map(<[u8]>::to_vec)));
                }
                Request::Flush => durable.extend(pending.drain(..)),
            }
            let rounds = if pending.is_empty() { 1 } else { rounds + 2 };
            for round in 0..rounds {
                // Some disks lose little, others much.
                let share = dice.below(7) + 1;
                let survives = |dice: &mut Dice| match round {
                    0 => true,
                    1 => false,
                    _ => dice.below(8) < share,
                };
                // Later writes to a sector win, whichever reached the disk.
                let over = pending.iter().filter(|_| survives(dice)).cloned().collect();
                let place = format!("request {} of {}, round {round}", index + 1, self.log.len());
                see(&self.state(&durable, over), &place);
            }
        }
    }
}

impl Disk for Recorder {
    fn sector_size(&self) -> SectorSize {
        self.sector_size
    }

    fn sectors(&self) -> u64 {
        self.sectors
    }

    fn read(&self, at: Lba, buffer: &mut [u8]) -> io::Result<()> {
        self.end().read(at, buffer)
    }

    fn write(&mut self, at: Lba, data: &[u8]) -> io::Result<()> {
        let size = self.sector_size.in_memory();
        assert!(data.len().is_multiple_of(size) && !data.is_empty(), "whole sectors");
        self.current.extend((at.0..).zip(data.chunks(size).map(<[u8]>::to_vec)));
        self.log.push(Request::Write { at: at.0, data: data.to_vec() });
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.log.push(Request::Flush);
        Ok(())
    }
}

/// A disk after a power cut, for reading.
pub(super) struct State<'a> {
    pub(super) sector_size: SectorSize,
    sectors: u64,
    base: &'a Sectors,
    over: Sectors,
}

impl State<'_> {
    /// A disk that can be worked on.
    pub(super) fn clone_disk(&self) -> Recorder {
        let mut current = self.base.clone();
        current.extend(self.over.clone());
        let (sector_size, sectors) = (self.sector_size, self.sectors);
        Recorder { sector_size, sectors, base: current.clone(), current, log: Vec::new() }
    }

    /// `length` bytes from `at` on.
    pub(super) fn bytes(&self, at: u64, length: usize) -> Vec<u8> {
        let size = self.sector_size.in_memory();
        let mut bytes = vec![0; length.next_multiple_of(size)];
        self.read(Lba(at), &mut bytes).unwrap();
        bytes.truncate(length);
        bytes
    }
}

impl Disk for State<'_> {
    fn sector_size(&self) -> SectorSize {
        self.sector_size
    }

    fn sectors(&self) -> u64 {
        self.sectors
    }

    fn read(&self, at: Lba, buffer: &mut [u8]) -> io::Result<()> {
        for (number, part) in (at.0..).zip(buffer.chunks_mut(self.sector_size.in_memory())) {
            assert!(number < self.sectors, "sector {number} lies behind the disk");
            match self.over.get(&number).or_else(|| self.base.get(&number)) {
                Some(sector) => part.copy_from_slice(&sector[..part.len()]),
                None => part.fill(0),
            }
        }
        Ok(())
    }

    fn write(&mut self, _: Lba, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The same numbers in every run (Knuth's MMIX generator).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}
