//! The table of reviewed packages, `reviewed.toml`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;
use std::str::FromStr;

use thiserror::Error;

use crate::diagnostic::{Faults, Located, Report, Table};
use crate::profile::value::Package;
use crate::rootfs::setup::declared::Declared;
use crate::rootfs::setup::{NOTIONS, STEPS};
use crate::settings::{self, ReadError};
use crate::units::Sha256;

/// The table beside the cluster file.
pub const FILE: &str = "reviewed.toml";

/// The table that ships with the program.
const BUILT_IN: &str = include_str!("reviewed.toml");

/// The one name with a version that the table leaves open: any kernel.
const KERNELS: &str = "linux-image-*";

/// Why a text can't stand in a review.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
enum ReviewError {
    /// No package.
    #[error("`{name}` is no Debian package name such as `openssh-server`, nor `{KERNELS}`")]
    Name {
        /// The text.
        name: String,
    },
    /// A review says why it is enough.
    #[error("the note is empty")]
    NoNote,
}

/// A package, or every kernel.
struct Name(String);

/// What a person writes to others, never empty.
struct Note(String);

impl FromStr for Name {
    type Err = ReviewError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        if name == KERNELS || name.parse::<Package>().is_ok() {
            return Ok(Self(name.to_owned()));
        }
        Err(ReviewError::Name { name: name.to_owned() })
    }
}

impl FromStr for Note {
    type Err = ReviewError;

    fn from_str(note: &str) -> Result<Self, Self::Err> {
        if note.trim().is_empty() { Err(ReviewError::NoNote) } else { Ok(Self(note.to_owned())) }
    }
}

/// What a person found in a package's scripts.
#[derive(Clone, Debug, Default)]
pub struct Review {
    /// Package name; `linux-image-*` is every kernel.
    pub name: String,
    /// Digests of the reviewed forms of `preinst`.
    preinst: Vec<Sha256>,
    /// Digests of the reviewed forms of `postinst`.
    postinst: Vec<Sha256>,
    /// Digests of the reviewed forms of `config`.
    config: Vec<Sha256>,
    /// Digests of the reviewed forms of `triggers`.
    triggers: Vec<Sha256>,
    /// Setup steps that stand for the scripts, by name.
    pub steps: Vec<String>,
    /// What the scripts do and why it needs nothing more.
    pub note: String,
    /// What is to be done instead, beyond the general generators.
    pub setup: Declared,
}

/// An entry as it stands; what is absent or wrong is recorded as a fault.
struct RawReview {
    name: Option<Located<Name>>,
    note: Option<Located<Note>>,
    /// The rest, without name and note.
    review: Review,
}

impl RawReview {
    fn read(table: &mut Table<'_>) -> Self {
        let steps: Vec<_> =
            STEPS.iter().map(|step| step.name).chain(NOTIONS.iter().map(|(notion, _)| *notion)).collect();
        let mut digests = |script| values(table.optional(script).list());
        let [preinst, postinst, config, triggers] =
            ["preinst", "postinst", "config", "triggers"].map(&mut digests);
        Self {
            name: table.required("name").parsed(),
            note: table.required("note").parsed(),
            review: Review {
                name: String::new(),
                preinst,
                postinst,
                config,
                triggers,
                steps: values(table.optional("steps").names("setup step", &steps)),
                note: String::new(),
                setup: table.optional("setup").table(Declared::read).unwrap_or_default(),
            },
        }
    }
}

fn values<T>(list: Vec<Located<T>>) -> Vec<T> {
    list.into_iter().map(|located| located.value).collect()
}

impl Review {
    /// Digests of the reviewed forms of script `name`.
    pub fn digests(&self, name: &str) -> &[Sha256] {
        match name {
            "preinst" => &self.preinst,
            "postinst" => &self.postinst,
            "config" => &self.config,
            "triggers" => &self.triggers,
            _ => &[],
        }
    }

    fn merge(&mut self, other: Self) {
        self.preinst.extend(other.preinst);
        self.postinst.extend(other.postinst);
        self.config.extend(other.config);
        self.triggers.extend(other.triggers);
        self.note = other.note;
        if !other.steps.is_empty() {
            self.steps = other.steps;
        }
        if other.setup != Declared::default() {
            self.setup = other.setup;
        }
    }
}

/// Reviews by package name.
#[derive(Clone, Debug, Default)]
pub struct ReviewTable {
    reviews: BTreeMap<String, Review>,
}

impl ReviewTable {
    /// The built-in table, and what `reviewed.toml` in `directory` adds to it.
    pub fn load(directory: &Path) -> Result<Self, ReadError> {
        let mut table = Self::built_in()?;
        let path = directory.join(FILE);
        // Shown without the leading `./` that a cluster file in the working directory brings.
        let path = path.strip_prefix(".").unwrap_or(&path);
        match settings::read(path) {
            Ok(text) => table.extend(Self::parse(&path.display().to_string(), &text)?),
            Err(ReadError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(table)
    }

    /// The table that ships with the program.
    pub fn built_in() -> Result<Self, Faults> {
        Self::parse(&format!("<imgbuild>/{FILE}"), BUILT_IN)
    }

    /// Reads a table that is shown as `name`.
    pub fn parse(name: &str, text: &str) -> Result<Self, Faults> {
        let report = Report::new(name, text);
        let raw = report.read(|file| file.optional("package").tables(RawReview::read));
        let table = raw.and_then(|reviews| Self::check(reviews, &report));
        report.finish(table)
    }

    /// `None` only after a recorded fault.
    fn check(raw: Vec<RawReview>, report: &Report) -> Option<Self> {
        let mut lines: BTreeMap<String, usize> = BTreeMap::new();
        for Located { value: Name(name), span } in raw.iter().filter_map(|raw| raw.name.as_ref()) {
            match lines.entry(name.clone()) {
                Entry::Occupied(first) => {
                    report.fault(span, format!("`{name}` has an entry in line {} already", first.get()));
                }
                Entry::Vacant(place) => drop(place.insert(report.line(span))),
            }
        }
        let mut table = Self::default();
        for RawReview { name, note, review } in raw {
            let (name, note) = (name?.value.0, note?.value.0);
            table.reviews.insert(name.clone(), Review { name, note, ..review });
        }
        Some(table)
    }

    /// Adds the entries of `other`.
    ///
    /// For a package that has one already, digests are added, so that a reviewed newer script keeps
    /// the setup declared for it; steps and setup are replaced where `other` states any.
    pub fn extend(&mut self, other: Self) {
        for (name, review) in other.reviews {
            match self.reviews.entry(name) {
                Entry::Vacant(place) => drop(place.insert(review)),
                Entry::Occupied(mut known) => known.get_mut().merge(review),
            }
        }
    }

    /// The entry of package `name`.
    pub fn get(&self, name: &str) -> Option<&Review> {
        self.reviews.get(name)
    }

    /// All entries, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &Review> {
        self.reviews.values()
    }
}
