//! Marks on a stick: what has less memory than it says keeps not all of them.

use std::io;
use std::ops::Range;

use firstboot::random::random;

use crate::flash::compose::ALIGNMENT;
use crate::units::Sha256;

/// Marks on a stick.
const MARKS: u64 = 64;

/// What has to be found where it was put.
pub(super) struct Mark {
    /// Where, a multiple of [`ALIGNMENT`].
    pub(super) at: u64,
    /// What: no other place, and no other writing, has the same.
    pub(super) content: [u8; 32],
}

/// From the last byte that is written before the end of the stick to that end; none where there is no room.
pub(super) fn between(sections: &[Range<u64>]) -> io::Result<Vec<Mark>> {
    let mut from_end = sections.iter().rev();
    let end = from_end.next().map_or(0, |last| last.start);
    let start = from_end.next().map_or(0, |range| range.end).next_multiple_of(ALIGNMENT);
    let room = end.saturating_sub(start) / ALIGNMENT;
    let salt: [u8; 16] = random().map_err(io::Error::other)?;
    let count = MARKS.min(room);
    let last = count.saturating_sub(1).max(1);
    let mark = |index: u64| {
        let at = start + (room - 1) * index / last * ALIGNMENT;
        Mark { at, content: Sha256::of_all(&[&salt, &at.to_le_bytes()]).0 }
    };
    Ok((0..count).map(mark).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_lie_between_the_last_two_sections_and_are_all_different() {
        let cases: [(&[Range<u64>], u64); 6] = [
            (&[0..4096, 8192..12288], 1),
            (&[0..4096, 4096..8192], 0),
            (std::slice::from_ref(&(0..4096)), 0),
            (&[], 0),
            (&[0..4096, 12288..20480], 2),
            (&[0..1 << 20, 2 << 20..3 << 20, (1 << 40) + 4096..(1 << 40) + 4608], 64),
        ];
        for (sections, count) in cases {
            let marks = between(sections).unwrap();
            assert_eq!(u64::try_from(marks.len()).unwrap(), count, "{sections:?}");
            let Some([before, last]) = sections.last_chunk() else { continue };
            for pair in marks.windows(2) {
                assert!(pair[0].at < pair[1].at && pair[0].content != pair[1].content, "{sections:?}");
            }
            for mark in marks {
                let is_within = mark.at >= before.end && mark.at + ALIGNMENT <= last.start;
                assert!(is_within && mark.at.is_multiple_of(ALIGNMENT), "{sections:?}: {}", mark.at);
            }
        }
    }
}
