//! stage0.
fn main() {}
