//! The program whole: Debian's kubectl and the stand-in's own agent are its clients.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod claims;
mod identity;
mod join;
mod kubectl;
mod process;
mod shown;
mod transients;
