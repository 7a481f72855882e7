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

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    /// `hello`, by `xz --check=crc32`; the dictionary's size is left out, as is what depends on it.
    const HEAD: [u8; 16] = [0xfd, b'7', b'z', b'X', b'Z', 0, 0, 1, 0x69, 0x22, 0xde, 0x36, 2, 0, 0x21, 1];
    const REST: &[u8] =
        b"\x01\0\x04hello\0\0\0\0\x86\xa6\x10\x36\0\x01\x19\x05\xbc\xe8\xec\xcb\x90\x42\x99\x0d\
        \x01\0\0\0\0\x01YZ";

    fn unpacked(dictionary: &[u8]) -> io::Result<String> {
        let packed = [&HEAD, dictionary, REST].concat();
        let mut text = String::new();
        decoder(packed.as_slice())?.read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn unpacks_what_the_strongest_preset_makes_and_nothing_that_takes_more_memory() {
        // The .xz format, 5.3.1: the size of the dictionary by a number, here 64 MiB and 4 GiB, padding, CRC32.
        assert_eq!(unpacked(&[28, 0, 0, 0, 0x10, 0xcf, 0x58, 0xcc]).unwrap(), "hello");
        let fault = unpacked(&[40, 0, 0, 0, 0xe6, 0xa0, 0x11, 0xb3]).unwrap_err();
        assert_eq!(fault.to_string(), "memory limit reached");
    }
}
