//! Which disks are written: those that were named, or the only one that there is.

use std::path::{Path, PathBuf};

use anyhow::bail;

use crate::flash::{Device, Limits};

/// What there is to choose from.
pub(in crate::command) struct Choice<'a> {
    pub(in crate::command) all: &'a [Device],
    /// Of each stick.
    pub(in crate::command) limits: &'a [Limits],
    /// Files of devices, for each stick one; or none.
    pub(in crate::command) named: &'a [PathBuf],
}

impl Choice<'_> {
    /// One for each stick, all different, none with anything in its way.
    pub(in crate::command) fn devices(&self) -> anyhow::Result<Vec<Device>> {
        if self.named.is_empty() {
            return self.only_one().map(|device| vec![device]);
        }
        if self.named.len() != self.limits.len() {
            bail!(
                "`--device` names {} for {}",
                count(self.named.len(), "disk"),
                count(self.limits.len(), "stick")
            );
        }
        let mut chosen: Vec<Device> = Vec::new();
        for (path, limits) in self.named.iter().zip(self.limits) {
            let device = self.find(path)?;
            if let Some(obstacle) = device.obstacles(limits).first() {
                bail!("`{}` is not written: {obstacle}", device.path.display());
            }
            if chosen.iter().any(|other| other.number == device.number) {
                bail!("`{}` is named twice", device.path.display());
            }
            chosen.push(device.clone());
        }
        Ok(chosen)
    }

    fn only_one(&self) -> anyhow::Result<Device> {
        let [limits] = self.limits else { bail!("several sticks need `--device` for each") };
        let fitting: Vec<&Device> =
            self.all.iter().filter(|device| device.obstacles(limits).is_empty()).collect();
        match fitting.as_slice() {
            [] => bail!("there is no stick or card that can be written"),
            [device] => Ok((*device).clone()),
            several => {
                let names: Vec<_> =
                    several.iter().map(|device| format!("`{}`", device.path.display())).collect();
                bail!("{} can be written: `--device` says which is meant", names.join(" and "))
            }
        }
    }

    /// Links such as those in `/dev/disk/by-id` are followed; a partition is no disk.
    fn find(&self, path: &Path) -> anyhow::Result<&Device> {
        let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if let Some(device) = self.all.iter().find(|device| device.path == whole) {
            return Ok(device);
        }
        let name = whole.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_part = |device: &&Device| device.parts.iter().any(|part| part.name == name);
        match self.all.iter().find(is_part) {
            Some(device) => {
                bail!("`{}` is a partition; the whole disk is `{}`", path.display(), device.path.display())
            }
            None => bail!("`{}` is no disk of this computer", path.display()),
        }
    }
}

/// `1 disk`, `2 disks`.
pub(in crate::command) fn count(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flash::{Bus, Part};
    use crate::units::Bytes;

    const GB: u64 = 1_000_000_000;
    const LIMITS: Limits = Limits { least: Bytes(GB), most: Bytes(100 * GB), sector_size: Some(512) };

    fn device(name: &str, minor: u32, is_removable: bool) -> Device {
        Device {
            name: name.to_owned(),
            path: PathBuf::from("/dev").join(name),
            number: (8, minor),
            sequence: 0,
            bus: Bus::Usb,
            size: Bytes(32 * GB),
            sector_size: 512,
            model: String::new(),
            serial: None,
            is_removable,
            is_read_only: false,
            content: None,
            parts: vec![Part { name: format!("{name}1"), size: Bytes(GB), content: None, label: None }],
            uses: Vec::new(),
        }
    }

    fn choice(all: &[Device], sticks: usize, named: &[&str]) -> Result<Vec<String>, String> {
        let named: Vec<PathBuf> = named.iter().map(PathBuf::from).collect();
        let limits = vec![LIMITS; sticks];
        let chosen = Choice { all, limits: &limits, named: &named }.devices();
        chosen
            .map(|devices| devices.into_iter().map(|device| device.name).collect())
            .map_err(|fault| fault.to_string())
    }

    #[test]
    fn a_disk_is_the_only_one_or_is_named() {
        let (system, one, other) =
            (device("sda", 0, false), device("sdb", 16, true), device("sdc", 32, true));
        let none = [system.clone()];
        let single = [system.clone(), one.clone()];
        let two = [system, one, other];
        for (all, sticks, named, expected) in [
            (&none[..], 1, &[][..], Err("there is no stick or card that can be written")),
            (&single, 1, &[], Ok(&["sdb"][..])),
            (&two, 1, &[], Err("`/dev/sdb` and `/dev/sdc` can be written: `--device` says which is meant")),
            (&two, 1, &["/dev/sdc"], Ok(&["sdc"])),
            (&two, 2, &["/dev/sdc", "/dev/sdb"], Ok(&["sdc", "sdb"])),
            (&two, 2, &[], Err("several sticks need `--device` for each")),
            (&two, 2, &["/dev/sdc"], Err("`--device` names 1 disk for 2 sticks")),
            (&two, 2, &["/dev/sdc", "/dev/sdc"], Err("`/dev/sdc` is named twice")),
            (&two, 1, &["/dev/sda"], Err("`/dev/sda` is not written: it is not made to be taken out")),
            (&two, 1, &["/dev/sdb1"], Err("`/dev/sdb1` is a partition; the whole disk is `/dev/sdb`")),
            (&two, 1, &["/dev/sdz"], Err("`/dev/sdz` is no disk of this computer")),
        ] {
            let expected: Result<Vec<String>, String> = expected
                .map(|names| names.iter().map(|name| (*name).to_owned()).collect())
                .map_err(str::to_owned);
            assert_eq!(choice(all, sticks, named), expected, "{named:?}");
        }
    }
}
