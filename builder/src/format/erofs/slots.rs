//! Packs inodes and the data that follow them into metadata blocks.

use super::layout::{BLOCK, SLOT, SUPER_OFFSET, SUPER_SIZE};

/// Slots per block.
const PER_BLOCK: usize = BLOCK / SLOT;
/// Slots of the first block that the super block takes.
const RESERVED: usize = (SUPER_OFFSET + SUPER_SIZE) / SLOT;
/// Blocks kept open. Small inodes fill the holes that long tails leave behind; a hole is forgotten
/// once this many emptier ones came after it, so that inodes of one directory stay near each other.
const WINDOW: usize = 64;

/// Gives out nids. No inode crosses a block boundary, as the kernel demands; the map of a large
/// compressed one goes on in the next block.
#[derive(Debug)]
pub(super) struct Slots {
    /// Blocks with room, by block number.
    open: Vec<Open>,
    blocks: usize,
}

#[derive(Debug)]
struct Open {
    block: usize,
    used: usize,
}

impl Slots {
    /// `behind` bytes follow the super block.
    pub(super) fn new(behind: usize) -> Self {
        Self { open: vec![Open { block: 0, used: RESERVED + behind.div_ceil(SLOT) }], blocks: 1 }
    }

    /// Number of blocks begun.
    pub(super) const fn blocks(&self) -> usize {
        self.blocks
    }

    /// Places `length` bytes, at least one, and returns their slot, which is the nid: in the fullest
    /// open block that has room, else from the start of a new one. Only what is longer than a block
    /// goes on in the next.
    pub(super) fn place(&mut self, length: usize) -> usize {
        let slots = length.div_ceil(SLOT);
        if slots > PER_BLOCK {
            let nid = self.blocks * PER_BLOCK;
            self.blocks += slots / PER_BLOCK;
            let used = slots % PER_BLOCK;
            if used > 0 {
                let index = self.begin_block();
                self.open[index].used = used;
            }
            return nid;
        }
        let fullest = self
            .open
            .iter()
            .enumerate()
            .filter(|(_, open)| open.used + slots <= PER_BLOCK)
            .max_by_key(|(_, open)| open.used)
            .map(|(index, _)| index);
        let index = fullest.unwrap_or_else(|| self.begin_block());
        let open = &mut self.open[index];
        let nid = open.block * PER_BLOCK + open.used;
        open.used += slots;
        if open.used == PER_BLOCK {
            self.open.remove(index);
        }
        nid
    }

    fn begin_block(&mut self) -> usize {
        if self.open.len() == WINDOW
            && let Some((fullest, _)) = self.open.iter().enumerate().max_by_key(|(_, open)| open.used)
        {
            self.open.remove(fullest);
        }
        self.open.push(Open { block: self.blocks, used: 0 });
        self.blocks += 1;
        self.open.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begins_behind_the_super_block() {
        assert_eq!(Slots::new(0).place(32), 36);
    }

    #[test]
    fn begins_behind_the_record_of_an_algorithm() {
        assert_eq!(Slots::new(16).place(32), 37);
    }

    #[test]
    fn goes_on_in_the_next_block_with_what_is_longer_than_one() {
        let mut slots = Slots::new(0);
        assert_eq!(slots.place(2 * BLOCK + 100), 128);
        assert_eq!(slots.place(4000), 384 + 128, "3 blocks on, for 4 slots of the third are taken");
        assert_eq!(slots.place(3 * BLOCK), 640);
        assert_eq!(slots.place(1000), 36, "in the first block, which is the fuller");
        assert_eq!(slots.blocks(), 8);
    }

    #[test]
    fn fills_the_hole_that_a_long_tail_left() {
        let mut slots = Slots::new(0);
        assert_eq!(slots.place(4000), 128, "no room in the first block");
        assert_eq!(slots.place(4096), 256, "the third block is full at once");
        assert_eq!(slots.place(96), 128 + 125, "the second block has 96 bytes left");
        assert_eq!(slots.place(32), 36);
        assert_eq!(slots.blocks(), 3);
    }

    #[test]
    fn never_lets_an_inode_cross_a_block() {
        let mut slots = Slots::new(0);
        for length in (1..=BLOCK).chain((1..=BLOCK).rev().step_by(7)) {
            let nid = slots.place(length);
            assert!(nid % PER_BLOCK * SLOT + length <= BLOCK, "{length} bytes at nid {nid}");
        }
    }
}
