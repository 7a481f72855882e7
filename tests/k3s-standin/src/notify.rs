//! systemd's notifications (`sd_notify(3)`).

use std::env;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use crate::output;

/// Tells the service manager, if there is one.
pub fn notify(state: &str) {
    let Ok(path) = env::var("NOTIFY_SOCKET") else { return };
    let address = match path.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&path),
    };
    let sent = address.and_then(|address| UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address));
    if let Err(error) = sent {
        output::error(&format!("notifying `{path}`: {error}"));
    }
}
