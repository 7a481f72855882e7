//! On-disk formats, free of policy.
//!
//! Nothing here knows of packages, profiles or clusters; all of it is bytes in, bytes out.

pub mod authenticode;
pub mod certificate;
pub mod cpio;
pub mod efi_signature_list;
pub mod efi_variable;
pub mod erofs;
pub mod fat;
pub mod gpt;
pub mod grub;
pub mod k3s;
pub mod kmod;
pub mod microcode;
#[cfg(test)]
pub(crate) mod oracle;
mod signed_data;
pub mod signer;
pub mod uki;
pub mod verity;
