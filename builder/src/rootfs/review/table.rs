//! The table of reviewed packages, `reviewed.toml`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;

use crate::rootfs::setup::SetupError;
use crate::rootfs::setup::declared::Declared;
use crate::rootfs::setup::{NOTIONS, STEPS};
use crate::units::Sha256;

/// The table that ships with the program.
const BUILT_IN: &str = include_str!("reviewed.toml");

/// Why a table cannot be read.
#[derive(Debug, Error)]
pub enum TableError {
    /// It is not TOML of the right shape.
    #[error("the reviewed table is malformed")]
    Syntax(#[from] toml::de::Error),
    /// Two entries speak of one package.
    #[error("package `{name}` has two entries")]
    Twice {
        /// Package name.
        name: String,
    },
    /// The file beside the cluster file cannot be read.
    #[error("reading `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// What a person found in a package's scripts.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Review {
    /// Package name; `linux-image-*` is every kernel.
    pub name: String,
    /// Digests of the reviewed forms of `preinst`.
    #[serde(default)]
    preinst: Vec<Sha256>,
    /// Digests of the reviewed forms of `postinst`.
    #[serde(default)]
    postinst: Vec<Sha256>,
    /// Digests of the reviewed forms of `config`.
    #[serde(default)]
    config: Vec<Sha256>,
    /// Digests of the reviewed forms of `triggers`.
    #[serde(default)]
    triggers: Vec<Sha256>,
    /// Setup steps that stand for the scripts, by name.
    #[serde(default)]
    pub steps: Vec<String>,
    /// What the scripts do and why it needs nothing more.
    pub note: String,
    /// What is to be done instead, beyond the general generators.
    #[serde(default)]
    pub setup: Declared,
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTable {
    #[serde(default)]
    package: Vec<Review>,
}

impl ReviewTable {
    /// The built-in table, and what `reviewed.toml` in `directory` adds to it.
    pub fn load(directory: &Path) -> Result<Self, TableError> {
        let mut table = Self::built_in()?;
        let path = directory.join("reviewed.toml");
        match std::fs::read_to_string(&path) {
            Ok(text) => table.extend(Self::parse(&text)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(TableError::Read { path, source }),
        }
        Ok(table)
    }

    /// The table that ships with the program.
    pub fn built_in() -> Result<Self, TableError> {
        Self::parse(BUILT_IN)
    }

    /// Reads a table.
    pub fn parse(text: &str) -> Result<Self, TableError> {
        let raw: RawTable = toml::from_str(text)?;
        let mut table = Self::default();
        for review in raw.package {
            let name = review.name.clone();
            if table.reviews.insert(name.clone(), review).is_some() {
                return Err(TableError::Twice { name });
            }
        }
        Ok(table)
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

    /// Checks that every step an entry names exists.
    pub fn check_steps(&self) -> Result<(), SetupError> {
        let is_known = |name: &str| {
            STEPS.iter().any(|step| step.name == name) || NOTIONS.iter().any(|(notion, _)| *notion == name)
        };
        for review in self.iter() {
            if let Some(step) = review.steps.iter().find(|step| !is_known(step)) {
                return Err(SetupError::Step { package: review.name.clone(), step: step.clone() });
            }
        }
        Ok(())
    }
}
