//! What is known of a machine: serial numbers, and folders on its disks.

use std::str::FromStr;

use thiserror::Error;

use super::text::checked_text;

/// Longest serial number; SMBIOS and disks have some tens of characters.
const MOST: usize = 128;

checked_text! {
    /// A serial number as firmware or disk says it: printable ASCII, no space at either end.
    Serial
}

checked_text! {
    /// An absolute path below `/var`, where the state partition is.
    StatePath
}

/// Why a text is none of these.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum HardwareError {
    /// Empty, too long, or with characters that no serial number has.
    #[error("`{text}` is no serial number: up to {MOST} printable ASCII characters, no space at either end")]
    Serial {
        /// The text.
        text: String,
    },
    /// Words that vendors leave in the field for many machines.
    #[error("`{text}` is what vendors write where there is no serial number; it names no machine")]
    Filler {
        /// The text.
        text: String,
    },
    /// Not below `/var`.
    #[error("`{text}` is no folder below `/var`, which is all of a node that can be written")]
    Path {
        /// The text.
        text: String,
    },
}

/// Filled in at the factory for every machine alike.
const FILLERS: [&str; 7] = [
    "0",
    "default string",
    "none",
    "not specified",
    "system serial number",
    "to be filled by o.e.m.",
    "123456789",
];

impl FromStr for Serial {
    type Err = HardwareError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_plain = (1..=MOST).contains(&text.len())
            && text.chars().all(|c| c == ' ' || c.is_ascii_graphic())
            && text.trim() == text;
        if !is_plain {
            return Err(HardwareError::Serial { text: text.to_owned() });
        }
        if FILLERS.contains(&text.to_ascii_lowercase().as_str()) {
            return Err(HardwareError::Filler { text: text.to_owned() });
        }
        Ok(Self(text.to_owned()))
    }
}

impl FromStr for StatePath {
    type Err = HardwareError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_part = |part: &str| {
            !part.is_empty()
                && !part.starts_with('.')
                && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        };
        if text.strip_prefix("/var/").is_some_and(|rest| rest.split('/').all(is_part)) {
            Ok(Self(text.to_owned()))
        } else {
            Err(HardwareError::Path { text: text.to_owned() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_serial_numbers_that_name_no_machine() {
        assert!("S4EVNX0M 1".parse::<Serial>().is_ok());
        for text in ["", " x", "x ", "é", "a\nb"] {
            assert_eq!(text.parse::<Serial>(), Err(HardwareError::Serial { text: text.to_owned() }));
        }
        for text in ["Default string", "To be filled by O.E.M."] {
            assert_eq!(text.parse::<Serial>(), Err(HardwareError::Filler { text: text.to_owned() }));
        }
    }

    #[test]
    fn keeps_folders_on_state() {
        for (text, is_fine) in [
            ("/var/lib/longhorn", true),
            ("/var/mnt/disk1", true),
            ("/var", false),
            ("/var/", false),
            ("/var/../etc", false),
            ("/etc/x", false),
            ("var/lib", false),
        ] {
            assert_eq!(text.parse::<StatePath>().is_ok(), is_fine, "{text}");
        }
    }
}
