//! Kernel modules: what they say about themselves, and the index files that `depmod` makes of it.
//!
//! [`read_module`] takes one `.ko` file as a package ships it, [`indexes`] gives every file that
//! kmod 34's `depmod` writes below `/usr/lib/modules/<release>/`, byte for byte, and [`closure`]
//! lists what an initrd needs for a few wanted modules. Nothing here touches a disk.
//!
//! Supported: 64-bit little-endian ELF, plain or packed with xz, zstd or gzip. `depmod.d` settings
//! (overrides, search order, exclusions) are left out: an image has one directory of modules.

mod bucket;
mod closure;
mod compression;
mod error;
mod graph;
mod index;
mod indexes;
mod loadable;
mod module;

pub use closure::closure;
pub use compression::decompress;
pub use error::KmodError;
pub use indexes::{builtin_firmware, indexes};
pub use loadable::{Unloadable, retain_loadable};
pub use module::{Module, ModuleInfo, read_module, read_modules};

#[cfg(test)]
mod tests;

/// The name a module goes by: its file name up to the first dot, with `-` as `_`.
pub fn module_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split('.').next().unwrap_or(file).replace('-', "_")
}
