//! Files of the ESP: boot programs, their settings, and keys to enrol.

use anyhow::Context as _;
use bytes::Bytes;

use super::plan::Plan;
use crate::bundle::seal::Bundle;

/// Where systemd's stub looks for add-ons to any UKI (systemd-stub(7)).
const ADDON: &str = "loader/addons/image.addon.efi";

/// All files with their paths.
pub(super) fn files(plan: &Plan, bundle: &Bundle, uki: Bytes) -> anyhow::Result<Vec<(String, Bytes)>> {
    let efi = plan.arch.efi().to_ascii_uppercase();
    let mut settings = "timeout 0\neditor no\n".to_owned();
    let mut files = vec![
        (format!("EFI/BOOT/BOOT{efi}.EFI"), bundle.boot_loader.clone()),
        ("EFI/Linux/imgbuild_1.efi".to_owned(), uki),
    ];
    files.extend(bundle.addon.clone().map(|addon| (ADDON.to_owned(), addon)));
    if let Some(keys) = &plan.secure_boot {
        let secure_boot = plan.image.secure_boot;
        let enrolment = keys.enrolment_files(secure_boot.microsoft);
        files.extend(enrolment.context("writing Secure Boot keys for enrolment")?);
        settings.extend(["secure-boot-enroll ", secure_boot.enrol.name(), "\n"]);
    }
    files.push(("loader/loader.conf".to_owned(), settings.into()));
    Ok(files)
}
