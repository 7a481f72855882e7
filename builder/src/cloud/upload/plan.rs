//! What of an image is sent, in which pieces.

use std::ops::Range;

use crate::units::Bytes;

/// Bytes of a block, the least that is sent or skipped. A snapshot is no smaller for finer ones, and the machine runs
/// `dd` for each run of blocks.
pub(super) const BLOCK: u64 = 64 << 10;
/// Blocks of a chunk, 8 MiB: what is lost at most with a connection. In twice as much zstd finds 0.2 % more.
pub(super) const CHUNK: u64 = 128;
/// Bytes of a part that is compared, and written once more where it differs.
pub(super) const RANGE: u64 = 64 << 20;

/// Whether blocks of zeros are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Zeros {
    /// They read as zeros already.
    Skipped,
    /// Something else may be there.
    Written,
}

/// A piece of the image that is sent at once.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Chunk {
    /// Its blocks, by their numbers on the disk: in order, and apart from each other.
    pub(super) blocks: Vec<Range<u64>>,
    /// Bytes of the image that are done with it: its own, and the hole before.
    pub(super) span: Bytes,
}

/// Cuts blocks of an image, which are in order, into chunks of at most `most` blocks.
pub(super) fn chunks(blocks: &[Range<u64>], size: Bytes, most: u64) -> Vec<Chunk> {
    let (mut chunks, mut runs, mut room, mut begun) = (Vec::new(), Vec::new(), most, 0_u64);
    for range in blocks {
        let mut range = range.clone();
        while range.start < range.end {
            let end = range.end.min(range.start.saturating_add(room));
            room = room.saturating_sub(end.saturating_sub(range.start));
            runs.push(range.start..end);
            range.start = end;
            if room == 0 {
                chunks.push(chunk(std::mem::take(&mut runs), &mut begun, size));
                room = most;
            }
        }
    }
    if !runs.is_empty() {
        chunks.push(chunk(runs, &mut begun, size));
    }
    // The hole at the end is done with the last one.
    if let Some(last) = chunks.last_mut() {
        last.span = Bytes(last.span.0.saturating_add(size.0.saturating_sub(begun)));
    }
    chunks
}

fn chunk(blocks: Vec<Range<u64>>, begun: &mut u64, size: Bytes) -> Chunk {
    let end = blocks.last().map_or(0, |run| run.end).saturating_mul(BLOCK).min(size.0);
    let span = Bytes(end.saturating_sub(*begun));
    *begun = end;
    Chunk { blocks, span }
}

/// The blocks that sections of a file lie in, which are in order: in order too, and apart from each other.
pub(super) fn blocks(sections: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut blocks: Vec<Range<u64>> = Vec::new();
    for section in sections.iter().filter(|section| !section.is_empty()) {
        let (start, end) = (section.start / BLOCK, section.end.div_ceil(BLOCK));
        match blocks.last_mut() {
            Some(last) if start <= last.end => last.end = last.end.max(end),
            _ => blocks.push(start..end),
        }
    }
    blocks
}

/// The blocks of a part that is compared.
pub(super) fn range_blocks(index: u64, size: Bytes) -> Range<u64> {
    let start = index.saturating_mul(RANGE);
    let end = start.saturating_add(RANGE).min(size.0);
    start / BLOCK..end.div_ceil(BLOCK)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cuts_at_so_many_blocks_and_counts_holes() {
        let found = chunks(&[1..3, 5..11], Bytes(20 * BLOCK - 7), 4);
        let spans = [7 * BLOCK, 13 * BLOCK - 7];
        let expected = [[1..3, 5..7].to_vec(), std::iter::once(7..11).collect()];
        let expected: Vec<_> = (expected.into_iter().zip(spans))
            .map(|(blocks, span)| Chunk { blocks, span: Bytes(span) })
            .collect();
        assert_eq!(found, expected);
        assert!(chunks(&[], Bytes(BLOCK), 4).is_empty());
        // The last block may be a part of one.
        let [only] = &chunks(&blocks(std::slice::from_ref(&(0..7))), Bytes(7), 4)[..] else {
            panic!("one chunk")
        };
        assert_eq!((&only.blocks[0], only.blocks.len(), only.span), (&(0..1), 1, Bytes(7)));
    }

    #[test]
    fn blocks_are_those_that_a_section_touches() {
        let sections = [
            0..1,
            BLOCK - 1..BLOCK,
            2 * BLOCK..2 * BLOCK,
            3 * BLOCK - 1..3 * BLOCK + 1,
            9 * BLOCK..9 * BLOCK + 7,
        ];
        assert_eq!(blocks(&sections), [0..1, 2..4, 9..10]);
        assert_eq!(range_blocks(1, Bytes(RANGE + 1)), RANGE / BLOCK..RANGE / BLOCK + 1);
    }

    proptest! {
        #[test]
        fn every_block_is_in_one_chunk(
            gaps in prop::collection::vec((1_u64..50, 1_u64..50), 0..40), most in 1_u64..60, tail in 0_u64..1000,
        ) {
            let mut at = 0;
            let ranges: Vec<_> = gaps.iter().map(|(gap, length)| {
                let start = at + gap;
                at = start + length;
                start..at
            }).collect();
            let size = Bytes(at * BLOCK + tail);
            let found = chunks(&ranges, size, most);
            let numbers = |ranges: &[Range<u64>]| ranges.iter().cloned().flatten().collect::<Vec<_>>();
            let sent: Vec<_> = found.iter().flat_map(|chunk| numbers(&chunk.blocks)).collect();
            prop_assert_eq!(sent, numbers(&ranges));
            for chunk in &found {
                prop_assert!(u64::try_from(numbers(&chunk.blocks).len()).unwrap() <= most);
            }
            let total: u64 = found.iter().map(|chunk| chunk.span.0).sum();
            prop_assert_eq!(total, if found.is_empty() { 0 } else { size.0 });
        }
    }
}
