//! The GitOps tree that ArgoCD syncs: what depends on the cluster comes from one rendered file.
//!
//! All else in the tree is the same for every cluster and reads that file, so that nobody edits a value in two places.

mod values;
pub(crate) mod yaml;

use std::path::PathBuf;

use crate::cluster::Cluster;

/// Name of the rendered file.
pub const FILE_NAME: &str = "cluster-values.yaml";

/// The folder of the tree where the cluster file names none.
const FOLDER: &str = "deployment";

/// Why nobody should edit it.
const HEAD: &str =
    "# Made by `imgbuild deployment render` from cluster.toml; change that file and render again.\n";

/// Where the rendered file lies.
pub fn place(cluster: &Cluster) -> PathBuf {
    let folder = cluster.gitops.as_ref().map_or(FOLDER, |gitops| gitops.path.as_str());
    cluster.beside(folder).join(FILE_NAME)
}

/// The text of the rendered file: names of secrets, and no secret.
pub fn render(cluster: &Cluster) -> String {
    format!("{HEAD}{}", yaml::text(&values::of(cluster)))
}
