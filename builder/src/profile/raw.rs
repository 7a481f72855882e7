//! `profiles/*.toml` as one file stands: every key that may occur, for all architectures.
//!
//! The doc comments are what the reference shows: [`schema`](super::schema) turns these types into a JSON Schema.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

use super::value::{Argument, Component, Mode, Module, Package, Pattern, Reason, RootPath, Unit};
use crate::cluster::DnsLabel;
use crate::diagnostic::{Located, Span, Table};
use crate::format::erofs::Algorithm;
use crate::units::{Arch, Size};

/// The only version of the file so far.
const VERSION: u32 = 1;

/// Everything inside an OS bundle. A profile that inherits is laid over the other one: its lists append, its single
/// values replace, and so does a file of the same path.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "profile", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawProfile {
    /// Format of this file.
    #[schemars(required, extend("const" = 1))]
    #[expect(dead_code, reason = "there is one version; the reader has refused all others")]
    pub(super) version: Option<Located<u32>>,
    /// What the profile is for, in one sentence.
    #[schemars(required, with = "String")]
    pub(super) description: Option<Located<Reason>>,
    /// Profile that this one is laid over; one that inherits from none itself.
    pub(super) inherits: Option<Located<DnsLabel>>,
    /// Whether people can log in: firstboot lets the cluster's SSH keys in, and image and banner say so.
    #[schemars(extend("default" = false))]
    pub(super) debug: Option<Located<bool>>,
    /// Debian packages.
    #[schemars(with = "Option<PerArch<RawPackages>>")]
    pub(super) packages: PerArch<RawPackages>,
    /// Downloads that are no packages.
    #[schemars(with = "Option<RawArtifacts>")]
    pub(super) artifacts: RawArtifacts,
    /// Kernel, its arguments and its modules.
    #[schemars(with = "Option<PerArch<RawKernel>>")]
    pub(super) kernel: PerArch<RawKernel>,
    /// The root file system.
    #[schemars(with = "Option<RawRoot>")]
    pub(super) root: RawRoot,
    /// Firmware of devices and processors.
    #[schemars(with = "Option<PerArch<RawFirmware>>")]
    pub(super) firmware: PerArch<RawFirmware>,
    /// What is left out of the packages.
    #[schemars(with = "Option<Vec<RawExclusion>>", extend("default" = []))]
    pub(super) exclude: Vec<RawExclusion>,
    /// Files and links that the profile adds.
    #[schemars(rename = "file", with = "Option<Vec<RawFile>>", extend("default" = []))]
    pub(super) files: Vec<RawFile>,
    /// Which systemd units start.
    #[schemars(with = "Option<RawUnits>")]
    pub(super) units: RawUnits,
}

/// A table whose keys hold for all architectures, with tables of the same keys for one.
#[derive(Debug, Default)]
pub(super) struct PerArch<T> {
    pub(super) all: T,
    pub(super) amd64: T,
    pub(super) arm64: T,
}

/// Debian packages. Nothing is implied: neither essential nor recommended ones.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename = "packages", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawPackages {
    /// Components of the archive that packages may come from, beside `main`: `contrib`, `non-free`,
    /// `non-free-firmware`.
    #[schemars(with = "Option<Vec<String>>", extend("default" = []))]
    pub(super) components: Vec<Located<Component>>,
    /// Packages of the root, with what they depend on.
    #[schemars(with = "Option<Vec<String>>", extend("default" = []))]
    pub(super) install: Vec<Located<Package>>,
    /// Inherited packages that are not wanted.
    #[schemars(with = "Option<Vec<String>>", extend("default" = []))]
    pub(super) remove: Vec<Located<Package>>,
    /// Packages whose files boot the machine and lie outside the root.
    #[schemars(with = "Option<Vec<String>>", extend("default" = []))]
    pub(super) boot: Vec<Located<Package>>,
    /// Packages that others depend on and that are left out all the same, each with the reason.
    #[schemars(with = "Option<BTreeMap<String, String>>", extend("default" = {}))]
    pub(super) drop: Vec<(Located<Package>, Located<Reason>)>,
    /// Packages that must not be chosen, even as an alternative, each with the reason.
    #[schemars(with = "Option<BTreeMap<String, String>>", extend("default" = {}))]
    pub(super) exclude: Vec<(Located<Package>, Located<Reason>)>,
}

/// Downloads that are no packages, by the names that `profiles/artifacts.toml` gives them.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename = "artifacts", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawArtifacts {
    /// Artifacts of the root.
    #[schemars(with = "Option<Vec<String>>", extend("default" = []))]
    pub(super) install: Vec<Located<DnsLabel>>,
    /// Artifacts that are not wanted; they need not be inherited.
    #[schemars(with = "Option<Vec<String>>", extend("default" = []))]
    pub(super) remove: Vec<Located<DnsLabel>>,
}

/// Kernel, its arguments and its modules.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename = "kernel", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawKernel {
    /// Package that brings the kernel or depends on it; needed for every architecture that is built.
    #[schemars(with = "Option<String>")]
    pub(super) package: Option<Located<Package>>,
    /// Arguments that every node of the profile needs, in order.
    #[schemars(with = "Option<Vec<String>>", extend("default" = []))]
    pub(super) command_line: Vec<Located<Argument>>,
    /// Modules of the initrd, with those that they depend on.
    #[schemars(with = "Option<Vec<String>>", extend("default" = []))]
    pub(super) initrd_modules: Vec<Located<Module>>,
    /// Modules that are loaded at every boot.
    #[schemars(with = "Option<Vec<String>>", extend("default" = []))]
    pub(super) load_modules: Vec<Located<Module>>,
}

/// The root file system.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename = "root", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawRoot {
    /// How files are compressed.
    // `None` inside is the word `none`.
    #[schemars(with = "Option<String>", extend("enum" = ["lz4hc", "zstd", "none"], "default" = "none"))]
    pub(super) compression: Option<Located<Option<Algorithm>>>,
    /// How hard the compressor tries: `lz4hc` 3 to 12, by default 5; `zstd` 1 to 22, by default 3.
    pub(super) level: Option<Located<u8>>,
    /// Size of what is compressed in one piece, a power of two from `4 KiB` to `1 MiB`; by default `64 KiB` for
    /// `lz4hc`, `128 KiB` for `zstd`.
    #[schemars(with = "Option<String>")]
    pub(super) cluster_size: Option<Located<Size>>,
}

/// Firmware of devices and processors.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename = "firmware", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawFirmware {
    /// Packages of which only those firmware files stay that a module names; microcode goes in front of the initrd.
    #[schemars(with = "Option<Vec<String>>", extend("default" = []))]
    pub(super) packages: Vec<Located<Package>>,
}

/// What is left out of the packages.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "exclude", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawExclusion {
    /// Patterns of paths below the root; `*` stays within a folder, `**` does not.
    #[schemars(required, with = "Vec<String>")]
    pub(super) paths: Vec<Located<Pattern>>,
    /// Patterns of what stays all the same.
    #[schemars(with = "Option<Vec<String>>", extend("default" = []))]
    pub(super) except: Vec<Located<Pattern>>,
    /// Why nobody misses it.
    #[schemars(required, with = "String")]
    pub(super) reason: Option<Located<Reason>>,
}

/// A file or link that the profile adds, over what packages and the build place there; it has `text` or `symlink`.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "file", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawFile {
    /// The table's header.
    #[schemars(skip)]
    pub(super) span: Span,
    /// Path below the root, without leading slash. Not below `/var`, `/home`, `/root` and other folders that a node
    /// has elsewhere, nor users and groups: `check` says what to do instead.
    #[schemars(required, with = "String")]
    pub(super) path: Option<Located<RootPath>>,
    /// Content of a file.
    pub(super) text: Option<Located<String>>,
    /// Target of a symbolic link.
    pub(super) symlink: Option<Located<String>>,
    /// Permission bits of a file, in octal.
    #[schemars(with = "Option<String>", extend("default" = "0644"))]
    pub(super) mode: Option<Located<Mode>>,
}

/// Which systemd units start. What a profile says of a unit replaces what the inherited one says.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename = "units", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawUnits {
    /// Units that start as their `[Install]` section says.
    #[schemars(with = "Option<Vec<String>>", extend("default" = []))]
    pub(super) enable: Vec<Located<Unit>>,
    /// Units that do not start by themselves, though a package's preset starts them.
    #[schemars(with = "Option<Vec<String>>", extend("default" = []))]
    pub(super) disable: Vec<Located<Unit>>,
    /// Units that nothing can start.
    #[schemars(with = "Option<Vec<String>>", extend("default" = []))]
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

/// The keys of the table itself, and below each architecture the same again.
impl<T: JsonSchema> JsonSchema for PerArch<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}-per-architecture", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = T::json_schema(generator);
        let own = generator.subschema_for::<T>().to_value();
        if let Some(Value::Object(properties)) = schema.get_mut("properties") {
            for arch in [Arch::Amd64, Arch::Arm64] {
                let mut table = own.clone();
                table["description"] = json!(format!("The same keys, for {arch} alone."));
                properties.insert(arch.debian().to_owned(), table);
            }
        }
        schema
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
        Self {
            version: file.required("version").integer(VERSION, VERSION),
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
