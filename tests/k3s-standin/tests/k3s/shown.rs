//! What else the program shows.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

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
    drop(server);
    drop(socket);
    std::thread::sleep(Duration::from_millis(1));
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
