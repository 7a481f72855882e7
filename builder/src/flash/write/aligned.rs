//! Memory that the kernel hands to a disk as it is.

use super::CHUNK;
use crate::flash::compose::ALIGNMENT;

/// Memory that direct I/O takes: it begins at a multiple of [`ALIGNMENT`].
pub(super) struct Aligned {
    memory: Vec<u8>,
    start: usize,
}

impl Aligned {
    pub(super) fn new() -> Self {
        let alignment = usize::try_from(ALIGNMENT).unwrap_or(0);
        let memory = vec![0; CHUNK + alignment];
        let start = memory.as_ptr().align_offset(alignment);
        Self { memory, start }
    }

    pub(super) fn of(&mut self, length: usize) -> &mut [u8] {
        &mut self.memory[self.start..][..length]
    }

    pub(super) fn first(&mut self, length: u64) -> &mut [u8] {
        self.of(usize::try_from(length).unwrap_or(CHUNK))
    }

    /// Begins with `content`; zeros up to the alignment follow.
    pub(super) fn fill(&mut self, content: &[u8]) {
        let block = self.first(ALIGNMENT);
        block.fill(0);
        block[..content.len()].copy_from_slice(content);
    }
}
