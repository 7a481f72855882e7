//! Profiles: everything inside an OS bundle, as `profiles/*.toml` says it.
//!
//! This module holds the checked, resolved form for one architecture; `profile/raw.rs` reads it.

mod artifact;
mod check;
mod raw;
pub(crate) mod reserved;
mod resolve;
pub(crate) mod value;

use schemars::Schema;
use serde::Serialize;

pub use self::artifact::{Artifact, Member, Placement};
use crate::diagnostic::Origin;
use crate::format::erofs::Compression;
use crate::units::Arch;

/// The JSON Schema of a profile's file.
pub fn schema() -> Schema {
    crate::diagnostic::schema::of::<raw::RawProfile>()
}

/// A profile with its one level of overlay applied, resolved for one architecture.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Profile {
    /// File name without `.toml`.
    pub name: String,
    /// Architecture it was resolved for.
    pub arch: Arch,
    /// One sentence for people.
    pub description: String,
    /// Adds a shell on tty9 and sshd by key, and marks image and banner.
    pub debug: bool,
    /// Which Debian packages.
    pub packages: Packages,
    /// Which downloads that are no packages, sorted by name.
    pub artifacts: Vec<Artifact>,
    /// Kernel, its arguments and what its initrd needs.
    pub kernel: Kernel,
    /// How the root file system is made.
    pub root: Root,
    /// Where firmware comes from.
    pub firmware: Firmware,
    /// Files and links added to the root, in path order.
    pub files: Vec<AddedFile>,
    /// Paths left out of the root, as globs below the root (`usr/share/doc/**`).
    pub exclude: Vec<Exclusion>,
    /// Which systemd units start.
    pub units: Units,
}

/// Package selection. Nothing is implied: neither Essential nor recommended packages.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Packages {
    /// Components of the archive beside `main` that packages may come from (`non-free-firmware`).
    pub components: Vec<String>,
    /// Wanted by name.
    pub install: Vec<String>,
    /// Packages whose absence is fine: a dependency on one of these is ignored.
    pub drop: Vec<Reasoned>,
    /// Packages that must not be chosen, even as an alternative.
    pub exclude: Vec<Reasoned>,
    /// Packages whose files boot the machine (systemd-boot, the UKI stub, GRUB) but lie outside the root.
    pub boot: Vec<String>,
}

/// A package and why the profile treats it specially.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Reasoned {
    /// Package name.
    pub name: String,
    /// Why; never empty.
    pub reason: String,
}

/// A path pattern and why it is left out.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Exclusion {
    /// Globs below the root; `**` crosses directories.
    pub paths: Vec<String>,
    /// Globs below the root that stay although `paths` matches.
    pub except: Vec<String>,
    /// Why; never empty.
    pub reason: String,
}

/// Kernel settings.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Kernel {
    /// The package that brings or depends on the kernel image (`linux-image-cloud-amd64`).
    pub package: String,
    /// Arguments every node of the profile needs, in order.
    pub command_line: Vec<String>,
    /// Modules of the disk initrd by name (`virtio_blk`); dependencies and softdeps are added.
    pub initrd_modules: Vec<String>,
    /// Modules loaded at every boot by systemd-modules-load.
    pub load_modules: Vec<String>,
}

/// The root file system.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Root {
    /// How file contents are compressed; `None` leaves them as they are, which is the smallest once the
    /// whole image is compressed.
    pub compression: Option<Compression>,
}

/// Firmware of devices and processors.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Firmware {
    /// Packages whose files below `/usr/lib/firmware` enter the root only where a module names them, and
    /// whose microcode goes in front of the initrd.
    pub packages: Vec<String>,
}

/// A file or link that the profile adds.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct AddedFile {
    /// Path below the root, without leading slash.
    pub path: String,
    /// Content or link target.
    pub content: AddedContent,
    /// Where the profile gives it.
    #[serde(skip)]
    pub origin: Origin,
}

/// What an added path is.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub enum AddedContent {
    /// A regular file of root with permission bits `mode`.
    File {
        /// Text of the file.
        text: String,
        /// Permission bits.
        mode: u16,
    },
    /// A symbolic link.
    Symlink {
        /// Its target.
        target: String,
    },
}

/// Unit presets, evaluated at build time only.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Units {
    /// Enabled by their `[Install]` section.
    pub enable: Vec<String>,
    /// Not enabled although a package's preset or default would.
    pub disable: Vec<String>,
    /// Linked to `/dev/null`.
    pub mask: Vec<String>,
}
