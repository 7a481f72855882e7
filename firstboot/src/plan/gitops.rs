//! What ArgoCD is told to sync.

use super::PlannedFile;
use crate::record::{Gitops, NodeRecord};

pub(super) fn summary(record: &NodeRecord) -> String {
    match &record.gitops {
        Some(gitops) => format!("installs ArgoCD, which syncs {}", gitops.repository),
        None => "installs ArgoCD; the cluster file names no repository to sync".to_owned(),
    }
}

/// The root application, as it is applied through the API.
pub(super) fn root_application(gitops: &Gitops) -> PlannedFile {
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
