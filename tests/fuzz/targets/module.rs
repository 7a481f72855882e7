//! A kernel module: ELF, plain and packed.

#![no_main]

use imgbuild::format::kmod::read_module;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    for path in ["kernel/a-b.ko", "kernel/a-b.ko.xz", "kernel/a-b.ko.zst", "kernel/a-b.ko.gz"] {
        if let Ok(module) = read_module(path, data) {
            assert_eq!((module.info.name.as_str(), module.unpacked_path()), ("a_b", "kernel/a-b.ko"));
        }
    }
});
