//! What a cluster begins with: the sealing key, the way to the repository, ArgoCD's real manifest, the application that
//! brings all others.

use anyhow::ensure;
use firstboot::serve::MADE_BEFORE;
use machine::Vm;

/// Repository of a cluster, for the end of its cluster file.
pub(super) const GITOPS: &str = "
[gitops]
repository = \"ssh://git@git.example.org/lab.git\"
deploy-key-secret = \"lab-repository\"
known-hosts = [\"git.example.org ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\"]
";

/// Asks the API by kubectl.
type Ask<'a> = &'a dyn Fn(&[&str]) -> anyhow::Result<String>;

pub(super) fn are_there(ask: Ask<'_>) -> anyhow::Result<()> {
    for (object, path, expected) in [
        ("configmap/imgbuild-bootstrap -n kube-system", "{.data.by} {.data.argocd}", "cp1 made"),
        ("secret/imgbuild-sealing-key -n kube-system", "{.type}", "kubernetes.io/tls"),
        // In base64.
        ("secret/lab-repository -n argocd", "{.data.type}", "Z2l0"),
        ("application/root -n argocd", "{.spec.source.repoURL}", "ssh://git@git.example.org/lab.git"),
        ("deployment/argocd-server -n argocd", "{.metadata.namespace}", "argocd"),
        ("clusterrolebinding/argocd-server", "{.subjects[0].namespace}", "argocd"),
    ] {
        let arguments: Vec<&str> = ["get"].into_iter().chain(object.split(' ')).collect();
        let found = ask(&[&arguments[..], &[&format!("-o=jsonpath={path}")]].concat())?;
        ensure!(found == expected, "{path} of {object} is `{found}`, not `{expected}`");
    }
    let hosts =
        ["get", "configmap/argocd-ssh-known-hosts-cm", "-n", "argocd", "-o=jsonpath={.data.ssh_known_hosts}"];
    let hosts = ask(&hosts)?;
    for host in ["git.example.org ssh-ed25519 ", "github.com ssh-ed25519 "] {
        ensure!(hosts.contains(host), "ArgoCD does not know {host}:\n{hosts}");
    }
    Ok(())
}

/// What people have changed since stays.
pub(super) fn are_made_once(ask: Ask<'_>, control_plane: &Vm) -> anyhow::Result<()> {
    let revision = r#"{"spec":{"source":{"targetRevision":"tried-out"}}}"#;
    ask(&["patch", "application/root", "-n", "argocd", "--type=merge", "-p", revision])?;
    ask(&["delete", "clusterrolebinding/argocd-server"])?;
    control_plane.run(&format!(
        "systemctl restart firstboot-serve
         for i in $(seq 60); do
             journalctl --unit firstboot-serve | grep -q \"{MADE_BEFORE}\" && exit; sleep 1
         done; exit 1"
    ))?;
    let revision = ["get", "application/root", "-n", "argocd", "-o=jsonpath={.spec.source.targetRevision}"];
    ensure!(ask(&revision)? == "tried-out", "the application is made anew at each start");
    let bindings = ask(&["get", "clusterrolebindings", "-o=name"])?;
    ensure!(
        !bindings.lines().any(|name| name.ends_with("/argocd-server")),
        "what was removed is there again:\n{bindings}"
    );
    Ok(())
}
