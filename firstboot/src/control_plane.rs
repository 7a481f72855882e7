//! A control-plane node's own way to join: its operator pushes a signed bundle to it, once.
//!
//! The node listens with a one-time key that its record came with ([`push`]). What it takes is signed by the operator
//! ([`bundle`]): the cluster's certificates and keys, and a one-shot order, whether it begins the cluster ([`order`]).
//! Nothing of it is in an image or in user data. It is kept on the state partition before it is answered for, and laid
//! where k3s looks for it before k3s' first start ([`install`]).

pub mod bundle;
pub mod install;
pub mod order;
pub mod push;
