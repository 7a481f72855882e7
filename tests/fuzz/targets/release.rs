//! A signed InRelease file: nothing that we ship keys for may come out of an altered one.

#![no_main]

use std::sync::LazyLock;

use imgbuild::archive::keyring::Keyring;
use imgbuild::archive::release::Release;
use imgbuild::archive::signature;
use imgbuild::units::Timestamp;

static KEYRING: LazyLock<Keyring> = LazyLock::new(|| Keyring::debian().expect("the shipped keys are good"));

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    assert!(signature::verify(data, &KEYRING, Timestamp(1_780_000_000)).is_err());
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = Release::parse(text);
    }
});
