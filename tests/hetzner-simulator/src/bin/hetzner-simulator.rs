//! `hetzner-simulator`

use std::process::ExitCode;

fn main() -> ExitCode {
    hetzner_simulator::command::main()
}
