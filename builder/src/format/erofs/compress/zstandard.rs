//! Zstandard frames of a given size, which the library does not offer: found by trying.

use zstd::bulk::Compressor;

use super::segment::{Front, PROBE};

/// Lengths tried for one cluster. The first guess is what the last cluster held; another one or two
/// bring it close to the end of a block.
const TRIES: usize = 4;
/// Room left that another try would not be worth.
const SLACK: usize = 256;
/// A shorter length than by one in this many is no gain.
const GAIN_MIN: usize = 64;

/// Compresses frames at one level.
pub(super) struct Zstandard {
    /// `None` where the library has no memory for it: then nothing is compressed.
    compressor: Option<Compressor<'static>>,
    buffer: Vec<u8>,
    ratio: Ratio,
}

/// Bytes of data and what they became.
#[derive(Clone, Copy, Debug)]
struct Ratio {
    data: usize,
    packed: usize,
}

impl Ratio {
    /// How many bytes are likely to fill `room`.
    fn fitting(self, room: usize) -> usize {
        room.saturating_mul(self.data) / self.packed.max(1)
    }
}

impl Zstandard {
    pub(super) fn new(level: i32) -> Self {
        let compressor = Compressor::new(level).ok();
        Self { compressor, buffer: Vec::new(), ratio: Ratio { data: 1, packed: 1 } }
    }

    pub(super) fn is_futile(&mut self, data: &[u8]) -> bool {
        // So little is not worth compressing twice.
        if data.len() < PROBE {
            self.ratio = Ratio { data: data.len(), packed: 1 };
            return false;
        }
        let packed = self.whole(data, data.len() - data.len() / GAIN_MIN);
        self.ratio = Ratio { data: data.len(), packed: packed.as_ref().map_or(data.len(), Vec::len) };
        packed.is_none()
    }

    /// Starts from what `is_futile` found, so that the result depends on `data` alone.
    pub(super) fn fill(&mut self, data: &[u8], room: usize) -> Option<Front> {
        if data.len() <= room {
            return Some(Front { length: data.len(), packed: self.whole(data, room)? });
        }
        self.search(data, room, self.ratio)
    }

    pub(super) fn shorten(&mut self, data: &[u8], packed: usize, room: usize) -> Option<Front> {
        self.search(data, room, Ratio { data: data.len(), packed }).filter(|front| front.length < data.len())
    }

    fn search(&mut self, data: &[u8], room: usize, ratio: Ratio) -> Option<Front> {
        let mut best: Option<Front> = None;
        // The shortest that is known not to fit.
        let mut too_long = data.len() + 1;
        let mut length = ratio.fitting(room);
        for _ in 0..TRIES {
            let least = best.as_ref().map_or(1, |best| best.length + 1);
            if least >= too_long {
                break;
            }
            length = length.clamp(least, too_long - 1);
            // More room than there is, so that a frame somewhat too long still tells the ratio.
            let (data, more) = (data.get(..length)?, room + room / 4);
            match self.whole(data, more) {
                Some(packed) if packed.len() <= room => {
                    let left = room - packed.len();
                    // Aims a little short of the end: what is too long is lost.
                    let next =
                        Ratio { data: length, packed: packed.len() }.fitting(room - SLACK.min(left) / 2);
                    best = Some(Front { length, packed });
                    if left <= SLACK {
                        break;
                    }
                    length = next;
                }
                Some(packed) => {
                    too_long = length;
                    let ratio = Ratio { data: length, packed: packed.len() };
                    length = ratio.fitting(room.saturating_sub(SLACK / 2));
                }
                None => {
                    too_long = length;
                    length = least.midpoint(length);
                }
            }
        }
        best
    }

    pub(super) fn whole(&mut self, data: &[u8], room: usize) -> Option<Vec<u8>> {
        self.buffer.resize(self.buffer.len().max(room), 0);
        let compressor = self.compressor.as_mut()?;
        let packed = compressor.compress_to_buffer(data, &mut self.buffer[..room]).ok()?;
        Some(self.buffer[..packed].to_vec())
    }
}
