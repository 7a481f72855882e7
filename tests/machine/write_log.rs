//! Disks as a power cut leaves them, made from a log of every write.
//!
//! ```text
//! sector 0   magic, version, number of entries, sector size
//! sector 1…  entry: sector, sectors, flags, data length, each a little-endian u64; then the data
//! ```
//! Format: the kernel's `admin-guide/device-mapper/log-writes.rst`, as QEMU's `blklogwrites` writes it.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::{Context as _, ensure};

use crate::Random;

const MAGIC: u64 = 0x006a_7366_7773_6872;
const VERSION: u64 = 1;
const FLUSH: u64 = 1;
const DISCARD: u64 = 4;
/// Bytes of an entry before it is filled up to a sector.
const ENTRY: usize = 32;

/// What a machine asked of its disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Request {
    /// Data for the disk at byte `to`, found in the log at `from`.
    Write { to: u64, from: u64, length: u64 },
    /// What was written is to survive a power cut.
    Flush,
    /// Nobody needs these bytes any more; the disk may do as it likes, ours does nothing.
    Discard,
}

/// The writes of one machine, in their order.
#[derive(Debug)]
pub struct WriteLog {
    file: File,
    sector: u64,
    requests: Vec<Request>,
    /// Where in the log each request ends.
    ends: Vec<u64>,
}

/// What became of the writes of one power cut.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PowerCut {
    /// Writes up to the last flush, all of which are on the disk.
    pub flushed: usize,
    /// Writes after it that are on the disk whole.
    pub kept: usize,
    /// Writes after it of which the disk has only the first sectors.
    pub torn: usize,
    /// Writes after it that are lost.
    pub lost: usize,
}

impl WriteLog {
    /// Reads a log that QEMU has closed.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let reading = || format!("reading write log `{}`", path.display());
        let file = File::open(path).with_context(reading)?;
        if file.metadata().with_context(reading)?.len() == 0 {
            // The header comes with the first write.
            return Ok(Self { file, sector: 512, requests: Vec::new(), ends: Vec::new() });
        }
        let mut header = [0; ENTRY];
        file.read_exact_at(&mut header, 0).with_context(reading)?;
        let [magic, version, count, sector] = words(&header);
        let sector = sector & u64::from(u32::MAX);
        ensure!(magic == MAGIC && version == VERSION, "`{}` is no write log of version 1", path.display());
        ensure!(
            sector.is_power_of_two() && sector >= 512,
            "`{}` has sectors of {sector} bytes",
            path.display()
        );
        let mut log = Self { file, sector, requests: Vec::new(), ends: Vec::new() };
        let mut at = sector;
        for _ in 0..count {
            at = log.read_entry(at).with_context(reading)?;
        }
        Ok(log)
    }

    /// Reads the entry at `at` and returns where the next one begins.
    fn read_entry(&mut self, at: u64) -> anyhow::Result<u64> {
        let mut bytes = [0; ENTRY];
        self.file.read_exact_at(&mut bytes, at)?;
        let [first, sectors, flags, _] = words(&bytes);
        let (from, length) = (at + self.sector, sectors * self.sector);
        let mut end = from;
        if flags & DISCARD != 0 {
            self.push(Request::Discard, end);
        } else if length > 0 {
            end += length;
            self.push(Request::Write { to: first * self.sector, from, length }, end);
        }
        if flags & FLUSH != 0 {
            self.push(Request::Flush, end);
        }
        Ok(end)
    }

    fn push(&mut self, request: Request, end: u64) {
        self.requests.push(request);
        self.ends.push(end);
    }

    /// How many requests were logged.
    pub fn requests(&self) -> usize {
        self.requests.len()
    }

    /// How many requests were logged when the log was `length` bytes long.
    pub fn requests_within(&self, length: u64) -> usize {
        self.ends.partition_point(|end| *end <= length)
    }

    /// Makes `disk`, which is as it was before the first request, what a power cut after `count` requests leaves.
    /// A disk orders nothing between two flushes: each write after the last one is kept, torn or lost by chance.
    pub fn cut(&self, count: usize, disk: &File, random: &mut Random) -> anyhow::Result<PowerCut> {
        let requests = self.requests.get(..count).context("the power cut is later than the log")?;
        let flushed = requests.iter().rposition(|request| *request == Request::Flush).unwrap_or(0);
        let mut cut = PowerCut::default();
        for (index, request) in requests.iter().enumerate() {
            let Request::Write { to, from, length } = *request else { continue };
            let kept = if index < flushed {
                cut.flushed += 1;
                length
            } else {
                self.survivors(length, &mut cut, random)
            };
            self.copy(from, disk, to, kept).context("writing the disk")?;
        }
        Ok(cut)
    }

    /// How much of an unflushed write is on the disk.
    fn survivors(&self, length: u64, cut: &mut PowerCut, random: &mut Random) -> u64 {
        let sectors = length / self.sector;
        match random.below(4) {
            0 | 1 => cut.lost += 1,
            2 if sectors > 1 => {
                cut.torn += 1;
                return (1 + random.below(sectors - 1)) * self.sector;
            }
            _ => {
                cut.kept += 1;
                return length;
            }
        }
        0
    }

    fn copy(&self, mut from: u64, target: &File, mut to: u64, mut length: u64) -> anyhow::Result<()> {
        let mut buffer = vec![0; 1 << 20];
        while length > 0 {
            let chunk = usize::try_from(length)?.min(buffer.len());
            let part = buffer.get_mut(..chunk).context("a chunk is no longer than the buffer")?;
            self.file.read_exact_at(part, from)?;
            target.write_all_at(part, to)?;
            let chunk = u64::try_from(chunk)?;
            (from, to, length) = (from + chunk, to + chunk, length - chunk);
        }
        Ok(())
    }
}

/// A log that is being written, of a disk with sectors of 512 bytes.
#[derive(Debug)]
pub(crate) struct LogFile {
    file: File,
    length: u64,
    entries: u64,
}

impl LogFile {
    const SECTOR: u64 = 512;

    pub(crate) fn create(path: &Path) -> anyhow::Result<Self> {
        let file = File::create(path).with_context(|| format!("making write log `{}`", path.display()))?;
        Ok(Self { file, length: Self::SECTOR, entries: 0 })
    }

    /// Notes that `data` was written from sector `first` on.
    pub(crate) fn write(&mut self, first: u64, data: &[u8]) -> std::io::Result<()> {
        let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
        self.entry([first, length / Self::SECTOR, 0, 0])?;
        self.file.write_all_at(data, self.length)?;
        self.length += length;
        Ok(())
    }

    /// Notes a flush.
    pub(crate) fn flush(&mut self) -> std::io::Result<()> {
        self.entry([0, 0, FLUSH, 0])
    }

    /// How many requests were noted.
    pub(crate) fn requests(&self) -> usize {
        usize::try_from(self.entries).unwrap_or(usize::MAX)
    }

    /// Writes the header: only then it is a log.
    pub(crate) fn close(&mut self) -> anyhow::Result<()> {
        let header = [MAGIC, VERSION, self.entries, Self::SECTOR];
        self.file.write_all_at(&bytes(header), 0).context("writing the write log's header")
    }

    fn entry(&mut self, words: [u64; 4]) -> std::io::Result<()> {
        self.file.write_all_at(&bytes(words), self.length)?;
        self.length += Self::SECTOR;
        self.file.set_len(self.length)?;
        self.entries += 1;
        Ok(())
    }
}

fn bytes(words: [u64; 4]) -> Vec<u8> {
    words.into_iter().flat_map(u64::to_le_bytes).collect()
}

/// The four numbers of a header or an entry.
fn words(bytes: &[u8; ENTRY]) -> [u64; 4] {
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log of sectors of 512 bytes: writes of two sectors each, `None` for a flush.
    fn log(requests: &[Option<(u64, u8)>]) -> tempfile::NamedTempFile {
        let entry = |first: u64, sectors: u64, flags: u64| {
            let mut bytes: Vec<u8> =
                [first, sectors, flags, 0].into_iter().flat_map(u64::to_le_bytes).collect();
            bytes.resize(512, 0);
            bytes
        };
        let count = u64::try_from(requests.len()).unwrap() + 1;
        let mut bytes = entry(MAGIC, VERSION, count);
        bytes[24..28].copy_from_slice(&512_u32.to_le_bytes());
        bytes.extend(entry(0, 8, DISCARD));
        for request in requests {
            match request {
                None => bytes.extend(entry(0, 0, FLUSH)),
                Some((first, value)) => {
                    bytes.extend(entry(*first, 2, 0));
                    bytes.extend([*value; 1024]);
                }
            }
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        file
    }

    /// The first bytes of four pairs of sectors, after a cut.
    fn cut(log: &WriteLog, count: usize, seed: u64) -> ([u8; 4], PowerCut) {
        let disk = tempfile::NamedTempFile::new().unwrap();
        disk.as_file().set_len(4096).unwrap();
        let cut = log.cut(count, disk.as_file(), &mut Random::new(seed)).unwrap();
        let bytes = std::fs::read(disk.path()).unwrap();
        ([0, 1, 2, 3].map(|pair: usize| bytes[pair * 1024]), cut)
    }

    #[test]
    fn what_was_flushed_survives_and_the_rest_by_chance() {
        let file = log(&[Some((0, 1)), Some((2, 2)), None, Some((4, 3)), Some((6, 4))]);
        let log = WriteLog::load(file.path()).unwrap();
        // The discard is a request of its own.
        assert_eq!(log.requests.len(), 6);
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..64 {
            let (bytes, cut) = cut(&log, 6, seed);
            assert_eq!((bytes[0], bytes[1], cut.flushed, cut.kept + cut.torn + cut.lost), (1, 2, 2, 2));
            seen.insert((bytes[2], bytes[3]));
        }
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [(0, 0), (0, 4), (3, 0), (3, 4)]);
        assert_eq!(cut(&log, 0, 1), ([0; 4], PowerCut::default()));
    }

    #[test]
    fn a_log_is_measured_by_its_length() {
        let log = WriteLog::load(log(&[Some((0, 1)), None, Some((2, 2))]).path()).unwrap();
        let ends = [(511, 0), (1024, 1), (2559, 1), (2560, 2), (3072, 3), (u64::MAX, 4)];
        assert_eq!(ends.map(|(length, _)| (length, log.requests_within(length))), ends);
    }

    #[test]
    fn a_log_of_our_own_is_read_like_one_of_qemu() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut own = LogFile::create(file.path()).unwrap();
        own.write(2, &[5; 1024]).unwrap();
        own.flush().unwrap();
        own.write(4, &[6; 1024]).unwrap();
        assert_eq!(own.requests(), 3);
        own.close().unwrap();
        let log = WriteLog::load(file.path()).unwrap();
        let (bytes, cut) = cut(&log, 2, 1);
        assert_eq!((bytes, cut.flushed), ([0, 5, 0, 0], 1));
    }

    #[test]
    fn another_file_is_no_log() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [0; 512]).unwrap();
        let fault = WriteLog::load(file.path()).unwrap_err().to_string();
        assert_eq!(fault, format!("`{}` is no write log of version 1", file.path().display()));
    }
}
