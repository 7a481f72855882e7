//! `imgbuild`: see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    imgbuild::command::run(std::env::args_os())
}
