//! A Packages index: deb822 stanzas and what they mean.

#![no_main]

use imgbuild::archive::{deb822, index};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let stanzas = deb822::stanzas(text).filter_map(Result::ok);
    let fields: usize = stanzas.map(|stanza| stanza.fields().count()).sum();
    assert!(fields <= text.len());
    let origin = index::Origin { suite: "trixie".to_owned(), archive: "debian".to_owned() };
    let _ = index::parse(text, &origin);
});
