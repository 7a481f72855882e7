//! What ArgoCD is told to sync.

use super::PlannedFile;
use crate::record::{Gitops, NodeRecord};

pub(super) fn summary(record: &NodeRecord) -> String {
    match &record.gitops {
        Some(gitops) => format!("installs ArgoCD, which syncs {}", gitops.repository),
        None => "installs ArgoCD; the cluster file names no repository to sync".to_owned(),
    }
}

/// What is applied besides ArgoCD itself.
pub(super) fn files(gitops: &Gitops) -> Vec<PlannedFile> {
    std::iter::once(root_application(gitops)).chain(access(gitops)).collect()
}

/// Where ArgoCD finds the key to the repository, and the host keys it is to trust besides those it knows.
fn access(gitops: &Gitops) -> Option<PlannedFile> {
    if gitops.deploy_key_secret.is_none() && gitops.known_hosts.is_empty() {
        return None;
    }
    let access = serde_json::json!({
        "repository": gitops.repository,
        "deployKeySecret": gitops.deploy_key_secret,
        "knownHosts": gitops.known_hosts,
    });
    Some(PlannedFile::new("/run/imgbuild/bootstrap/repository-access.json", 0o600, format!("{access:#}\n")))
}

/// The root application, as it is applied through the API.
fn root_application(gitops: &Gitops) -> PlannedFile {
    let manifest = serde_json::json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": { "name": "root", "namespace": "argocd" },
        "spec": {
            "project": "default",
            "source": {
                "repoURL": gitops.repository,
                "targetRevision": gitops.revision,
                "path": gitops.path,
            },
            "destination": { "server": "https://kubernetes.default.svc", "namespace": "argocd" },
            "syncPolicy": { "automated": { "prune": true, "selfHeal": true } },
        },
    });
    PlannedFile::new("/run/imgbuild/bootstrap/root-application.json", 0o600, format!("{manifest:#}\n"))
}
