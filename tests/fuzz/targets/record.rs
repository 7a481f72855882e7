//! A node record.

#![no_main]

use firstboot::record;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = record::parse(data);
});
