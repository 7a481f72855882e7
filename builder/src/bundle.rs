//! Seals a tree into an OS bundle: root file system, verity tree, initrd, UKI, manifest.
