//! GRUB's files: two lengths of 16 bits, `kernel.img`, `fat.mod`, and the rest is `moddep.lst`.

#![no_main]

use std::collections::BTreeMap;

use imgbuild::format::grub::{self, Contents, Platform};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((lengths, rest)) = data.split_at_checked(4) else { return };
    let length = |at: usize| usize::from(u16::from_le_bytes([lengths[at], lengths[at + 1]]));
    let Some((kernel, rest)) = rest.split_at_checked(length(0)) else { return };
    let Some((module, list)) = rest.split_at_checked(length(2)) else { return };
    let platform = Platform {
        boot: kernel,
        disk_boot: module,
        decompressor: &[0; 16],
        kernel,
        dependencies: &String::from_utf8_lossy(list),
        modules: BTreeMap::from([("fat", module)]),
    };
    let contents = Contents { modules: &["fat"], config: Some("echo"), prefix: "(,gpt2)/grub" };
    if let Ok(payload) = grub::payload(&platform, &contents) {
        assert!(payload.windows(4).any(|window| window == b"mimg"));
        // A kernel is at most 380 KiB, and all else is given.
        assert!(payload.len() < (1 << 20));
    }
});
