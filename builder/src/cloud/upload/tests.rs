//! Images onto the disk of a machine that is real but for its size: an SSH server, `bash`, and the usual programs.

mod failures;
mod interruptions;
mod machine;
mod success;
