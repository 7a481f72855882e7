//! Servers of Hetzner Cloud: what the metadata service says of a server, and the user data that it was given.
//!
//! ```text
//! firstboot            no network yet: what the last boot kept is in force, or the machine is closed
//! firstboot metadata   by DHCP: asks until there is an answer -> that is in force, and kept
//! ```
//!
//! The service is asked at every boot, for networks come and go. Its address is link-local, and anybody may answer there
//! in another place: no other machine asks.

mod answers;
mod learning;
pub mod network;
mod service;
mod yaml;

use crate::converge::{ConvergeError, System};

pub use answers::KEPT;
pub(crate) use answers::{is_heard, known};
pub use learning::learn;
pub use network::{Network, NetworkError};
pub use service::Service;

/// What systems are called by their maker and by their kind (SMBIOS, type 1), with x86 and ARM processors alike.
const VENDOR: (&str, &str) = ("/sys/class/dmi/id/sys_vendor", "Hetzner");
const PRODUCT: (&str, &str) = ("/sys/class/dmi/id/product_name", "vServer");
/// The server's ID, readable by root alone.
const SERIAL: &str = "/sys/class/dmi/id/product_serial";
/// There on servers, for the unit that asks; on a tmpfs.
const MARK: &str = "/run/imgbuild/hetzner";

/// Whether this machine is a server of Hetzner Cloud.
pub fn is_here(system: &System) -> bool {
    [VENDOR, PRODUCT].into_iter().all(|(path, expected)| identity(system, path).as_deref() == Some(expected))
}

/// Tells who comes later in this boot that this is a server.
pub(crate) fn mark(system: &System) -> Result<(), ConvergeError> {
    if is_here(system) { system.ensure_file(MARK, b"", 0o644).map(drop) } else { Ok(()) }
}

/// The network of this server as far as it is known, and what is wrong with the rest of it.
pub(crate) fn network(system: &System) -> Result<(Network, Vec<NetworkError>), ConvergeError> {
    Ok(known(system)?.map(|known| known.network()).unwrap_or_default())
}

/// The server's ID as its firmware tells it.
fn serial(system: &System) -> Option<String> {
    identity(system, SERIAL)
}

/// A firmware that does not say it is as one that says nothing.
fn identity(system: &System, path: &str) -> Option<String> {
    let text = system.read(path).ok().flatten()?;
    let text = String::from_utf8_lossy(&text).trim().to_owned();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests;
