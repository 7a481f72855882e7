//! `images/*.toml` as it stands: every key that may occur, each value checked on its own.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::Role;
use crate::diagnostic::{Located, Span, Table};
use crate::secure_boot::Enrolment;
use crate::units::Bytes;

/// The only version of the file so far.
const VERSION: u32 = 1;

/// Names of the roles in the file.
pub(super) const ROLES: [(&str, Role); 6] = [
    ("bios-boot", Role::BiosBoot),
    ("esp", Role::Esp),
    ("root-a", Role::RootA),
    ("root-a-verity", Role::RootAVerity),
    ("root-b", Role::RootB),
    ("root-b-verity", Role::RootBVerity),
];

/// One file.
#[derive(Debug)]
pub(super) struct RawImage {
    pub(super) description: Option<Located<String>>,
    pub(super) layout: Option<Located<u32>>,
    pub(super) sector_size: Option<Located<u32>>,
    pub(super) command_line: Vec<Located<String>>,
    pub(super) state_minimum: Option<Located<Size>>,
    pub(super) secure_boot: Option<RawSecureBoot>,
    pub(super) partitions: Vec<RawPartition>,
}

/// `[secure-boot]`.
#[derive(Debug)]
pub(super) struct RawSecureBoot {
    pub(super) enrol: Option<Located<Enrolment>>,
    pub(super) microsoft: Option<Located<bool>>,
}

/// `[[partition]]`.
#[derive(Debug)]
pub(super) struct RawPartition {
    pub(super) role: Option<Located<Role>>,
    pub(super) size: Option<Located<Size>>,
}

/// A size with its unit, `512 MiB`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Size(pub(super) Bytes);

/// A text is no size.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("`{text}` is no size such as `512 MiB`; units are KiB, MiB, GiB and TiB")]
pub(super) struct SizeError {
    text: String,
}

impl FromStr for Size {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const UNITS: [(&str, u32); 4] = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];
        let size = || {
            let (number, shift) =
                UNITS.iter().find_map(|(unit, shift)| Some((text.strip_suffix(unit)?.trim_end(), *shift)))?;
            let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
            let number: u64 = is_number.then(|| number.parse().ok()).flatten()?;
            number.checked_mul(1 << shift)
        };
        size().map(|size| Self(Bytes(size))).ok_or_else(|| SizeError { text: text.to_owned() })
    }
}

impl fmt::Display for Size {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl RawImage {
    pub(super) fn read(file: &mut Table<'_>) -> Self {
        file.required("version").integer(VERSION, VERSION);
        Self {
            description: file.required("description").parsed(),
            layout: file.required("layout").integer(1, u32::MAX),
            sector_size: file.optional("sector-size").choice_of_integers(&[512, 4096]),
            command_line: file.optional("command-line").list(),
            state_minimum: file.required("state-minimum").parsed(),
            secure_boot: file.optional("secure-boot").table(RawSecureBoot::read),
            partitions: file.required("partition").tables(RawPartition::read),
        }
    }
}

impl RawSecureBoot {
    fn read(table: &mut Table<'_>) -> Self {
        Self {
            enrol: table.optional("enroll").choice(&Enrolment::NAMES),
            microsoft: table.optional("microsoft").boolean(),
        }
    }
}

impl RawPartition {
    fn read(table: &mut Table<'_>) -> Self {
        Self { role: table.required("role").choice(&ROLES), size: table.required("size").parsed() }
    }
}

/// Where a fault stands that concerns a whole file.
pub(super) const FILE: Span = 0..0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_sizes_with_binary_units_only() {
        for (text, bytes) in [("1 MiB", Some(1 << 20)), ("2GiB", Some(2 << 30)), ("0 KiB", Some(0))] {
            assert_eq!(text.parse::<Size>().ok().map(|size| size.0.0), bytes, "{text}");
        }
        for text in ["", "1", "1 MB", "1.5 GiB", "-1 MiB", "99999999999 TiB", "MiB"] {
            assert_eq!(text.parse::<Size>(), Err(SizeError { text: text.to_owned() }), "{text}");
        }
    }
}
