//! GRUB's environment block.

#![no_main]

use firstboot::slot::environment::Environment;

libfuzzer_sys::fuzz_target!(|block: &[u8]| {
    if let Ok(mut environment) = Environment::parse(block) {
        assert_eq!(Environment::parse(&environment.to_block()), Ok(environment));
        environment.boot();
        assert_eq!(Environment::parse(&environment.to_block()), Ok(environment));
    }
});
