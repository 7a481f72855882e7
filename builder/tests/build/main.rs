//! `imgbuild build` as a hostile user meets it: full disks, damaged caches, Ctrl-C, two at once.
//!
//! Real packages, from the mirror that the host's apt uses or `IMGBUILD_MIRROR`, kept below `target/`.

#[cfg(test)]
mod artifacts;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod inspect;
#[cfg(test)]
mod interrupt;
#[cfg(test)]
mod place;
#[cfg(test)]
mod slot;
#[cfg(test)]
#[path = "../stand_in/mod.rs"]
mod stand_in;
#[cfg(test)]
mod usb;
