//! A PE file, read and used as a UKI's stub.

#![no_main]

use imgbuild::format::uki::{self, Uki};

libfuzzer_sys::fuzz_target!(|stub: &[u8]| {
    if let Ok(sections) = uki::sections(stub) {
        for section in sections {
            let _ = section.content(stub);
        }
    }
    let command_line = Some("console=ttyS0");
    let parts =
        Uki { stub, command_line, ..Uki::default() };
    if let Ok(image) = uki::assemble(&parts) {
        // What was made is read back, with the section that was added.
        let sections = uki::sections(&image).unwrap();
        assert!(sections.iter().any(|section| section.name == ".cmdline"));
    }
});
