//! The core: a decompressor, and the compressed payload behind it.

use std::io::Write as _;

use liblzma::stream::{Filters, LzmaOptions, Stream};
use liblzma::write::XzEncoder;

use super::{Contents, GrubError, Platform, kernel, modules};
use crate::units::Bytes;

/// Offsets in `lzma_decompress.img` (`include/grub/offsets.h`).
const COMPRESSED_SIZE: usize = 0x08;
const UNCOMPRESSED_SIZE: usize = 0x0c;
/// It lies between where `diskboot.img` loads the core to and where the kernel goes.
const LARGEST_DECOMPRESSOR: Bytes = Bytes(0x9000 - 0x8200);
/// The core is loaded below this address, for the kernel's start lies under it too.
const LARGEST_CORE: Bytes = Bytes(0x7_8000 - 0x9000);
/// What the decompressor was compiled for; these are no fields of the stream.
const LITERAL_CONTEXT_BITS: u32 = 3;
const LITERAL_POSITION_BITS: u32 = 0;
const POSITION_BITS: u32 = 2;
/// The output in memory is the dictionary, so it may be as long as the payload: 1 MiB holds twice what we have.
const DICTIONARY: u32 = 1 << 20;
/// liblzma's strongest settings; the core is some 100 KiB, so this costs nothing.
const PRESET: u32 = 9;

/// What GRUB unpacks to memory: its kernel and its modules.
pub fn payload(platform: &Platform<'_>, contents: &Contents<'_>) -> Result<Vec<u8>, GrubError> {
    let mut payload = kernel::lay_out(platform.kernel)?;
    payload.append(&mut modules::area(platform, contents)?);
    Ok(payload)
}

/// The core without `diskboot.img`; it may lie anywhere below 2^64 sectors.
pub fn core(platform: &Platform<'_>, contents: &Contents<'_>) -> Result<Vec<u8>, GrubError> {
    let payload = payload(platform, contents)?;
    let compressed = compress(&payload)?;
    let mut core = platform.decompressor.to_vec();
    let size = Bytes::of(&core);
    if size > LARGEST_DECOMPRESSOR {
        let what = "`lzma_decompress.img`";
        return Err(GrubError::TooLarge { what, size, limit: LARGEST_DECOMPRESSOR });
    }
    for (at, content) in [(COMPRESSED_SIZE, &compressed), (UNCOMPRESSED_SIZE, &payload)] {
        let size = Bytes::of(content);
        let too_large = || GrubError::TooLarge { what: "GRUB's core", size, limit: LARGEST_CORE };
        let size = u32::try_from(size.0).map_err(|_| too_large())?;
        put(&mut core, at, size)?;
    }
    core.extend(compressed);
    let size = Bytes::of(&core);
    if size > LARGEST_CORE {
        return Err(GrubError::TooLarge { what: "GRUB's core", size, limit: LARGEST_CORE });
    }
    Ok(core)
}

fn put(decompressor: &mut [u8], at: usize, value: u32) -> Result<(), GrubError> {
    let found = decompressor.len();
    let field = decompressor.get_mut(at..).and_then(<[u8]>::first_chunk_mut);
    let missing = GrubError::Length { file: "lzma_decompress.img", found, expected: "16 at least" };
    *field.ok_or(missing)? = value.to_le_bytes();
    Ok(())
}

/// A raw LZMA stream; it ends with a marker, which GRUB does not read, for it knows the size.
fn compress(payload: &[u8]) -> Result<Vec<u8>, GrubError> {
    let failed = |fault: liblzma::stream::Error| GrubError::Compress(fault.into());
    let mut options = LzmaOptions::new_preset(PRESET).map_err(failed)?;
    options
        .dict_size(DICTIONARY)
        .literal_context_bits(LITERAL_CONTEXT_BITS)
        .literal_position_bits(LITERAL_POSITION_BITS)
        .position_bits(POSITION_BITS);
    let stream = Stream::new_raw_encoder(Filters::new().lzma1(&options)).map_err(failed)?;
    let mut encoder = XzEncoder::new_stream(Vec::new(), stream);
    encoder.write_all(payload)?;
    Ok(encoder.finish()?)
}
