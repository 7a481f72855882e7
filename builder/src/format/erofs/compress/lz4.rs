//! LZ4 blocks, made by liblz4's thorough compressor.

use super::segment::Front;

/// `MFLIMIT`: the last match of a block starts at least this far before its end.
const LITERALS_MIN: usize = 12;
/// Length in a token's half that says that more of it follows.
const LENGTH_MORE: usize = 15;
/// A shorter length than by one in this many is no gain.
const GAIN_MIN: usize = 64;

/// Compresses blocks at one level.
pub(super) struct Lz4 {
    level: i32,
    buffer: Vec<u8>,
}

impl Lz4 {
    pub(super) const fn new(level: i32) -> Self {
        Self { level, buffer: Vec::new() }
    }

    /// By the fast compressor, which takes a twentieth of the time: what it can do nothing with, such
    /// as kernel modules in xz, the thorough one can't either.
    pub(super) fn is_futile(&mut self, data: &[u8]) -> bool {
        let room = data.len() - data.len() / GAIN_MIN;
        self.buffer.resize(self.buffer.len().max(room), 0);
        // Without room for the least gain, a small file is for the thorough one to judge.
        data.len() >= GAIN_MIN && lzzzz::lz4::compress(data, &mut self.buffer[..room], 1).is_err()
    }

    pub(super) fn fill(&mut self, data: &[u8], room: usize) -> Option<Front> {
        // Where all of it fits anyway, the other entry point spares clearing 256 KiB of its state.
        if lzzzz::lz4::max_compressed_size(data.len()) <= room {
            return Some(Front { length: data.len(), packed: self.whole(data, room)? });
        }
        self.buffer.resize(self.buffer.len().max(room), 0);
        let filled = lzzzz::lz4_hc::compress_fill(data, &mut self.buffer[..room], self.level);
        let (length, packed) = filled.ok().filter(|(length, _)| *length > 0)?;
        Some(Front { length, packed: self.buffer[..packed].to_vec() })
    }

    pub(super) fn whole(&mut self, data: &[u8], room: usize) -> Option<Vec<u8>> {
        self.buffer.resize(self.buffer.len().max(room), 0);
        let packed = lzzzz::lz4_hc::compress(data, &mut self.buffer[..room], self.level).ok()?;
        (packed > 0).then(|| self.buffer[..packed].to_vec())
    }

    /// Ends the block `packed`, which holds `data`, with literals before the byte `room`. Much faster
    /// than compressing again, and it keeps every match found.
    pub(super) fn shorten(data: &[u8], packed: &[u8], room: usize) -> Option<Front> {
        let boundary = Boundary::last(packed, |boundary| boundary.literals(room) >= LITERALS_MIN)?;
        let literals = boundary.literals(room).min(data.len().checked_sub(boundary.data)?);
        let length = boundary.data + literals;
        let mut shorter = packed.get(..boundary.packed)?.to_vec();
        let token = u8::try_from(literals.min(LENGTH_MORE)).ok()?;
        shorter.push(token << 4);
        if let Some(mut more) = literals.checked_sub(LENGTH_MORE) {
            while let Some(less) = more.checked_sub(255) {
                shorter.push(255);
                more = less;
            }
            shorter.push(u8::try_from(more).ok()?);
        }
        shorter.extend_from_slice(data.get(boundary.data..length)?);
        (literals >= LITERALS_MIN && length < data.len()).then_some(Front { length, packed: shorter })
    }
}

/// Where a sequence begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Boundary {
    /// Offset in the block.
    packed: usize,
    /// Offset in what the block holds.
    data: usize,
}

impl Boundary {
    /// The last boundary of a block that `fits`, if the first does; all before it do too.
    fn last(packed: &[u8], fits: impl Fn(Self) -> bool) -> Option<Self> {
        let mut last = None;
        let mut boundary = Self { packed: 0, data: 0 };
        while fits(boundary) {
            last = Some(boundary);
            match boundary.next(packed) {
                Some(next) => boundary = next,
                None => break,
            }
        }
        last
    }

    /// Behind the literals and the match that begin here; `None` if the block ends with the literals.
    fn next(self, packed: &[u8]) -> Option<Self> {
        let mut position = self.packed;
        let token = *packed.get(position)?;
        position += 1;
        let literals = length(packed, &mut position, token >> 4)?;
        position += literals + 2;
        let matched = length(packed, &mut position, token & 0x0F)? + 4;
        (position < packed.len()).then_some(Self { packed: position, data: self.data + literals + matched })
    }

    /// How many literals, with their token and length, fit between here and `end`.
    fn literals(self, end: usize) -> usize {
        let room = end.saturating_sub(self.packed + 1);
        if room < LENGTH_MORE {
            return room;
        }
        // Each further byte of length stands for up to 255 literals.
        let more = (room - LENGTH_MORE) / 256 + 1;
        room - more
    }
}

/// A length whose first part is `half`.
fn length(packed: &[u8], position: &mut usize, half: u8) -> Option<usize> {
    let mut length = usize::from(half);
    if length == LENGTH_MORE {
        loop {
            let byte = *packed.get(*position)?;
            *position += 1;
            length += usize::from(byte);
            if byte < 255 {
                break;
            }
        }
    }
    Some(length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::units::Sha256;

    fn unpack(packed: &[u8], length: usize) -> Vec<u8> {
        let mut data = vec![0; length];
        assert_eq!(lzzzz::lz4::decompress(packed, &mut data).ok(), Some(length));
        data
    }

    /// Words from a small set, with numbers between them: compresses, but not to nothing.
    fn text() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(("[a-d]{1,12}", any::<[u8; 3]>()), 500..4000).prop_map(|words| {
            words.into_iter().flat_map(|(word, number)| [word.as_bytes(), &number].concat()).collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn shortens_to_any_room(data in text(), room in 14..3000_usize, level in 3..12) {
            let packed = Lz4::new(level).whole(&data, 1 << 20).unwrap();
            match Lz4::shorten(&data, &packed, room) {
                Some(front) => {
                    prop_assert!(front.packed.len() <= room);
                    // A sequence of these texts is shorter than that.
                    prop_assert!(front.packed.len() + 64 >= room.min(packed.len()));
                    prop_assert!(unpack(&front.packed, front.length) == data[..front.length]);
                }
                None => prop_assert!(room >= packed.len()),
            }
        }

        #[test]
        fn fills_a_room_to_the_end(data in text(), room in 100..2000_usize) {
            let front = Lz4::new(9).fill(&data, room).unwrap();
            prop_assert!(unpack(&front.packed, front.length) == data[..front.length]);
            prop_assert!(front.packed.len() <= room && front.packed.len() + 16 >= room);
        }
    }

    #[test]
    fn sees_at_a_glance_that_noise_is_futile() {
        let noise: Vec<u8> = (0..2000_u32).flat_map(|n| Sha256::of(&n.to_le_bytes()).0).collect();
        assert!(Lz4::new(9).is_futile(&noise));
        assert!(!Lz4::new(9).is_futile(&vec![7; 65_536]));
    }
}
