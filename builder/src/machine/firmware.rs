//! Which firmware a machine boots by, and where distributions put UEFI firmware for QEMU.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::units::Arch;

/// What a machine boots by.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub enum FirmwareKind {
    /// UEFI, by the distribution's OVMF or AAVMF
    #[default]
    Uefi,
    /// BIOS, by QEMU's own SeaBIOS; amd64 only
    Bios,
}

/// UEFI firmware: code that is mapped read-only and a template of its variable store.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Firmware {
    /// Code image.
    pub code: PathBuf,
    /// Template of the variable store; each machine gets a copy.
    pub variables: PathBuf,
}

/// No firmware is installed.
#[derive(Debug, Error)]
#[error("no UEFI firmware for {arch} is installed; looked for {}", looked_for.join(", "))]
pub struct FirmwareError {
    /// For which machine.
    pub arch: Arch,
    /// Code images that were looked for.
    pub looked_for: Vec<&'static str>,
    /// Debian package that brings it.
    pub package: &'static str,
}

/// Code and variable templates by preference. Secure Boot variants are left to an own switch.
const AMD64: &[(&str, &str)] = &[
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
    ("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),
    ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
];
const ARM64: &[(&str, &str)] = &[
    ("/usr/share/AAVMF/AAVMF_CODE.no-secboot.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"),
    ("/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"),
];

impl Firmware {
    /// Finds installed firmware.
    pub fn find(arch: Arch) -> Result<Self, FirmwareError> {
        let (candidates, package) = match arch {
            Arch::Amd64 => (AMD64, "ovmf"),
            Arch::Arm64 => (ARM64, "qemu-efi-aarch64"),
        };
        let installed = candidates
            .iter()
            .find(|(code, variables)| Path::new(code).is_file() && Path::new(variables).is_file());
        let looked_for = || candidates.iter().map(|(code, _)| *code).collect();
        installed
            .map(|(code, variables)| Self { code: code.into(), variables: variables.into() })
            .ok_or_else(|| FirmwareError { arch, looked_for: looked_for(), package })
    }
}
