//! `profiles/artifacts.toml`: pinned downloads that are no Debian packages, and where they go in a root.
//!
//! The program's own file always counts; one beside the cluster file adds artifacts to it or replaces
//! single ones.

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::path::Path;

use serde::Serialize;

use super::value::{DownloadUrl, Mode, Pattern, Reason, Release, RootPath};
use crate::cluster::DnsLabel;
use crate::diagnostic::table::Entry;
use crate::diagnostic::{Faults, Located, Report, Span, Table, listed};
use crate::settings::{self, Kind, ReadError, Settings};
use crate::spelling::did_you_mean;
use crate::units::{Arch, Bytes, Sha256};

/// The only version of the file so far.
const VERSION: u32 = 1;
/// Its name among the profiles, without `.toml`.
const NAME: &str = "artifacts";
/// Permission bits of a file that names none.
const MODE: u16 = 0o644;
/// What stands in a path for the digest of the file.
const DIGEST: &str = "{digest}";

/// A pinned download, for one architecture.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Artifact {
    /// What people call it, `k3s`.
    pub name: String,
    /// Its project's version, `v1.36.4+k3s1`.
    pub version: String,
    /// Where it is published.
    pub url: String,
    /// Digest of the published file.
    pub sha256: Sha256,
    /// Size of the published file, where it is known.
    pub size: Option<Bytes>,
    /// Who vouches for the digest, in words.
    pub evidence: String,
    /// Where it goes.
    pub placement: Placement,
}

/// How an artifact lies in the root.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// As it is.
    Whole {
        /// Path below the root, in which `{digest}` stands for the first 16 digits of its SHA-256.
        path: String,
        /// Permission bits.
        mode: u16,
    },
    /// Single files of a tar archive that is compressed by gzip.
    Members {
        /// Which files, and where to.
        members: Vec<Member>,
    },
    /// The objects of a Kubernetes manifest, as firstboot applies them.
    Manifest {
        /// Path below the root of the list in JSON.
        path: String,
        /// The namespace of objects that name none.
        namespace: String,
    },
    /// A k3s release, unpacked to `data/<digest>` below a folder.
    K3s {
        /// The folder below the root.
        folder: String,
    },
}

/// A file of an archive.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Member {
    /// A glob that fits one file of the archive, `*/tailscale`.
    pub pattern: String,
    /// Path below the root.
    pub path: String,
}

/// All artifacts that are declared, by name.
#[derive(Debug)]
pub(super) struct Declared {
    artifacts: BTreeMap<String, RawArtifact>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Unpack {
    Members,
    K3s,
    Manifest,
}

/// `[[artifact]]`.
#[derive(Debug)]
struct RawArtifact {
    span: Span,
    name: Option<Located<DnsLabel>>,
    version: Option<Located<Release>>,
    unpack: Option<Located<Unpack>>,
    to: Option<Located<RootPath>>,
    mode: Option<Located<Mode>>,
    namespace: Option<Located<DnsLabel>>,
    members: Vec<(Located<Pattern>, Located<RootPath>)>,
    /// Whether `unpack`, `to`, `members` and `namespace` are given, in whatever form.
    is_given: [bool; 4],
    amd64: Option<Source>,
    arm64: Option<Source>,
}

/// `[artifact.amd64]`.
#[derive(Debug)]
struct Source {
    url: Option<Located<DownloadUrl>>,
    sha256: Option<Located<Sha256>>,
    size: Option<Located<u64>>,
    evidence: Option<Located<Reason>>,
}

impl Declared {
    /// Reads the program's file and the one beside the cluster file in `directory`.
    pub(super) fn load(directory: &Path) -> Result<Result<Self, Faults>, ReadError> {
        let mut all = Self { artifacts: BTreeMap::new() };
        let own = settings::beside(Kind::Profile, NAME, directory)?;
        for settings in settings::embedded(Kind::Profile, NAME).into_iter().chain(own) {
            match read(&settings) {
                Ok(artifacts) => all.artifacts.extend(artifacts),
                Err(faults) => return Ok(Err(faults)),
            }
        }
        Ok(Ok(all))
    }

    /// Records a name that nothing has.
    pub(super) fn check_name(&self, name: &Located<DnsLabel>, report: &Report) {
        let Located { value, span } = name;
        if self.artifacts.contains_key(value.as_str()) {
            return;
        }
        let names = || self.artifacts.keys().map(String::as_str);
        let help = did_you_mean(value.as_str(), names()).map_or_else(
            || format!("known are {}", listed(names())),
            |near| format!("did you mean `{near}`?"),
        );
        report.fault_with_help(span, format!("there is no artifact `{value}`"), help);
    }

    /// The artifact that a profile names, for `arch`; records what is wrong with the name.
    pub(super) fn find(&self, name: &Located<DnsLabel>, arch: Arch, report: &Report) -> Option<Artifact> {
        self.check_name(name, report);
        let artifact = self.artifacts.get(name.value.as_str())?.resolve(arch);
        if artifact.is_none() {
            report.fault(&name.span, format!("artifact `{}` is not declared for {arch}", name.value));
        }
        artifact
    }
}

fn read(settings: &Settings) -> Result<BTreeMap<String, RawArtifact>, Faults> {
    let report = Report::new(&settings.shown, &settings.text);
    let raw = report.read(|file| {
        file.required("version").integer(VERSION, VERSION);
        file.optional("artifact").tables(RawArtifact::read)
    });
    let mut artifacts = BTreeMap::new();
    for artifact in raw.into_iter().flatten() {
        artifact.check(&report);
        let Some(Located { value, span }) = artifact.name.clone() else { continue };
        match artifacts.entry(value.to_string()) {
            btree_map::Entry::Vacant(place) => drop(place.insert(artifact)),
            btree_map::Entry::Occupied(first) => {
                let first: &RawArtifact = first.get();
                let line = first.name.as_ref().map_or(0, |name| report.line(&name.span));
                report.fault(&span, format!("`{value}` is declared in line {line} already"));
            }
        }
    }
    report.finish(Some(artifacts))
}

impl RawArtifact {
    fn read(table: &mut Table<'_>) -> Self {
        let name = table.required("name").parsed();
        let version = table.required("version").parsed();
        let [unpack, to, members, namespace] =
            ["unpack", "to", "members", "namespace"].map(|key| table.optional(key));
        Self {
            span: table.span(),
            name,
            version,
            is_given: [&unpack, &to, &members, &namespace].map(Entry::is_given),
            unpack: unpack.choice(&[
                ("tar.gz", Unpack::Members),
                ("k3s", Unpack::K3s),
                ("kubernetes", Unpack::Manifest),
            ]),
            to: to.parsed(),
            mode: table.optional("mode").parsed(),
            namespace: namespace.parsed(),
            members: members.map(),
            amd64: table.optional(Arch::Amd64.debian()).table(Source::read),
            arm64: table.optional(Arch::Arm64.debian()).table(Source::read),
        }
    }

    fn check(&self, report: &Report) {
        if self.amd64.is_none() && self.arm64.is_none() {
            report
                .fault(&self.span, "`[[artifact]]` names no source: `[artifact.amd64]`, `[artifact.arm64]`");
        }
        let [has_unpack, has_to, has_members, has_namespace] = self.is_given;
        if has_unpack && self.unpack.is_none() {
            // What else it needs depends on that.
            return;
        }
        let unpack = self.unpack.as_ref().map(|unpack| unpack.value);
        let is_of_members = unpack == Some(Unpack::Members);
        match (is_of_members, &self.to) {
            (true, Some(to)) => report.fault(&to.span, "`members` say where each file goes, not `to`"),
            (false, None) if !has_to => report.fault(&self.span, "`[[artifact]]` lacks the key `to`"),
            _ => {}
        }
        match (is_of_members, self.members.first()) {
            (true, None) if !has_members => {
                report.fault(&self.span, "`[[artifact]]` lacks the table `members`");
            }
            (false, Some((pattern, _))) => {
                report.fault(&pattern.span, "only an artifact with `unpack = \"tar.gz\"` has `members`");
            }
            _ => {}
        }
        match (unpack == Some(Unpack::Manifest), &self.namespace) {
            (true, None) if !has_namespace => {
                report.fault(&self.span, "`[[artifact]]` lacks the key `namespace`");
            }
            (false, Some(namespace)) => {
                report.fault(
                    &namespace.span,
                    "only an artifact with `unpack = \"kubernetes\"` has a `namespace`",
                );
            }
            _ => {}
        }
        if let (Some(_), Some(mode)) = (unpack, &self.mode) {
            report.fault(&mode.span, "what is unpacked brings its own modes");
        }
        let folders = self.members.iter().map(|(_, path)| path);
        for Located { value, span } in folders.chain(self.to.as_ref().filter(|_| unpack.is_some())) {
            if value.0.contains(DIGEST) {
                report.fault(span, format!("`{DIGEST}` has no place where something is unpacked"));
            }
        }
    }

    /// None where there is no source for `arch`, or where a fault was recorded.
    fn resolve(&self, arch: Arch) -> Option<Artifact> {
        let source = match arch {
            Arch::Amd64 => self.amd64.as_ref()?,
            Arch::Arm64 => self.arm64.as_ref()?,
        };
        Some(Artifact {
            name: self.name.as_ref()?.value.to_string(),
            version: self.version.as_ref()?.value.0.clone(),
            url: source.url.as_ref()?.value.0.clone(),
            sha256: source.sha256.as_ref()?.value,
            size: source.size.as_ref().map(|size| Bytes(size.value)),
            evidence: source.evidence.as_ref()?.value.0.clone(),
            placement: self.placement()?,
        })
    }

    fn placement(&self) -> Option<Placement> {
        let to = || Some(self.to.as_ref()?.value.0.clone());
        Some(match self.unpack.as_ref().map(|unpack| unpack.value) {
            None => {
                Placement::Whole { path: to()?, mode: self.mode.as_ref().map_or(MODE, |mode| mode.value.0) }
            }
            Some(Unpack::K3s) => Placement::K3s { folder: to()? },
            Some(Unpack::Manifest) => {
                Placement::Manifest { path: to()?, namespace: self.namespace.as_ref()?.value.to_string() }
            }
            Some(Unpack::Members) => {
                let member = |(pattern, path): &(Located<Pattern>, Located<RootPath>)| Member {
                    pattern: pattern.value.0.clone(),
                    path: path.value.0.clone(),
                };
                Placement::Members { members: self.members.iter().map(member).collect() }
            }
        })
    }
}

impl Source {
    fn read(table: &mut Table<'_>) -> Self {
        Self {
            url: table.required("url").parsed(),
            sha256: table.required("sha256").parsed(),
            size: table.optional("size").integer(1, i64::MAX.unsigned_abs()),
            evidence: table.required("evidence").parsed(),
        }
    }
}
