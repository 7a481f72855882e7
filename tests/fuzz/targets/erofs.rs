//! An EROFS image, its checksum switched off so that what lies behind it is reached.

#![no_main]

use imgbuild::format::erofs;

/// Byte of `feature_compat` with the bit that says the checksum is valid.
const FEATURES: usize = 1024 + 8;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut image = data.to_vec();
    if let Some(features) = image.get_mut(FEATURES) {
        *features &= !1;
    }
    let _ = erofs::read(&bytes::Bytes::from(image));
});
