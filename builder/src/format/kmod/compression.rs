//! Unpacks module files by the ending of their name.

use std::borrow::Cow;
use std::io::{self, Read};

use super::KmodError;
use crate::units::Bytes;
use crate::xz;

/// No module comes near this; what is larger is a bomb.
const LIMIT: Bytes = Bytes(256 << 20);

/// Unpacks the module file `bytes` as the ending of `path` says; a plain `.ko` is only borrowed.
pub fn decompress<'a>(path: &str, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>, KmodError> {
    let failed = |source| KmodError::Compression { path: path.to_owned(), source };
    let mut unpacked = Vec::with_capacity(bytes.len().saturating_mul(4));
    let read = match path.rsplit_once(".ko").map(|(_, ending)| ending) {
        Some("") => return Ok(Cow::Borrowed(bytes)),
        Some(".xz") => xz::decoder(bytes).and_then(|decoder| read_limited(decoder, &mut unpacked)),
        Some(".gz") => read_limited(flate2::read::MultiGzDecoder::new(bytes), &mut unpacked),
        Some(".zst") => {
            zstd::Decoder::with_buffer(bytes).and_then(|decoder| read_limited(decoder, &mut unpacked))
        }
        _ => return Err(KmodError::Name { path: path.to_owned() }),
    };
    read.map_err(failed)?;
    if Bytes::of(&unpacked) > LIMIT {
        return Err(KmodError::Size { path: path.to_owned(), limit: LIMIT });
    }
    Ok(Cow::Owned(unpacked))
}

/// Reads one byte more than the limit at most, so that the caller sees when it is passed.
fn read_limited(reader: impl Read, unpacked: &mut Vec<u8>) -> io::Result<usize> {
    reader.take(LIMIT.0.saturating_add(1)).read_to_end(unpacked)
}
