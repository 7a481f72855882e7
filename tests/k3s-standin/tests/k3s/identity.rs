//! A server takes the certificates that `imgbuild` makes, and is known by them before its first start.

use std::fs;
use std::path::Path;

use firstboot::kubernetes::Api;
use firstboot::kubernetes::resources::Resources;
use firstboot::serve::rights_of_admins;
use imgbuild::identity::{Authorities, ClientCertificate, ClusterSecrets};
use imgbuild::kubeconfig::Kubeconfig;
use imgbuild::units::Timestamp;

use crate::process::{Server, wait_for};

/// As a user of kubectl has it.
fn kubeconfig(
    secrets: &ClusterSecrets,
    user: &str,
    client: &ClientCertificate,
    server: &Server,
    path: &Path,
) {
    let authorities = secrets.api_authorities().unwrap();
    let url = server.url();
    let config = Kubeconfig {
        cluster: "lab",
        user,
        server: &url,
        server_name: None,
        authorities: &authorities,
        client,
    };
    fs::write(path, config.to_yaml().as_bytes()).unwrap();
}

#[test]
fn kubectl_comes_in_by_a_certificate_that_was_minted_offline() {
    let folder = tempfile::tempdir().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = Timestamp(now.as_secs());
    let secrets = ClusterSecrets::generate("lab", now).unwrap();
    let tls = folder.path().join("s/var/lib/rancher/k3s/server/tls");
    fs::create_dir_all(tls.join("etcd")).unwrap();
    for (name, content) in secrets.k3s_files().unwrap() {
        fs::write(tls.join(name), content.as_bytes()).unwrap();
    }
    let token = format!("--token={}", *secrets.server_token().unwrap());
    let server = Server::start(&folder.path().join("s"), &["--disable-agent", &token]).ready();
    let path = |name: &str| folder.path().join(name);
    let hour = Timestamp(now.0 + 60 * 60);
    let operator = secrets.operator(now, hour).unwrap();
    let admin = secrets.admin("ada", now, hour).unwrap();
    kubeconfig(&secrets, "operator", &operator, &server, &path("operator"));
    kubeconfig(&secrets, "ada", &admin, &server, &path("ada"));
    let ask = |who: &str| server.kubectl_as(&path(who), &["get", "--raw=/api/v1/namespaces"]);
    assert!(ask("operator").status.success(), "{:?}", ask("operator"));
    // What an admin may is the cluster's to give.
    assert!(!ask("ada").status.success(), "the stand-in asks for no right");
    let address = server.url().trim_start_matches("https://").parse().unwrap();
    let parts = (secrets.api_authorities().unwrap(), operator.certificate, operator.key);
    let api = Api::new(address, parts.0.as_bytes(), parts.1.as_bytes(), parts.2.as_bytes()).unwrap();
    Resources::new(api).ensure(&rights_of_admins().unwrap()).unwrap();
    wait_for("the binding", || ask("ada").status.success(), || server.process.log());
}

#[test]
fn a_server_is_known_by_its_root_before_it_has_started() {
    let folder = tempfile::tempdir().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let authorities = Authorities::generate("lab", Timestamp(now.as_secs())).unwrap();
    let tls = folder.path().join("s/var/lib/rancher/k3s/server/tls");
    fs::create_dir_all(tls.join("etcd")).unwrap();
    for (name, content) in authorities.k3s_files().unwrap() {
        fs::write(tls.join(name), content.as_bytes()).unwrap();
    }
    let token = format!("K10{}::server:s3cret", authorities.hash().unwrap());
    // kubectl, which is Go, checks the chain as k3s does.
    let server =
        Server::start(&folder.path().join("s"), &["--disable-agent", &format!("--token={token}")]).ready();
    assert_eq!(server.token(), token);
    let agent = server.agent(&folder.path().join("a"), "edge-1", &token, &[]);
    server.wait_for_node("edge-1", "True", &agent);
}
