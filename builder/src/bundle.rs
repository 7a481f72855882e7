//! Seals a tree into an OS bundle: root file system, verity tree, initrd, UKI, manifest.
//!
//! - [`programs`]: our own programs, which are inputs like any package
//! - [`artifacts`]: downloads that are no packages
//! - [`root`]: packages, artifacts, declared setup and programs become one tree
//! - [`kernel`]: kernel image, module indexes, the modules of the initrd
//! - [`firmware`], [`microcode`]: what devices and processors are given, out of large packages
//! - [`initrd`], [`seal`]: the tree becomes files
//! - [`manifest`]: what is in them
//! - [`sbom`], [`provenance`]: the same for programs of other people
//! - [`signature`]: who says so
//! - [`sizes`], [`owners`], [`sparse`]: looking into a build that exists

pub mod artifacts;
pub mod firmware;
pub mod initrd;
pub mod kernel;
pub mod manifest;
pub mod microcode;
pub mod owners;
pub mod programs;
pub mod provenance;
pub mod root;
pub mod sbom;
pub mod seal;
pub mod signature;
pub mod sizes;
pub mod sparse;
