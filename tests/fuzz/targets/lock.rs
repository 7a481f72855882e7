//! A lock file: what is read is written the same way again.

#![no_main]

use imgbuild::archive::lock::Lock;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(lock) = Lock::parse(text) {
        let written = lock.to_text();
        assert_eq!(Lock::parse(&written).expect("our own text").to_text(), written);
    }
});
