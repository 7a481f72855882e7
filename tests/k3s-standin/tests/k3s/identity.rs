//! A server takes the certificates that `imgbuild` makes, and is known by them before its first start.

use std::fs;

use imgbuild::identity::Authorities;
use imgbuild::units::Timestamp;

use crate::process::Server;

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
