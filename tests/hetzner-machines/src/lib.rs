//! The Hetzner simulator with QEMU machines as its servers, on a network of their own.
//!
//! `hetzner-machines -- COMMAND` runs COMMAND where the simulator's servers can be reached: a namespace of networks, so
//! that an ordinary user may do it, with the API, the metadata service, name servers, and private networks. What it
//! started ends with it. Whatever it says on a terminal, it says that it is a simulator.
//!
//! - [`command`]: the command line, and its three stages
//! - `namespace`, `child`: the namespaces, and programs in them
//! - `network`, `lease`, `dhcp`, `metadata`, `dns`: what servers see of the provider
//! - `machines`, `server`, `machine`, `qemu`, `monitor`, `disk`: orders of the API, carried out
//! - `rescue`: the rescue system
//!
//! **Not simulated**: servers of architecture arm, firewalls, routes of private networks, interfaces that come or go
//! while a server is on (they do at its next start), two private networks of one range at the same time, the Internet.

mod child;
pub mod command;
mod dhcp;
mod disk;
mod dns;
mod facts;
mod lease;
mod machine;
mod machines;
mod metadata;
mod monitor;
mod namespace;
mod network;
mod qemu;
mod rescue;
mod server;

use std::io::Write as _;

/// Tells people what happens.
fn say(text: &str) {
    // Nobody may listen.
    drop(writeln!(std::io::stderr(), "Hetzner simulator: {text}"));
}
