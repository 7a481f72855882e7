//! Seals a tree into an OS bundle: root file system, verity tree, initrd, UKI, manifest.
//!
//! - [`programs`]: our own programs, which are inputs like any package
//! - [`root`]: packages, declared setup and programs become one tree
//! - [`kernel`]: kernel image, module indexes, the modules of the initrd
//! - [`firmware`], [`microcode`]: what devices and processors are given, out of large packages
//! - [`initrd`], [`seal`]: the tree becomes files
//! - [`extents`]: what was compressed for an earlier bundle
//! - [`manifest`]: what is in them

pub mod extents;
pub mod firmware;
pub mod initrd;
pub mod kernel;
pub mod manifest;
pub mod microcode;
pub mod programs;
pub mod root;
pub mod seal;
