//! Builds immutable node images that become a Kubernetes edge-cloud cluster by being booted.
//!
//! Arrows point one way: [`command`] → ([`medium`] | [`machine`]) → [`bundle`] →
//! ([`rootfs`], [`archive`], [`format`]). [`tree`] and [`units`] are what they exchange,
//! [`derived`] is what they need not do twice;
//! [`identity`] keeps the cluster's secrets, [`secure_boot`] is what some of them are for;
//! [`hetzner`] is the cloud that nodes may live in, [`s3`] keeps the buckets of their copies, [`ssh`] leads to machines that are none yet;
//! [`operator`] does for a machine what its owner does;
//! [`cluster`], [`profile`] and [`image`] are the [`settings`] that people write, [`deployment`] is what ArgoCD is told of
//! them.

pub mod archive;
pub mod bundle;
pub mod cloud;
pub mod cluster;
pub mod command;
pub mod deployment;
pub mod derived;
pub mod diagnostic;
pub mod environment;
pub mod flash;
pub mod format;
pub mod hetzner;
pub mod http;
pub mod identity;
pub mod image;
pub mod kubeconfig;
pub mod machine;
pub mod medium;
pub mod operator;
pub mod overview;
pub mod printable;
pub mod printer;
pub mod process;
pub mod profile;
pub mod regular_file;
pub mod rootfs;
pub mod s3;
pub mod secret;
pub mod secure_boot;
pub mod settings;
pub mod spelling;
pub mod ssh;
pub mod terminal;
pub mod tree;
pub mod units;
pub mod way_in;
pub mod xz;
