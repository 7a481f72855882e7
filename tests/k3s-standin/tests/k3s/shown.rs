//! What else the program shows.

use std::os::unix::net::UnixDatagram;

use crate::process::{self, Server};

#[test]
fn systemd_is_told_when_the_server_is_ready() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(process::PATIENCE)).unwrap();
    let server =
        Server::start_in(folder.path(), &["--disable-agent"], &[("NOTIFY_SOCKET", path.to_str().unwrap())]);
    let mut message = [0; 64];
    let length = socket.recv(&mut message).unwrap();
    assert_eq!(&message[..length], b"READY=1", "{}", server.process.log());
    assert!(server.process.log().lines().all(|line| line.ends_with("k3s=stand-in")));
}

/// An agent without uplink never turns active.
#[test]
fn systemd_is_told_of_an_agent_once_it_is_connected() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("s"), &["--disable-agent"]).ready();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let environment = [("NOTIFY_SOCKET", path.to_str().unwrap())];
    let (root, mut message) = (folder.path().join("a"), [0; 64]);
    let agent = server.agent_in(&root, "a", "wrong", &[], &environment);
    process::wait_for("refusal", || agent.log().contains("401"), || agent.log());
    socket.set_nonblocking(true).unwrap();
    let nothing = socket.recv(&mut message).unwrap_err();
    assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
    drop(agent);
    socket.set_nonblocking(false).unwrap();
    socket.set_read_timeout(Some(process::PATIENCE)).unwrap();
    let agent = server.agent_in(&root, "a", &server.token(), &[], &environment);
    let length = socket.recv(&mut message).unwrap();
    assert_eq!(&message[..length], b"READY=1", "{}", agent.log());
    server.run(&["get", "node", "a"]);
}

#[test]
fn a_server_remembers_that_it_has_begun() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &["--disable-agent", "--cluster-init"]).ready();
    let etcd = server.data().join("server/db/etcd");
    let name = std::fs::read_to_string(etcd.join("name")).unwrap();
    server.process.kill();
    // From now on it goes on with what it has, whatever it is told to join.
    let server = Server::start(folder.path(), &["--disable-agent", "--server=https://127.0.0.1:1"]).ready();
    assert_eq!(std::fs::read_to_string(etcd.join("name")).unwrap(), name);
    drop(server);
    let other = tempfile::tempdir().unwrap();
    let mut server = Server::start(other.path(), &["--disable-agent", "--server=https://127.0.0.1:1"]);
    let is_refused = || server.process.log().contains("can't join the server at https://127.0.0.1:1");
    process::wait_for("refusal", is_refused, || server.process.log());
    process::wait_until(|| server.process.has_ended());
}

/// The password file is the server's own word; a Secret of an earlier life does not lock it out.
#[test]
fn a_stale_secret_does_not_stop_a_server_s_own_node() {
    let folder = tempfile::tempdir().unwrap();
    let flags = ["--node-name=cp-1"];
    let server = Server::start(folder.path(), &flags).ready();
    let is_there = |server: &Server| server.kubectl(&["get", "node", "cp-1"]).status.success();
    process::wait_for("node", || is_there(&server), || server.process.log());
    server.process.kill();
    std::fs::write(folder.path().join("etc/rancher/node/password"), "another").unwrap();
    let server = Server::start(folder.path(), &flags).ready();
    let is_up = || server.process.log().matches("agent stand-in is up and running").count() == 2;
    process::wait_for("node again", is_up, || server.process.log());
    assert!(server.process.log().contains("NodePasswordValidationFailed"), "{}", server.process.log());
}

#[test]
fn a_release_holds_the_program_and_its_links() {
    let release = k3s_standin::pack::release(b"\x7fELF\x02program").unwrap();
    let at = release.windows(4).position(|bytes| bytes == [0x28, 0xb5, 0x2f, 0xfd]).unwrap();
    let archive = zstd::decode_all(&release[at..]).unwrap();
    let mut tar = tar::Archive::new(archive.as_slice());
    let paths: Vec<String> =
        tar.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect();
    for path in ["bin/k3s", "bin/k3s-agent", "bin/cni", "bin/host-local", "etc/stand-in"] {
        assert!(paths.contains(&path.to_owned()), "{paths:?}");
    }
}
