//! The long matrices of `make soak [SUITE= N= SEED=]`; a suite is a test, chosen by a part of its name.
//!
//! `N` is how many cases a suite draws (each says its default), `SEED` which (default 1): further seeds are further cases.

#[cfg(test)]
mod soak {
    mod bios;
    mod bits;
    mod engine;
    mod faults;
    mod power;
    mod slots;
    mod stagings;
    mod trials;
}
