//! The claim: the exchange of a ticket, a membership or an operator's approval for what a node needs to join.
//!
//! ```text
//! node                                    control plane (`firstboot serve`)
//!   | -- what is the challenge? ----------> |
//!   | <------------------- challenge ------ |   genuine by its own mark: the server keeps nothing
//!   | -- request, signed by the node key -> |   ticket | membership | nothing; both public keys; hardware
//!   |                                       |   burns the nonce: an object that holds the node's key
//!   | <------ membership, peers, node ----- |   the same ticket and key is answered again: a lost reply
//!   |         password, bootstrap token     |   bricks nothing
//! ```
//!
//! A node that has joined tells how it is: [`report`].
//!
//! [`message`] is what goes over the wire, [`challenge`] and [`code`] make and check it, [`service`] decides, over a
//! [`store`] that survives it. None of them knows a network: [`server`] and [`client`] do.

pub mod challenge;
pub mod client;
pub mod code;
pub mod event;
pub mod message;
pub mod objects;
pub mod report;
pub mod server;
pub mod service;
pub mod store;

#[cfg(test)]
pub(crate) mod tests;
