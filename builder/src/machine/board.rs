//! What QEMU is told of a machine's board and processor.

use super::Accelerator;
use crate::units::Arch;

/// For the kernel in a UKI, appended by systemd's stub (systemd-stub(7)). On a busy host emulated timer
/// interrupts come too late for the kernel's check of its timer, and it panics; under KVM it skips the check itself.
pub const NO_TIMER_CHECK: &str = "type=11,value=io.systemd.stub.kernel-cmdline-extra=no_timer_check";

/// The board and its processor, as QEMU's options name them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Board {
    /// `-machine`.
    pub machine: &'static str,
    /// `-cpu`.
    pub processor: &'static str,
    /// `-accel`.
    pub accelerator: &'static str,
}

impl Accelerator {
    /// What a machine of `arch` has.
    pub const fn board(self, arch: Arch) -> Board {
        let (machine, processor) = match (arch, self) {
            (Arch::Amd64, Self::Kvm) => ("q35", "host"),
            // Kernels crash at cmpxchg16b in QEMU 7.2's emulation; without the feature they do not use it.
            (Arch::Amd64, Self::Emulation) => ("q35", "max,-cx16"),
            (Arch::Arm64, _) => ("virt", "cortex-a72"),
        };
        let accelerator = match self {
            Self::Kvm => "kvm",
            // All processors in one thread. With one each, which is the default, QEMU (7.2, and newer) forgets what it
            // has translated of a page before the new bytes are stored: another processor that translates in between
            // keeps the old ones for good. Kernels patch their own code, so one of many starts dies at a stale `int3`.
            Self::Emulation => "tcg,thread=single",
        };
        Board { machine, processor, accelerator }
    }
}
