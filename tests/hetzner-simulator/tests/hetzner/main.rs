//! The simulator whole: over HTTP, by independent clients and by one of our own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod client;
mod faults;
mod judges;
mod program;
mod rules;
mod servers;
