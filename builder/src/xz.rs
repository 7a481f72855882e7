//! Unpacking xz in bounded memory.

use std::io::{self, BufRead};

use liblzma::bufread::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};

use crate::units::Bytes;

/// Memory a decoder may take: the 64 MiB dictionary of preset 9 and its tables. A header of few bytes can ask for 4 GiB.
const MEMORY: Bytes = Bytes(96 << 20);

/// Unpacks one or more streams of the .xz format from `reader`.
pub fn decoder<R: BufRead>(reader: R) -> io::Result<XzDecoder<R>> {
    Ok(XzDecoder::new_stream(reader, Stream::new_stream_decoder(MEMORY.0, CONCATENATED)?))
}
