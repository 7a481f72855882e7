//! The disk of the machine.

use std::fmt;

use crate::units::Bytes;

/// A disk that can be a word of a script: its path has nothing that a shell could take for something else.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Device {
    path: String,
    size: Bytes,
}

impl Device {
    /// A disk directly in `folder`, by its path and its size as a machine tells them. Without a medium it has no size.
    pub(super) fn parse(path: &str, size: &str, folder: &str) -> Option<Self> {
        let name = path.strip_prefix(folder)?.strip_prefix('/')?;
        let is_name = (1..=16).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        let is_number = (1..=19).contains(&size.len()) && size.bytes().all(|byte| byte.is_ascii_digit());
        let size = is_number.then(|| size.parse().ok()).flatten()?;
        is_name.then(|| Self { path: path.to_owned(), size: Bytes(size) })
    }

    /// Its size.
    pub(super) const fn size(&self) -> Bytes {
        self.size
    }
}

impl fmt::Display for Device {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_nothing_that_a_shell_would_read() {
        for path in ["/dev/sda", "/dev/vdb", "/dev/nvme0n1"] {
            let disk = Device::parse(path, "40000000000", "/dev").unwrap();
            assert_eq!((disk.to_string(), disk.size()), (path.to_owned(), Bytes(40_000_000_000)));
        }
        for path in [
            "",
            "/dev",
            "/dev/",
            "/devsda",
            "sda",
            "/dev/../etc",
            "/dev/sda;reboot",
            "/dev/sd a",
            "/dev/sda\n",
            "/dev/$(reboot)",
            "/dev/disk/by-id",
            "/dev/SDA",
            "/etc/sda",
            "/dev/sda'",
            "/dev/aaaaaaaaaaaaaaaaa",
        ] {
            assert_eq!(Device::parse(path, "1", "/dev"), None, "{path}");
        }
        for size in ["", "-1", "+1", "1 ", "0x10", "1;reboot", "99999999999999999999"] {
            assert_eq!(Device::parse("/dev/sda", size, "/dev"), None, "{size}");
        }
    }
}
