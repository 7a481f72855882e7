//! A volume in memory of which only the blocks with something in them exist.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom, Write};

use crate::units::Bytes;

/// Small enough to skip the gaps of a FAT, large enough to be few.
const BLOCK: usize = 4096;

/// Contents of a partition, sparse. Reads and writes like a file of fixed length.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Volume {
    size: u64,
    position: u64,
    blocks: BTreeMap<u64, Box<[u8]>>,
}

impl Volume {
    /// `size` bytes of zeros.
    pub(super) fn new(size: Bytes) -> Self {
        Self { size: size.0, position: 0, blocks: BTreeMap::new() }
    }

    /// What was written, by byte offset in ascending order; all else is zero. The last block may
    /// reach beyond the end by zeros.
    pub fn blocks(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.blocks.iter().map(|(number, block)| (number.saturating_mul(block_size()), &**block))
    }

    /// Starts reading and writing at the beginning.
    pub(super) fn rewind(&mut self) {
        self.position = 0;
    }

    /// The `length` bytes at `offset`, fewer at the end.
    pub(super) fn read_at(&self, offset: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        let mut done = 0;
        while done < length {
            let count = self.copy_out(offset.saturating_add(as_u64(done)), &mut bytes[done..]);
            if count == 0 {
                break;
            }
            done = done.saturating_add(count);
        }
        bytes.truncate(done);
        bytes
    }

    /// Writes `bytes` at `offset`; what lies beyond the end is dropped.
    pub(super) fn write_at(&mut self, offset: u64, bytes: &[u8]) {
        let mut done = 0;
        while done < bytes.len() {
            let count = self.copy_in(offset.saturating_add(as_u64(done)), &bytes[done..]);
            if count == 0 {
                break;
            }
            done = done.saturating_add(count);
        }
    }

    /// Bytes from `offset` that lie in one block and before the end, at most `wanted`.
    fn span(&self, offset: u64, wanted: usize) -> (u64, usize, usize) {
        let start = usize::try_from(offset % block_size()).unwrap_or_default();
        let left = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        (offset / block_size(), start, wanted.min(BLOCK - start).min(left))
    }

    fn copy_out(&self, offset: u64, bytes: &mut [u8]) -> usize {
        let (number, start, count) = self.span(offset, bytes.len());
        match self.blocks.get(&number) {
            Some(block) => bytes[..count].copy_from_slice(&block[start..start + count]),
            None => bytes[..count].fill(0),
        }
        count
    }

    fn copy_in(&mut self, offset: u64, bytes: &[u8]) -> usize {
        let (number, start, count) = self.span(offset, bytes.len());
        let bytes = &bytes[..count];
        // Zeros where nothing is yet are what is there already.
        if self.blocks.contains_key(&number) || bytes.iter().any(|byte| *byte != 0) {
            let block = self.blocks.entry(number).or_insert_with(|| vec![0; BLOCK].into_boxed_slice());
            block[start..start + count].copy_from_slice(bytes);
        }
        count
    }
}

impl Read for Volume {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.copy_out(self.position, buffer);
        self.position = self.position.saturating_add(as_u64(count));
        Ok(count)
    }
}

impl Write for Volume {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let count = self.copy_in(self.position, buffer);
        self.position = self.position.saturating_add(as_u64(count));
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Volume {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        let target = match position {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => self.size.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

fn as_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn block_size() -> u64 {
    as_u64(BLOCK)
}
