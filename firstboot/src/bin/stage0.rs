//! The initrd's `/init`; see [`firstboot::stage0`].

use std::process::ExitCode;

fn main() -> ExitCode {
    firstboot::stage0::main(std::env::args_os().skip(1))
}
