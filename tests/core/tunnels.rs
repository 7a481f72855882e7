//! Tunnels by the kernel that nodes have, which few computers have that build images.

use std::path::Path;

use anyhow::Context as _;
use imgbuild::units::Arch;
use machine::{Vm, is_of_this_computer};

/// In memory, and gone with the boot.
const PROGRAM: &str = "/run/wireguard-guest";

/// Runs the tests of `guest/wireguard.rs` in a machine for `arch`. They are compiled for this computer, so that one of the
/// machines of this suite is theirs, and the others are left out.
pub(super) fn check(vm: &Vm, arch: Arch) -> anyhow::Result<()> {
    if !is_of_this_computer(arch) {
        return Ok(());
    }
    vm.put(Path::new(env!("CARGO_BIN_EXE_wireguard-guest")), PROGRAM)
        .context("bringing the tunnels' tests")?;
    vm.run(PROGRAM).context("whether tunnels come up and outlive changes")?;
    Ok(())
}
