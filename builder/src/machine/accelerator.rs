//! Whether KVM really runs what a kernel runs.
//!
//! That `/dev/kvm` can be opened says little: nested and paravirtual hosts exist on which a guest
//! dies in the kernel's decompressor. So a boot sector of our own executes one of the BMI2
//! instructions found there, in protected mode, and then leaves QEMU by its debug exit.

use std::ffi::OsStr;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use crate::process::Program;

/// How a machine's instructions are carried out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Accelerator {
    /// By the processor.
    Kvm,
    /// By QEMU, some twenty times slower.
    Emulation,
}

impl fmt::Display for Accelerator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Kvm => "KVM",
            Self::Emulation => "emulation",
        })
    }
}

/// QEMU's exit status after `outl(0x10, 0xf4)`: value * 2 + 1.
const PASSED: i32 = 0x21;

/// The boot sector, loaded by SeaBIOS at 0x7c00 in real mode. Offsets are relative to 0x7c00.
#[rustfmt::skip]
const PROBE: [u8; 80] = [
    0xfa,                                           // 00 cli
    0x31, 0xc0,                                     // 01 xor ax, ax
    0x8e, 0xd8,                                     // 03 mov ds, ax
    0x0f, 0x01, 0x16, 0x48, 0x7c,                   // 05 lgdt [0x7c48]
    0x0f, 0x20, 0xc0,                               // 0a mov eax, cr0
    0x66, 0x83, 0xc8, 0x01,                         // 0d or eax, 1
    0x0f, 0x22, 0xc0,                               // 11 mov cr0, eax
    0xea, 0x19, 0x7c, 0x08, 0x00,                   // 14 jmp 0x08:0x7c19
    // 32-bit code from here.
    0xb9, 0x04, 0x00, 0x00, 0x00,                   // 19 mov ecx, 4
    0xbb, 0x01, 0x00, 0x00, 0x00,                   // 1e mov ebx, 1
    0xc4, 0xe2, 0x71, 0xf7, 0xc3,                   // 23 shlx eax, ebx, ecx
    0xba, 0xf4, 0x00, 0x00, 0x00,                   // 28 mov edx, 0xf4
    0xef,                                           // 2d out dx, eax
    0xf4,                                           // 2e hlt
    0xeb, 0xfd,                                     // 2f jmp 0x2e
    0, 0, 0, 0, 0, 0, 0,                            // 31
    // Global descriptor table at 0x38: null, flat 32-bit code.
    0, 0, 0, 0, 0, 0, 0, 0,
    0xff, 0xff, 0, 0, 0, 0x9a, 0xcf, 0,             // 40
    // Its pointer at 0x48: limit, address 0x7c38.
    0x0f, 0x00, 0x38, 0x7c, 0x00, 0x00, 0, 0,
];

impl Accelerator {
    /// Probes `qemu`, an x86 QEMU; everything unexpected means emulation.
    pub fn probe(qemu: &OsStr) -> Self {
        if !Path::new("/dev/kvm").exists() {
            return Self::Emulation;
        }
        match boots_probe(qemu, "kvm", "host") {
            Some(true) => Self::Kvm,
            _ => Self::Emulation,
        }
    }
}

fn boots_probe(qemu: &OsStr, accelerator: &str, processor: &str) -> Option<bool> {
    let mut sector = [0_u8; 512];
    sector[..PROBE.len()].copy_from_slice(&PROBE);
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    let disk = tempfile::NamedTempFile::new().ok()?;
    std::fs::write(disk.path(), sector).ok()?;
    let status = Program::new("probing KVM", qemu)
        .arguments(["-accel", accelerator, "-cpu", processor, "-m", "32", "-nodefaults"])
        .arguments(["-display", "none", "-no-reboot", "-device", "isa-debug-exit,iobase=0xf4,iosize=4"])
        .argument("-drive")
        .argument(format!("file={},format=raw,if=ide,snapshot=on", disk.path().display()))
        .status(Duration::from_secs(20))
        .ok()?;
    Some(status.code() == Some(PASSED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_probe_passes_on_a_processor_that_has_the_instruction() {
        let qemu = OsStr::new("qemu-system-x86_64");
        assert_eq!(boots_probe(qemu, "tcg", "max"), Some(true), "needs qemu-system-x86_64 and SeaBIOS");
        assert_eq!(boots_probe(qemu, "tcg", "qemu64"), Some(false), "qemu64 has no BMI2");
    }
}
