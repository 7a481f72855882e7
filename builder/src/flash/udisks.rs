//! udisks, which opens a stick for the person at the computer, who may not open its file (org.freedesktop.UDisks2.Block).

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::os::fd;
use std::time::Duration;

use thiserror::Error;
use tokio::runtime::Builder;
use zbus::connection;
use zbus::{OwnedFd, Variant};

const SERVICE: &str = "org.freedesktop.UDisks2";
const FOLDER: &str = "/org/freedesktop/UDisks2/block_devices";
const INTERFACE: &str = "org.freedesktop.UDisks2.Block";

/// How often it is asked whether anybody waits still, and for how long: ten minutes in all.
const PAUSE: Duration = Duration::from_millis(100);
const TRIES: u32 = 6000;

/// Why udisks does not open a disk.
#[derive(Debug, Error)]
pub enum UdisksError {
    /// There is no way to ask it.
    #[error("udisks, which could open it, cannot be asked")]
    Unreachable(#[source] zbus::Error),
    /// It does not answer on this computer, or says no.
    #[error("udisks does not open it")]
    Refused(#[source] zbus::Error),
    /// Nobody waits for it any more.
    #[error("udisks has not answered")]
    Stopped,
    /// Nothing can be waited for.
    #[error("waiting for udisks")]
    Runtime(#[from] io::Error),
}

/// Asks for the disk with this name, to read and write, with these flags of open(2). The desktop may ask a person for a
/// password meanwhile, which takes as long as it takes, while it `is_wanted`.
pub(super) fn open(name: &str, flags: i32, is_wanted: &dyn Fn() -> bool) -> Result<File, UdisksError> {
    open_at(connection::Builder::system(), name, flags, is_wanted)
}

fn open_at(
    bus: connection::Builder<'_>,
    name: &str,
    flags: i32,
    is_wanted: &dyn Fn() -> bool,
) -> Result<File, UdisksError> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let path = object(name);
    let opening = async {
        let bus = bus.build().await.map_err(UdisksError::Unreachable)?;
        let options = HashMap::from([("flags", Variant::from(flags))]);
        let body = ("rw", options);
        let answer = bus.call_method(Some(SERVICE), path.as_str(), Some(INTERFACE), "OpenDevice", &body);
        let answer = answer.await.map_err(UdisksError::Refused)?;
        let opened: OwnedFd = answer.body().deserialize().map_err(UdisksError::Refused)?;
        Ok(File::from(fd::OwnedFd::from(opened)))
    };
    let stopped = async {
        for _ in 0..TRIES {
            if !is_wanted() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    runtime.block_on(async {
        tokio::select! {
            biased;
            () = stopped => Err(UdisksError::Stopped),
            opened = opening => opened,
        }
    })
}

/// Its object; bytes that no path may have are `_` and two digits.
fn object(name: &str) -> String {
    let mut path = format!("{FOLDER}/");
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() {
            path.push(char::from(byte));
        } else {
            // Writing to a String cannot go wrong.
            let _ = write!(path, "_{byte:02x}");
        }
    }
    path
}

#[cfg(test)]
mod tests;
