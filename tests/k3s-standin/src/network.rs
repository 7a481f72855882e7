//! Addresses and interfaces that must be there before k3s: without them it ends, and systemd starts it anew.
//!
//! Below `--root` they are those of a machine that this one is not, and nothing is looked at.

use std::io;
use std::net::{IpAddr, TcpListener};
use std::path::Path;

use thiserror::Error;

use crate::options::{Options, OptionsError};

/// What is missing.
#[derive(Debug, Error)]
pub enum NetworkError {
    /// An option.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// No address: etcd listens on it.
    #[error("listen tcp {address}:2380: {source}")]
    Address {
        /// Which.
        address: IpAddr,
        /// Why.
        source: io::Error,
    },
    /// No interface: flannel takes it.
    #[error("flannel exited: failed to find the interface `{name}`")]
    Interface {
        /// Which.
        name: String,
    },
}

/// A server's etcd listens on the node's address (k3s, `listenPeerURLs`).
pub fn check_address(options: &Options) -> Result<(), NetworkError> {
    match options.addresses("node-ip")?.first() {
        Some(address) if !is_elsewhere(options) => TcpListener::bind((*address, 0))
            .map(drop)
            .map_err(|source| NetworkError::Address { address: *address, source }),
        _ => Ok(()),
    }
}

/// Flannel's interface is looked up once, after the configuration was fetched.
pub fn check_interface(options: &Options) -> Result<(), NetworkError> {
    let name = options.text("flannel-iface");
    let is_there = || Path::new("/sys/class/net").join(name).exists();
    if name.is_empty() || is_elsewhere(options) || is_there() {
        return Ok(());
    }
    Err(NetworkError::Interface { name: name.to_owned() })
}

fn is_elsewhere(options: &Options) -> bool {
    !options.root.as_os_str().is_empty()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::options::Mode;

    fn options(arguments: &[&str]) -> Options {
        // No file of this machine is read.
        let environment = BTreeMap::from([("K3S_CONFIG_FILE".to_owned(), "/dev/null".to_owned())]);
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Options::read(Mode::Server, &arguments, &environment).unwrap()
    }

    #[test]
    fn what_is_missing_is_named() {
        check_address(&options(&["--node-ip=127.0.0.1"])).unwrap();
        check_interface(&options(&["--flannel-iface=lo"])).unwrap();
        // An address of documentation (RFC 5737) is nobody's.
        let error = check_address(&options(&["--node-ip=192.0.2.1"])).unwrap_err();
        assert!(error.to_string().starts_with("listen tcp 192.0.2.1:2380: "), "{error}");
        let error = check_interface(&options(&["--flannel-iface=nowhere0"])).unwrap_err();
        assert_eq!(error.to_string(), "flannel exited: failed to find the interface `nowhere0`");
        // `/dev/null` is the configuration file there too.
        check_address(&options(&["--node-ip=192.0.2.1", "--root=/dev"])).unwrap();
    }
}
