//! `firstboot`: makes an image a node.

use std::process::ExitCode;

fn main() -> ExitCode {
    firstboot::cli::main()
}
