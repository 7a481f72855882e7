//! Where a build's artifacts come from: files given by hand, the cache or their project; or nowhere.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Context as _;
use bytes::Bytes;
use serde::Serialize;

use super::super::Note as _;
use super::super::locking::Locking;
use crate::archive::lock::{LockedArtifact, Selection};
use crate::bundle::artifacts::{Artifacts, Supplied};
use crate::cluster::Cluster;
use crate::diagnostic::listed;
use crate::printer::Printer;
use crate::profile::{Placement, Profile};
use crate::regular_file;
use crate::spelling::did_you_mean;
use crate::units::{self, Sha256};

/// The longest file that is taken by hand: k3s' images, the largest artifact, are about 200 MiB, and a file is in memory
/// as a whole.
const LONGEST: units::Bytes = units::Bytes(2 << 30);

/// One `--artifact NAME=FILE`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Argument {
    name: String,
    file: PathBuf,
}

impl FromStr for Argument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((name, file)) if !name.is_empty() && !file.is_empty() => {
                Ok(Self { name: name.to_owned(), file: file.into() })
            }
            _ => Err("it has the form NAME=FILE".to_owned()),
        }
    }
}

/// What the command line says of artifacts.
#[derive(Debug, Default, Serialize)]
pub(super) struct Given {
    /// Files by the artifact's name.
    files: BTreeMap<String, File>,
    /// All others are left out.
    is_without_others: bool,
}

/// A file given by hand.
#[derive(Debug, Serialize)]
struct File {
    #[serde(skip)]
    path: PathBuf,
    #[serde(skip)]
    content: Bytes,
    sha256: Sha256,
}

impl Given {
    /// Reads the files; each name is one of the profile's artifacts.
    pub(super) fn read(
        arguments: &[Argument],
        is_without_others: bool,
        profile: &Profile,
    ) -> anyhow::Result<Self> {
        let mut files = BTreeMap::new();
        for Argument { name, file } in arguments {
            if !profile.artifacts.iter().any(|artifact| artifact.name == *name) {
                return Err(unknown(name, profile));
            }
            let content = regular_file::read(file, LONGEST)
                .with_context(|| format!("reading artifact `{name}` from `{}`", file.display()))
                .map_err(anyhow::Error::input)?;
            let sha256 = Sha256::of(&content);
            let given = File { path: file.clone(), sha256, content: content.into() };
            if files.insert(name.clone(), given).is_some() {
                return Err(anyhow::anyhow!("`--artifact` gives `{name}` twice").input());
            }
        }
        Ok(Self { files, is_without_others })
    }

    /// Refuses another k3s than the cluster's: node records and agents of two minor versions do not go
    /// together. Nobody knows what another file than the pinned one is.
    pub(super) fn refuse_other_k3s(
        &self,
        profile: &Profile,
        selection: &Selection,
        cluster: &Cluster,
    ) -> anyhow::Result<()> {
        let wanted = cluster.k3s.version.to_string();
        let is_k3s = |pinned: &LockedArtifact| {
            let mut declared = profile.artifacts.iter().filter(|artifact| artifact.name == pinned.name);
            declared.any(|artifact| matches!(artifact.placement, Placement::K3s { .. }))
        };
        for pinned @ LockedArtifact { name, version, .. } in &selection.artifacts {
            let is_in_image = match self.files.get(name) {
                Some(file) => file.sha256 == pinned.sha256,
                None => !self.is_without_others,
            };
            if is_in_image && is_k3s(pinned) && *version != wanted {
                let file = cluster.file.display();
                let fault = anyhow::anyhow!("`{file}` wants k3s {wanted}, artifact `{name}` is {version}");
                let hint = "`profiles/artifacts.toml` beside it declares another release, and \
                            `imgbuild lock --update` takes it";
                return Err(fault.input().hint(hint));
            }
        }
        Ok(())
    }

    /// The artifacts of a build: given files, then the cache and the network.
    pub(super) fn supply(
        &self,
        profile: &Profile,
        selection: &Selection,
        locking: &Locking<'_>,
    ) -> anyhow::Result<Artifacts> {
        let is_given = |artifact: &&LockedArtifact| self.files.contains_key(&artifact.name);
        let mut artifacts = Artifacts::default();
        let mut fetched = Vec::new();
        let (given, others): (Vec<_>, Vec<_>) = selection.artifacts.iter().partition(is_given);
        if self.is_without_others {
            artifacts.absent = others.into_iter().map(|artifact| artifact.name.clone()).collect();
        } else {
            fetched = others.into_iter().cloned().collect();
        }
        for pinned in given {
            let File { path, content, sha256 } = &self.files[&pinned.name];
            let given = supplied(pinned, content.clone(), *sha256, profile);
            artifacts.supplied.extend(given.map(|given| Supplied { file: Some(path.clone()), ..given }));
        }
        for (pinned, path) in fetched.iter().zip(locking.fetch_artifacts(&fetched)?) {
            let content = fs::read(&path).with_context(|| format!("reading `{}`", path.display()))?;
            artifacts.supplied.extend(supplied(pinned, content.into(), pinned.sha256, profile));
        }
        artifacts.supplied.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(artifacts)
    }
}

fn unknown(name: &str, profile: &Profile) -> anyhow::Error {
    let names = || profile.artifacts.iter().map(|artifact| artifact.name.as_str());
    let fault = anyhow::anyhow!("profile `{}` has no artifact `{name}`", profile.name).input();
    match did_you_mean(name, names()) {
        Some(near) => fault.hint(format!("did you mean `{near}`?")),
        None if profile.artifacts.is_empty() => fault,
        None => fault.hint(format!("its artifacts are {}", listed(names()))),
    }
}

/// An artifact whose file has this digest; none where the profile does not have it.
fn supplied(pinned: &LockedArtifact, content: Bytes, sha256: Sha256, profile: &Profile) -> Option<Supplied> {
    let declared = profile.artifacts.iter().find(|artifact| artifact.name == pinned.name)?;
    let version = (sha256 == pinned.sha256).then(|| pinned.version.clone());
    let placement = declared.placement.clone();
    Some(Supplied { name: pinned.name.clone(), version, file: None, content, sha256, placement })
}

/// Says what the image will say of itself.
pub(super) fn note(artifacts: &Artifacts, printer: &Printer) {
    for name in artifacts.unpinned() {
        printer.note(&format!("unpinned: {name}"));
    }
    for name in &artifacts.absent {
        printer.note(&format!("absent: {name}"));
    }
}
