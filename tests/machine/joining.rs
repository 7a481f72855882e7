//! A cluster whose machines join: a cluster file with an identity, and what its operator does.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;

use anyhow::{Context as _, bail};
use imgbuild::cluster::Cluster;
use imgbuild::identity::{Access, Identity};
use imgbuild::operator;

use crate::Power;

/// A cluster, and its operator.
#[derive(Debug)]
pub struct Joining {
    cluster: Cluster,
    identity: Identity,
    path: PathBuf,
}

/// What came of a push.
pub type Pushed = Receiver<Result<(), String>>;

impl Joining {
    /// Opens the cluster of a cluster file by the key file that `imgbuild` made in `keys`.
    pub(crate) fn load(file: &Path, keys: &Path) -> anyhow::Result<Self> {
        let cluster = Cluster::load(file)?;
        let key_file = keys.join(format!("{}.key", cluster.name));
        let access = Access { key_files: vec![key_file], passphrase: None };
        let path = file.with_file_name("identity.age");
        let (identity, _) = Identity::open(&path, &access)?;
        Ok(Self { cluster, identity, path })
    }

    /// What `node` is switched on with, in files below `folder`, and what is pushed to it.
    pub fn power(&self, node: &str, folder: &Path) -> anyhow::Result<(Power, Option<Pushed>)> {
        let Ok(node) = self.cluster.node(node) else { bail!("the cluster has no node `{node}`") };
        let folder = folder.join(format!("given-{}", node.name));
        fs::create_dir(&folder).context("making a folder for what a node is given")?;
        let secrets = self.identity.cluster(&self.path)?;
        let given = operator::joining(&self.cluster, node, secrets, &folder)?;
        let pushed = given.push.map(operator::Push::begin).transpose()?;
        Ok((Power { given: given.items, forwards: given.forwards, ..Power::default() }, pushed))
    }
}
