//! Changes that commands make to the cluster file, which is a person's own.

use std::path::PathBuf;

use anyhow::Context as _;

use super::{Context, Note as _, failure, file};
use crate::cluster::Cluster;
use crate::cluster::edit::EditError;
use crate::settings;

/// A change that makes a good cluster file, and is not written yet.
pub(super) struct Change {
    /// The file.
    pub(super) path: PathBuf,
    /// The cluster that it describes then.
    pub(super) cluster: Cluster,
    text: String,
}

impl Change {
    /// Changes the text of the cluster file.
    pub(super) fn new(
        context: &Context,
        edit: impl FnOnce(&str) -> Result<String, EditError>,
    ) -> anyhow::Result<Self> {
        let path = context.cluster_file()?;
        let text = edit(&settings::read(&path)?).map_err(|fault| anyhow::Error::new(fault).input())?;
        let cluster = Cluster::with_text(&path, &text).map_err(failure::of_cluster)?;
        Ok(Self { path, cluster, text })
    }

    /// Writes it.
    pub(super) fn write(&self) -> anyhow::Result<()> {
        let Self { path, text, .. } = self;
        file::rewrite(path, text.as_bytes()).with_context(|| format!("writing `{}`", path.display()))
    }
}
