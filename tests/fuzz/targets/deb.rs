//! A .deb: ar, tar and the compressions in it.

#![no_main]

use std::io::Cursor;

use imgbuild::rootfs::deb::Deb;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(deb) = Deb::parse(Cursor::new(data), &|_| true) {
        for (path, _) in &deb.entries {
            assert!(!path.starts_with('/') && path.split('/').all(|name| name != ".."), "{path}");
        }
    }
});
