//! `images/*.toml` as it stands: every key that may occur, each value checked on its own.
//!
//! The doc comments are what the reference shows: [`schema`](super::schema) turns these types into a JSON Schema.

use schemars::JsonSchema;

use super::Role;
use crate::diagnostic::{Located, Span, Table};
use crate::profile::value::Argument;
use crate::secure_boot::Enrolment;
use crate::units::Size;

/// The only version of the file so far.
const VERSION: u32 = 1;

/// The medium that a bundle is laid on: partitions, and what depends on the medium alone.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "image", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawImage {
    /// Format of this file.
    #[schemars(required, extend("const" = 1))]
    #[expect(dead_code, reason = "there is one version; the reader has refused all others")]
    pub(super) version: Option<Located<u32>>,
    /// What the image is for, in one sentence.
    #[schemars(required)]
    pub(super) description: Option<Located<String>>,
    /// Version of the geometry, which is fixed for the life of a disk: another one means new disks.
    #[schemars(required, extend("minimum" = 1))]
    pub(super) layout: Option<Located<u32>>,
    /// Bytes in a sector of the disk; with 4096, machines start by UEFI only.
    #[schemars(extend("enum" = [512, 4096], "default" = 512))]
    pub(super) sector_size: Option<Located<u32>>,
    /// Kernel arguments that this medium adds to the profile's.
    #[schemars(with = "Option<Vec<String>>", extend("default" = []))]
    pub(super) command_line: Vec<Located<Argument>>,
    /// Least room for the state partition, which the node makes at first boot, to the end of the disk.
    #[schemars(required, with = "String")]
    pub(super) state_minimum: Option<Located<Size>>,
    /// What the medium says of Secure Boot, where the cluster has keys for it.
    pub(super) secure_boot: Option<RawSecureBoot>,
    /// The partitions, in disk order: `esp`, `root-a` and `root-a-verity` at least.
    #[schemars(rename = "partition")]
    pub(super) partitions: Vec<RawPartition>,
}

/// What the medium says of Secure Boot, where the cluster has keys for it.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "secure-boot", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawSecureBoot {
    /// When firmware in setup mode is given the keys: never, when chosen in the boot menu, by itself in virtual
    /// machines, or by itself everywhere.
    #[schemars(
        rename = "enroll",
        with = "Option<String>",
        extend("enum" = ["off", "manual", "if-safe", "force"], "default" = "if-safe")
    )]
    pub(super) enrol: Option<Located<Enrolment>>,
    /// Whether Microsoft's certificates are enrolled too, which the option ROMs of many cards need.
    #[schemars(extend("default" = true))]
    pub(super) microsoft: Option<Located<bool>>,
}

/// A partition.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "partition", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawPartition {
    /// What it holds.
    #[schemars(
        required,
        with = "String",
        extend("enum" = Role::ALL.map(Role::name))
    )]
    pub(super) role: Option<Located<Role>>,
    /// Its size, a whole number of MiB, such as `512 MiB`.
    #[schemars(required, with = "String")]
    pub(super) size: Option<Located<Size>>,
}

impl RawImage {
    pub(super) fn read(file: &mut Table<'_>) -> Self {
        Self {
            version: file.required("version").integer(VERSION, VERSION),
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
        Self {
            role: table.required("role").choice(&Role::ALL.map(|role| (role.name(), role))),
            size: table.required("size").parsed(),
        }
    }
}

/// Where a fault stands that concerns a whole file.
pub(super) const FILE: Span = 0..0;
