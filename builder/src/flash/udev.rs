//! udev's database: what its rules and blkid have found out about a device, one file each below `/run/udev/data`.
//!
//! Without udev, as in a container, there is none, and everything here is empty.

use std::collections::BTreeMap;
use std::path::Path;

use crate::regular_file;
use crate::units::Bytes;

/// Real ones have some kilobytes.
const LONGEST: Bytes = Bytes(1 << 20);

/// Properties of one device.
#[derive(Clone, Debug, Default)]
pub(super) struct Properties(BTreeMap<String, String>);

impl Properties {
    /// Those of the block device with this number, below `system`.
    pub(super) fn of(system: &Path, (major, minor): (u32, u32)) -> Self {
        let path = system.join(format!("run/udev/data/b{major}:{minor}"));
        Self::parse(&regular_file::read(&path, LONGEST).unwrap_or_default())
    }

    /// `E:KEY=VALUE`, a line each; other lines are links, tags and times.
    fn parse(text: &[u8]) -> Self {
        let text = String::from_utf8_lossy(text);
        let lines = text.lines().filter_map(|line| line.strip_prefix("E:")?.split_once('='));
        Self(lines.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }

    /// One property; what is empty is none.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// One whose odd bytes are escaped: `SanDisk\x20Ultra`.
    pub(super) fn unescaped(&self, key: &str) -> Option<String> {
        let text = unescape(self.get(key)?);
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }
}

/// `\xHH` is a byte; anything else is itself.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("\\x") {
        let (before, escape) = rest.split_at(at);
        bytes.extend_from_slice(before.as_bytes());
        let byte = escape.get(2..4).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let length = if byte.is_some() { 4 } else { 2 };
        match byte {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(b"\\x"),
        }
        rest = escape.get(length..).unwrap_or_default();
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_lines_with_an_e() {
        let text = b"S:disk/by-id/usb-x\nE:ID_BUS=usb\nE:ID_MODEL_ENC=Ultra\\x20Fit\\x20\nE:ID_FS_TYPE=\nE:bad\nI:1\n";
        let properties = Properties::parse(text);
        assert_eq!(properties.get("ID_BUS"), Some("usb"));
        assert_eq!(properties.get("ID_FS_TYPE"), None);
        assert_eq!(properties.unescaped("ID_MODEL_ENC").as_deref(), Some("Ultra Fit"));
    }

    #[test]
    fn escapes_are_bytes_and_half_ones_are_text() {
        for (text, expected) in [
            ("a\\x20b", "a b"),
            ("\\xc3\\xa9", "é"),
            ("\\x", "\\x"),
            ("\\xzz", "\\xzz"),
            ("\\x4", "\\x4"),
            ("", ""),
        ] {
            assert_eq!(unescape(text), expected, "{text}");
        }
    }
}
