//! Kernel modules of the initrd: which there are, what they need, and loading them in order.
//!
//! Reads kmod's text indexes: `modules.dep`, `modules.alias`, `modules.softdep`, `modules.builtin`.

mod index;
mod loader;

pub use index::Index;
pub use loader::Loader;
