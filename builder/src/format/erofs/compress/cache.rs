//! Extents kept from earlier images.

use bytes::Bytes;

use super::segment::Ending;
use super::{Extent, Packed, Stored};
use crate::derived::DerivedCache;
use crate::format::erofs::Compression;
use crate::units::Sha256;

/// Shorter segments are compressed faster than a file is found.
const LENGTH_MIN: usize = 32 << 10;
/// Part of every key, changed with anything that changes what is kept for one.
const FORM: &[u8] = b"extents 2";
/// Length of a compressed form that says that there is none.
const PLAIN: u32 = u32::MAX;

/// The extents of `segment` from the cache, else from `pack`.
pub(super) fn through(
    cache: &dyn DerivedCache,
    compression: Compression,
    segment: &[u8],
    ending: Option<Ending>,
    pack: impl FnOnce() -> Packed,
) -> Packed {
    if segment.len() < LENGTH_MIN {
        return pack();
    }
    let key = key(compression, segment, ending);
    if let Some(packed) = cache.find(key).and_then(|entry| decode(&entry, segment.len())) {
        return packed;
    }
    let packed = pack();
    cache.keep(key, &encode(&packed));
    packed
}

fn key(compression: Compression, segment: &[u8], ending: Option<Ending>) -> Sha256 {
    let parameters = format!("{compression:?} {ending:?}");
    let libraries = [lzzzz::version_number(), zstd::zstd_safe::version_number()];
    Sha256::of_all(&[FORM, parameters.as_bytes(), format!("{libraries:?}").as_bytes(), segment])
}

/// An entry: whether the last extent is inline, then for each extent its length and that of
/// its compressed form, and that form.
fn encode(packed: &Packed) -> Vec<u8> {
    let mut entry = vec![u8::from(packed.is_inline)];
    let number = |length: usize| u32::try_from(length).expect("extents are parts of segments").to_le_bytes();
    for Extent { length, stored } in &packed.extents {
        entry.extend_from_slice(&number(*length));
        match stored {
            Stored::Plain => entry.extend_from_slice(&PLAIN.to_le_bytes()),
            Stored::Packed(bytes) => {
                entry.extend_from_slice(&number(bytes.len()));
                entry.extend_from_slice(bytes);
            }
        }
    }
    entry
}

/// `None` for what is not an entry for a segment of `length` bytes.
fn decode(entry: &Bytes, length: usize) -> Option<Packed> {
    let mut packed = Packed { extents: Vec::new(), is_inline: *entry.first()? == 1 };
    let mut rest = entry.slice(1..);
    while !rest.is_empty() {
        let number = |rest: &mut Bytes| {
            let number = u32::from_le_bytes(*rest.first_chunk()?);
            *rest = rest.slice(4..);
            Some(number)
        };
        let length = usize::try_from(number(&mut rest)?).ok()?;
        let stored = match number(&mut rest)? {
            PLAIN => Stored::Plain,
            bytes => {
                let bytes = usize::try_from(bytes).ok().filter(|bytes| *bytes <= rest.len())?;
                Stored::Packed(rest.split_to(bytes))
            }
        };
        packed.extents.push(Extent { length, stored });
    }
    (packed.length() == length).then_some(packed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::derived::Memory;
    use crate::format::erofs::Algorithm;

    fn packed() -> Packed {
        let packed = |length, bytes: &'static [u8]| Extent {
            length,
            stored: Stored::Packed(Bytes::from_static(bytes)),
        };
        let plain = Extent { length: 65_536, stored: Stored::Plain };
        Packed { extents: vec![packed(30_000, b"short"), plain, packed(100, b"tail")], is_inline: true }
    }

    static SEGMENT: [u8; 95_636] = [3; 95_636];

    /// What the cache answers for `SEGMENT`; `None` if it was compressed.
    fn answer(cache: &Memory, level: u8, ending: Option<Ending>) -> Option<Packed> {
        let compression = Compression::from(Algorithm::Lz4Hc).with_level(level).unwrap();
        let mut is_asked = false;
        let found = through(cache, compression, &SEGMENT, ending, || {
            is_asked = true;
            packed()
        });
        (!is_asked).then_some(found)
    }

    #[test]
    fn answers_the_same_question_only() {
        let cache = Memory::default();
        let ending = Some(Ending { inline_room: 2000 });
        assert_eq!(answer(&cache, 9, ending), None);
        assert_eq!(answer(&cache, 9, ending), Some(packed()));
        assert_eq!(answer(&cache, 8, ending), None);
        assert_eq!(answer(&cache, 9, None), None);
        assert_eq!(answer(&cache, 9, Some(Ending { inline_room: 1999 })), None);
    }

    #[test]
    fn compresses_again_what_is_no_entry_for_the_segment() {
        let good = encode(&packed());
        for length in 0..good.len() {
            assert_eq!(decode(&good[..length].to_vec().into(), SEGMENT.len()), None, "{length}");
        }
        assert_eq!(decode(&good.into(), SEGMENT.len() - 1), None);
    }
}
