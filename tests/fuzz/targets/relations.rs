//! Dependency fields, and the order of the versions in them.

#![no_main]

use imgbuild::archive::relation;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Err(error) = relation::parse_groups("Depends", text) {
        // The place is shown to people: it must lie in the text.
        assert!(error.position <= text.len(), "{error}");
    }
    let _ = relation::parse_provides(text);
    let _ = relation::parse_list("Conflicts", text);
});
