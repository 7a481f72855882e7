//! firstboot.
fn main() {}
