//! `profiles/*.toml` as one file stands: every key that may occur, for all architectures.

use super::value::{Argument, Component, Mode, Module, Package, Pattern, Reason, RootPath, Unit};
use crate::cluster::DnsLabel;
use crate::diagnostic::{Located, Span, Table};
use crate::format::erofs::Algorithm;
use crate::units::{Arch, Size};

/// The only version of the file so far.
const VERSION: u32 = 1;

/// One file.
#[derive(Debug)]
pub(super) struct RawProfile {
    pub(super) description: Option<Located<Reason>>,
    pub(super) inherits: Option<Located<DnsLabel>>,
    pub(super) debug: Option<Located<bool>>,
    pub(super) packages: PerArch<RawPackages>,
    pub(super) artifacts: RawArtifacts,
    pub(super) kernel: PerArch<RawKernel>,
    pub(super) root: RawRoot,
    pub(super) firmware: PerArch<RawFirmware>,
    pub(super) exclude: Vec<RawExclusion>,
    pub(super) files: Vec<RawFile>,
    pub(super) units: RawUnits,
}

/// A table whose keys hold for all architectures, with tables of the same keys for one.
#[derive(Debug, Default)]
pub(super) struct PerArch<T> {
    pub(super) all: T,
    pub(super) amd64: T,
    pub(super) arm64: T,
}

/// `[packages]`, `[packages.amd64]`.
#[derive(Debug, Default)]
pub(super) struct RawPackages {
    pub(super) components: Vec<Located<Component>>,
    pub(super) install: Vec<Located<Package>>,
    pub(super) remove: Vec<Located<Package>>,
    pub(super) boot: Vec<Located<Package>>,
    pub(super) drop: Vec<(Located<Package>, Located<Reason>)>,
    pub(super) exclude: Vec<(Located<Package>, Located<Reason>)>,
}

/// `[artifacts]`.
#[derive(Debug, Default)]
pub(super) struct RawArtifacts {
    pub(super) install: Vec<Located<DnsLabel>>,
    pub(super) remove: Vec<Located<DnsLabel>>,
}

/// `[kernel]`, `[kernel.amd64]`.
#[derive(Debug, Default)]
pub(super) struct RawKernel {
    pub(super) package: Option<Located<Package>>,
    pub(super) command_line: Vec<Located<Argument>>,
    pub(super) initrd_modules: Vec<Located<Module>>,
    pub(super) load_modules: Vec<Located<Module>>,
}

/// `[root]`.
#[derive(Debug, Default)]
pub(super) struct RawRoot {
    /// `None` inside is the word `none`.
    pub(super) compression: Option<Located<Option<Algorithm>>>,
    pub(super) level: Option<Located<u8>>,
    pub(super) cluster_size: Option<Located<Size>>,
}

/// `[firmware]`, `[firmware.amd64]`.
#[derive(Debug, Default)]
pub(super) struct RawFirmware {
    pub(super) packages: Vec<Located<Package>>,
}

/// `[[exclude]]`.
#[derive(Debug)]
pub(super) struct RawExclusion {
    pub(super) paths: Vec<Located<Pattern>>,
    pub(super) except: Vec<Located<Pattern>>,
    pub(super) reason: Option<Located<Reason>>,
}

/// `[[file]]`.
#[derive(Debug)]
pub(super) struct RawFile {
    pub(super) span: Span,
    pub(super) path: Option<Located<RootPath>>,
    pub(super) text: Option<Located<String>>,
    pub(super) symlink: Option<Located<String>>,
    pub(super) mode: Option<Located<Mode>>,
}

/// `[units]`.
#[derive(Debug, Default)]
pub(super) struct RawUnits {
    pub(super) enable: Vec<Located<Unit>>,
    pub(super) disable: Vec<Located<Unit>>,
    pub(super) mask: Vec<Located<Unit>>,
}

impl<T> PerArch<T> {
    /// What holds for one architecture: the common table, then its own.
    pub(super) fn layers(self, arch: Arch) -> [T; 2] {
        match arch {
            Arch::Amd64 => [self.all, self.amd64],
            Arch::Arm64 => [self.all, self.arm64],
        }
    }

    /// All tables, to check what no single architecture shows.
    pub(super) fn tables(&self) -> [&T; 3] {
        [&self.all, &self.amd64, &self.arm64]
    }
}

impl<T: Default> PerArch<T> {
    fn read(table: &mut Table<'_>, read: fn(&mut Table<'_>) -> T) -> Self {
        Self {
            all: read(table),
            amd64: table.optional(Arch::Amd64.debian()).table(read).unwrap_or_default(),
            arm64: table.optional(Arch::Arm64.debian()).table(read).unwrap_or_default(),
        }
    }
}

impl RawProfile {
    pub(super) fn read(file: &mut Table<'_>) -> Self {
        file.required("version").integer(VERSION, VERSION);
        Self {
            description: file.required("description").parsed(),
            inherits: file.optional("inherits").parsed(),
            debug: file.optional("debug").boolean(),
            packages: file
                .optional("packages")
                .table(|table| PerArch::read(table, RawPackages::read))
                .unwrap_or_default(),
            artifacts: file.optional("artifacts").table(RawArtifacts::read).unwrap_or_default(),
            kernel: file
                .optional("kernel")
                .table(|table| PerArch::read(table, RawKernel::read))
                .unwrap_or_default(),
            root: file.optional("root").table(RawRoot::read).unwrap_or_default(),
            firmware: file
                .optional("firmware")
                .table(|table| PerArch::read(table, RawFirmware::read))
                .unwrap_or_default(),
            exclude: file.optional("exclude").tables(RawExclusion::read),
            files: file.optional("file").tables(RawFile::read),
            units: file.optional("units").table(RawUnits::read).unwrap_or_default(),
        }
    }
}

impl RawPackages {
    fn read(table: &mut Table<'_>) -> Self {
        Self {
            components: table.optional("components").list(),
            install: table.optional("install").list(),
            remove: table.optional("remove").list(),
            boot: table.optional("boot").list(),
            drop: table.optional("drop").map(),
            exclude: table.optional("exclude").map(),
        }
    }
}

impl RawArtifacts {
    fn read(table: &mut Table<'_>) -> Self {
        Self { install: table.optional("install").list(), remove: table.optional("remove").list() }
    }
}

impl RawKernel {
    fn read(table: &mut Table<'_>) -> Self {
        Self {
            package: table.optional("package").parsed(),
            command_line: table.optional("command-line").list(),
            initrd_modules: table.optional("initrd-modules").list(),
            load_modules: table.optional("load-modules").list(),
        }
    }
}

impl RawRoot {
    fn read(table: &mut Table<'_>) -> Self {
        let algorithms = Algorithm::ALL.map(|(name, algorithm)| (name, Some(algorithm)));
        let choices: Vec<_> = algorithms.into_iter().chain([("none", None)]).collect();
        Self {
            compression: table.optional("compression").choice(&choices),
            level: table.optional("level").integer(1, 22),
            cluster_size: table.optional("cluster-size").parsed(),
        }
    }
}

impl RawFirmware {
    fn read(table: &mut Table<'_>) -> Self {
        Self { packages: table.optional("packages").list() }
    }
}

impl RawExclusion {
    fn read(table: &mut Table<'_>) -> Self {
        Self {
            paths: table.required("paths").list(),
            except: table.optional("except").list(),
            reason: table.required("reason").parsed(),
        }
    }
}

impl RawFile {
    fn read(table: &mut Table<'_>) -> Self {
        Self {
            span: table.span(),
            path: table.required("path").parsed(),
            text: table.optional("text").parsed(),
            symlink: table.optional("symlink").parsed(),
            mode: table.optional("mode").parsed(),
        }
    }
}

impl RawUnits {
    fn read(table: &mut Table<'_>) -> Self {
        Self {
            enable: table.optional("enable").list(),
            disable: table.optional("disable").list(),
            mask: table.optional("mask").list(),
        }
    }
}
