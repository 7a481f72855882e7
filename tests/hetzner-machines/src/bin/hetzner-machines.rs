//! The program `hetzner-machines`.

use std::process::ExitCode;

fn main() -> ExitCode {
    hetzner_machines::command::main()
}
