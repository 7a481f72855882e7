//! A cluster whose machines join: a cluster file with an identity, and what its operator does.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;
use std::time::SystemTime;

use anyhow::{Context as _, bail};
use firstboot::claim::store::Verdict;
use firstboot::record;
use firstboot::source::Item;
use imgbuild::cluster::Cluster;
use imgbuild::identity::{Access, Identity};
use imgbuild::operator;
use serde_json::json;

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

    /// What a box is switched on with that knows its cluster and not which node it is, in files below `folder`.
    pub fn newcomer(&self, folder: &Path) -> anyhow::Result<Power> {
        let record = self.identity.cluster(&self.path)?.record(&self.cluster);
        let path = folder.join("given-cluster");
        fs::write(&path, serde_json::to_vec(&record)?).context("writing the cluster record")?;
        Ok(Power { given: vec![(Item::Cluster, path)], ..Power::default() })
    }

    /// What an operator who takes a waiting box for `node` writes into its object, as a merge patch.
    pub fn approval(&self, node: &str) -> anyhow::Result<String> {
        let Ok(node) = self.cluster.node(node) else { bail!("the cluster has no node `{node}`") };
        let secrets = self.identity.cluster(&self.path)?;
        let record = record::sign(&self.cluster.record(node), &secrets.operator_key)?;
        let verdict = Verdict::Approved {
            node: node.name.to_string(),
            role: node.role,
            address: node.vpn_address,
            generation: SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs(),
            record: Some(record),
        };
        Ok(json!({ "spec": { "verdict": verdict } }).to_string())
    }
}
