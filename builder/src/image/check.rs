//! What spans several keys of an image file, and the step from raw to checked.

use std::path::Path;

use super::raw::{FILE, RawImage, RawPartition, RawSecureBoot};
use super::{Image, Partition, Role};
use crate::diagnostic::{Located, Report};
use crate::format::verity;
use crate::secure_boot::SecureBoot;
use crate::settings::{self, Kind, LoadError};
use crate::units::{Bytes, SectorSize, Size};

/// Partitions begin and end on whole mebibytes, which suits every erase block and SSD page.
const ALIGNMENT: u64 = Bytes::MIB.0;
/// GRUB's two cores and the sector that chooses between them.
const BIOS_BOOT_LEAST: Size = Size(Bytes(1 << 20));
/// Two kernels, two initrds and two UKIs with room to spare.
const ESP_LEAST: Size = Size(Bytes(64 << 20));
/// FAT32 needs 65525 clusters, which of 4 KiB are this much (fatgen103, 3.5).
const ESP_LEAST_4096: Size = Size(Bytes(260 << 20));
/// Ext4 with its journal, k3s' data store and the journal of the system.
const STATE_LEAST: Size = Size(Bytes(256 << 20));

impl Image {
    /// Loads the image called `name`: the file beside the cluster file in `directory`, else the embedded
    /// one.
    pub fn load(name: &str, directory: &Path) -> Result<Self, LoadError> {
        let file = settings::load(Kind::Image, name, directory)?;
        let report = Report::new(&file.shown, &file.text);
        let raw = report.read(RawImage::read);
        let image = raw.and_then(|raw| check(raw, name, &report));
        Ok(report.finish(image)?)
    }
}

fn check(raw: RawImage, name: &str, report: &Report) -> Option<Image> {
    let sector_size = match raw.sector_size {
        None => SectorSize::default(),
        Some(Located { value, .. }) => SectorSize::try_from(value).ok()?,
    };
    check_roles(&raw.partitions, report);
    check_sizes(&raw.partitions, sector_size, report);
    check_slots(&raw.partitions, report);
    if let Some(Located { value, span }) = &raw.state_minimum
        && value.0 < STATE_LEAST.0
    {
        report.fault(span, format!("the state partition needs {STATE_LEAST}, not {value}"));
    }
    let partitions: Option<Vec<_>> = raw
        .partitions
        .into_iter()
        .map(|partition| Some(Partition { role: partition.role?.value, size: partition.size?.value.0 }))
        .collect();
    Some(Image {
        name: name.to_owned(),
        description: raw.description?.value,
        layout: raw.layout?.value,
        sector_size,
        partitions: partitions?,
        command_line: raw.command_line.into_iter().map(|argument| argument.value.0).collect(),
        state_minimum: raw.state_minimum?.value.0,
        secure_boot: secure_boot(raw.secure_boot),
    })
}

fn secure_boot(raw: Option<RawSecureBoot>) -> SecureBoot {
    let default = SecureBoot::default();
    let Some(raw) = raw else { return default };
    SecureBoot {
        enrol: raw.enrol.map_or(default.enrol, |enrol| enrol.value),
        microsoft: raw.microsoft.map_or(default.microsoft, |microsoft| microsoft.value),
    }
}

fn check_roles(partitions: &[RawPartition], report: &Report) {
    // What a partition is for, whose role could not be read, is anybody's guess.
    let is_whole = partitions.iter().all(|partition| partition.role.is_some());
    let roles: Vec<_> = partitions.iter().filter_map(|partition| partition.role.as_ref()).collect();
    for (index, Located { value, span }) in roles.iter().enumerate() {
        if let Some(first) = roles[..index].iter().find(|first| first.value == *value) {
            let line = report.line(&first.span);
            report.fault(span, format!("`{}` is in line {line} already", value.name()));
        }
    }
    let has = |role| roles.iter().any(|located| located.value == role);
    for role in [Role::Esp, Role::RootA, Role::RootAVerity] {
        if is_whole && !partitions.is_empty() && !has(role) {
            report.fault(&FILE, format!("the image has no partition `{}`", role.name()));
        }
    }
    if is_whole && has(Role::RootB) != has(Role::RootBVerity) {
        report.fault(&FILE, "slot B needs both `root-b` and `root-b-verity`");
    }
}

fn check_sizes(partitions: &[RawPartition], sector_size: SectorSize, report: &Report) {
    for partition in partitions {
        let Some(Located { value: size, span }) = &partition.size else { continue };
        if size.0.0 == 0 || size.0.0 % ALIGNMENT != 0 {
            report.fault(
                span,
                format!("a partition is a whole number of MiB, not {} KiB", size.0.0 / Bytes::KIB.0),
            );
            continue;
        }
        let Some(Located { value: role, span: role_span }) = &partition.role else { continue };
        let least = match (role, sector_size) {
            (Role::BiosBoot, SectorSize::B4096) => {
                report.fault(role_span, "no BIOS starts from 4096-byte sectors, so `bios-boot` is of no use");
                continue;
            }
            (Role::BiosBoot, SectorSize::B512) => BIOS_BOOT_LEAST,
            (Role::Esp, SectorSize::B512) => ESP_LEAST,
            (Role::Esp, SectorSize::B4096) => ESP_LEAST_4096,
            _ => continue,
        };
        if size.0 < least.0 {
            report.fault(span, format!("`{}` needs {least}, not {size}", role.name()));
        }
    }
}

fn check_slots(partitions: &[RawPartition], report: &Report) {
    let size_of = |wanted: Role| {
        let partition = partitions
            .iter()
            .find(|partition| partition.role.as_ref().is_some_and(|role| role.value == wanted))?;
        partition.size.as_ref()
    };
    for (root, verity) in [(Role::RootA, Role::RootAVerity), (Role::RootB, Role::RootBVerity)] {
        let (Some(root), Some(tree)) = (size_of(root), size_of(verity)) else { continue };
        let needed = verity::tree_size(root.value.0);
        if tree.value.0 < needed {
            let reason = format!(
                "the hash tree of a root of {} needs {needed}, `{}` has {}",
                root.value,
                verity.name(),
                tree.value
            );
            report.fault(&tree.span, reason);
        }
    }
    for (a, b) in [(Role::RootA, Role::RootB), (Role::RootAVerity, Role::RootBVerity)] {
        let (Some(first), Some(second)) = (size_of(a), size_of(b)) else { continue };
        if first.value != second.value {
            let reason = format!(
                "`{}` is {}, `{}` {}: slots have one size",
                a.name(),
                first.value,
                b.name(),
                second.value
            );
            report.fault(&second.span, reason);
        }
    }
}
