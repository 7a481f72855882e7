//! `images/*.toml` as it stands: every key that may occur, each value checked on its own.

use super::Role;
use crate::diagnostic::{Located, Span, Table};
use crate::profile::value::Argument;
use crate::secure_boot::Enrolment;
use crate::units::Size;

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
    pub(super) command_line: Vec<Located<Argument>>,
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
