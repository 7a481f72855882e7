//! Seals a tree into an OS bundle: root file system, verity tree, initrd, UKI, manifest.
//!
//! - [`programs`]: our own programs, which are inputs like any package
//! - [`artifacts`]: downloads that are no packages
//! - [`root`]: packages, artifacts, declared setup and programs become one tree
//! - [`kernel`]: kernel image, module indexes, the modules of the initrd
//! - [`initrd`], [`seal`]: the tree becomes files
//! - [`manifest`]: what is in them

pub mod artifacts;
pub mod initrd;
pub mod kernel;
pub mod manifest;
pub mod programs;
pub mod root;
pub mod seal;
