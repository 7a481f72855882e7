//! Debian's kubectl finds a Kubernetes.

use std::fs;
use std::path::Path;

use crate::process::{self, Server};

const CONFIG_MAP: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: default}\ndata: {k: v}\n";

#[test]
fn kubectl_reads_writes_and_removes() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &["--node-name=cp-1", "--node-ip=127.0.0.1"]).ready();
    process::wait_for(
        "node",
        || server.kubectl(&["get", "node", "cp-1"]).status.success(),
        || server.process.log(),
    );
    let nodes = server.run(&["get", "nodes"]);
    let row: Vec<&str> = nodes.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!((row[0], row[1], row[4]), ("cp-1", "Ready", "v1.36.4+k3s1-stand-in"), "{nodes}");
    assert!(server.run(&["version"]).contains("Server Version: v1.36.4+k3s1-stand-in"));
    assert!(server.run(&["api-resources"]).contains("configmaps"));

    assert_eq!(server.run_with(&["apply", "-f", "-"], CONFIG_MAP), "configmap/a created\n");
    assert_eq!(server.run_with(&["apply", "-f", "-"], CONFIG_MAP), "configmap/a unchanged\n");
    let changed = CONFIG_MAP.replace("k: v", "k: w");
    assert_eq!(server.run_with(&["apply", "-f", "-"], &changed), "configmap/a configured\n");
    assert_eq!(server.run(&["get", "cm", "a", "-o=jsonpath={.data.k}"]), "w");
    let error = server.refused(&["create", "-f", "-"], CONFIG_MAP);
    assert_eq!(
        error,
        "Error from server (AlreadyExists): error when creating \"STDIN\": configmaps \"a\" already exists"
    );
    assert_eq!(server.run(&["delete", "cm", "a"]), "configmap \"a\" deleted from default namespace\n");
    assert_eq!(
        server.refused(&["get", "cm", "a"], ""),
        "Error from server (NotFound): configmaps \"a\" not found"
    );

    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec:\n  selector: {matchLabels: {a: b}}\n  template:\n    metadata: {labels: {a: b}}\n    spec:\n      containers: [{name: c, image: i:1}, {name: e, image: i:1}]\n";
    server.run_with(&["apply", "-f", "-"], deployment);
    let fewer = deployment.replace(", {name: e, image: i:1}", "").replace("i:1", "i:2");
    server.run_with(&["apply", "-f", "-"], &fewer);
    assert_eq!(server.run(&["get", "deploy", "d", "-o=jsonpath={..containers[*].image}"]), "i:2");
    server.run(&["set", "image", "deploy/d", "c=i:3"]);
    server.run(&["label", "deploy", "d", "x=y"]);
    assert_eq!(server.run(&["get", "deploy", "-l", "x=y", "-o=name"]), "deployment.apps/d\n");
    server.run_with(&["create", "-f", "-"], "apiVersion: v1\nkind: Namespace\nmetadata: {name: 'n'}\n");
    server.run_with(
        &["create", "-f", "-"],
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: 'n'}\nstringData: {a: b}\n",
    );
    server.run(&["delete", "namespace", "n"]);
    assert!(server.refused(&["get", "secret", "s", "-n=n"], "").contains("not found"));
}

/// These send protobuf.
#[test]
fn typed_commands_work() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &["--disable-agent"]).ready();
    assert_eq!(server.run(&["create", "namespace", "one"]), "namespace/one created\n");
    server.run(&["create", "secret", "generic", "s", "-n=one", "--from-literal=a=b"]);
    assert_eq!(server.run(&["get", "secret", "s", "-n=one", "-o=jsonpath={.data.a} {.type}"]), "Yg== Opaque");
    server.run(&["create", "configmap", "c", "--from-literal=a=b"]);
    assert_eq!(server.run(&["get", "cm", "c", "-o=jsonpath={.data.a}"]), "b");
    server.run(&["create", "clusterrole", "r", "--verb=get", "--resource=secrets"]);
    server.run(&["create", "clusterrolebinding", "b", "--clusterrole=r", "--group=approvers"]);
    let role = ["get", "clusterrolebinding", "b", "-o=jsonpath={.roleRef.name} {.subjects[0].name}"];
    assert_eq!(server.run(&role), "r approvers");
    assert_eq!(server.run(&["auth", "can-i", "delete", "nodes"]), "yes\n");
    assert!(server.run(&["auth", "whoami"]).contains("system:admin"));
    let error = server.refused(&["create", "deployment", "p", "--image=i"], "");
    assert!(error.contains("the k3s stand-in reads no `Deployment` of `apps/v1` in protobuf"), "{error}");
}

#[test]
fn server_side_apply_keeps_owners() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &["--disable-agent"]).ready();
    let apply = ["apply", "--server-side", "-f", "-"];
    for _ in 0..2 {
        assert_eq!(server.run_with(&apply, CONFIG_MAP), "configmap/a serverside-applied\n");
    }
    let version = ["get", "cm", "a", "-o=jsonpath={.metadata.resourceVersion}"];
    let before = server.run(&version);
    server.run_with(&apply, CONFIG_MAP);
    assert_eq!(server.run(&version), before, "nothing has changed");
    let other = CONFIG_MAP.replace("k: v", "k: w");
    let error = server.refused(&["apply", "--server-side", "--field-manager=other", "-f", "-"], &other);
    assert!(error.contains("conflict with \"kubectl\" using v1: .data.k"), "{error}");
    server.run_with(
        &["apply", "--server-side", "--field-manager=other", "--force-conflicts", "-f", "-"],
        &other,
    );
    assert_eq!(server.run(&["get", "cm", "a", "-o=jsonpath={.data.k}"]), "w");
    // From client-side to server-side, which rewrites the list of owners.
    let old = CONFIG_MAP.replace("name: a", "name: b");
    server.run_with(&["apply", "-f", "-"], &old);
    server.run_with(&apply, &old.replace("k: v", "k: w"));
    assert_eq!(server.run(&["get", "cm", "b", "-o=jsonpath={.data.k}"]), "w");
}

#[test]
fn argocd_is_applied_whole_and_its_kinds_work() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &["--disable-agent"]).ready();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/argocd-v3.5.1-install.yaml.zst");
    let manifest = zstd::decode_all(fs::File::open(path).unwrap()).unwrap();
    let file = folder.path().join("argocd.yaml");
    fs::write(&file, manifest).unwrap();
    server.run_with(&["create", "-f", "-"], "apiVersion: v1\nkind: Namespace\nmetadata: {name: argocd}\n");
    let apply = ["apply", "--server-side", "-n=argocd", "-f", file.to_str().unwrap()];
    let applied = server.run(&apply);
    assert_eq!(applied.lines().filter(|line| line.ends_with(" serverside-applied")).count(), 59, "{applied}");
    server.run(&apply);
    server.run(&["wait", "--for=condition=established", "crd/applications.argoproj.io", "--timeout=10s"]);
    let application = "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: root, namespace: argocd, finalizers: [resources-finalizer.argocd.argoproj.io]}\nspec:\n  project: default\n  destination: {server: 'https://kubernetes.default.svc', namespace: argocd}\n  source: {repoURL: 'https://example.org/x.git', path: deployment}\n";
    server.run_with(&["apply", "--server-side", "-f", "-"], application);
    let table = server.run(&["get", "apps", "-n=argocd"]);
    assert!(table.starts_with("NAME   SYNC STATUS   HEALTH STATUS"), "{table}");
    let typo = application.replace("project:", "projekt:");
    let error = server.refused(&["apply", "-f", "-"], &typo);
    assert!(error.contains("unknown field \"spec.projekt\""), "{error}");
    let error = server.refused(&["apply", "-f", "-", "--validate=false"], &typo.replace("root", "other"));
    assert!(error.contains("spec.project: Required value"), "{error}");
    assert!(server.run(&["explain", "application.spec"]).contains("syncPolicy"));
    server.run(&["delete", "app", "root", "-n=argocd", "--wait=false"]);
    server.run(&[
        "patch",
        "app",
        "root",
        "-n=argocd",
        "--type=json",
        "-p=[{\"op\":\"remove\",\"path\":\"/metadata/finalizers\"}]",
    ]);
    assert!(server.refused(&["get", "app", "root", "-n=argocd"], "").contains("NotFound"));
}

#[test]
fn watches_see_what_happens() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &["--disable-agent"]).ready();
    std::thread::scope(|scope| {
        let watching = scope.spawn(|| {
            server.kubectl(&[
                "get",
                "cm",
                "-n=default",
                "--watch",
                "--output-watch-events",
                "-o=jsonpath={.type} {.object.metadata.name}{'\\n'}",
                "--request-timeout=6s",
            ])
        });
        std::thread::sleep(std::time::Duration::from_secs(2));
        server.run_with(&["apply", "-f", "-"], CONFIG_MAP);
        server.run(&["label", "cm", "a", "x=y"]);
        server.run(&["delete", "cm", "a"]);
        let output = watching.join().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(text, "ADDED a\nMODIFIED a\nDELETED a\n", "{}", String::from_utf8_lossy(&output.stderr));
    });
}

#[test]
fn objects_outlive_kill_9_and_manifests_are_applied_again() {
    let folder = tempfile::tempdir().unwrap();
    let manifests = folder.path().join("var/lib/rancher/k3s/server/manifests");
    fs::create_dir_all(&manifests).unwrap();
    fs::write(manifests.join("a.yaml"), CONFIG_MAP).unwrap();
    let server = Server::start(folder.path(), &["--disable-agent"]).ready();
    let data = |server: &Server| server.kubectl(&["get", "cm", "a", "-o=jsonpath={.data.k}"]).stdout;
    process::wait_for("manifest", || data(&server) == b"v", || server.process.log());
    server.run(&["patch", "cm", "a", "--type=merge", "-p={\"data\":{\"k\":\"changed\"}}"]);
    server.run_with(&["create", "-f", "-"], &CONFIG_MAP.replace("name: a", "name: kept"));
    let token = server.token();
    let (root, ca) = (server.root.clone(), fs::read(server.data().join("server/tls/server-ca.crt")).unwrap());
    server.process.kill();
    let server = Server::start(&root, &["--disable-agent"]).ready();
    server.run(&["get", "cm", "kept"]);
    process::wait_for("manifest again", || data(&server) == b"v", || server.process.log());
    assert_eq!(
        (server.token(), fs::read(server.data().join("server/tls/server-ca.crt")).unwrap()),
        (token, ca)
    );
}
