//! Partition type GUIDs.
//!
//! All but BIOS boot are from the Discoverable Partitions Specification of the UAPI group; BIOS boot is
//! GRUB's (GRUB manual, "BIOS installation").

use uuid::{Uuid, uuid};

use crate::image::Role;
use crate::units::Arch;

const BIOS_BOOT: Uuid = uuid!("21686148-6449-6e6f-744e-656564454649");
const ESP: Uuid = uuid!("c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
const ROOT_X86_64: Uuid = uuid!("4f68bce3-e8cd-4db1-96e7-fbcaf984b709");
const ROOT_ARM64: Uuid = uuid!("b921b045-1df0-41c3-af44-4c6f280d3fae");
const ROOT_VERITY_X86_64: Uuid = uuid!("2c7357ed-ebd2-46d9-aec1-23d437ec2bf5");
const ROOT_VERITY_ARM64: Uuid = uuid!("df3300ce-d69f-4c92-978c-9bfb0f38d820");

/// The type of a partition by what it holds. Both slots have the same types; their labels tell them apart.
pub const fn of(role: Role, arch: Arch) -> Uuid {
    match (role, arch) {
        (Role::BiosBoot, _) => BIOS_BOOT,
        (Role::Esp, _) => ESP,
        (Role::RootA | Role::RootB, Arch::Amd64) => ROOT_X86_64,
        (Role::RootA | Role::RootB, Arch::Arm64) => ROOT_ARM64,
        (Role::RootAVerity | Role::RootBVerity, Arch::Amd64) => ROOT_VERITY_X86_64,
        (Role::RootAVerity | Role::RootBVerity, Arch::Arm64) => ROOT_VERITY_ARM64,
    }
}
