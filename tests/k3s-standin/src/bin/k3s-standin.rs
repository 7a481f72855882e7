//! `k3s-standin`, called `k3s` where it stands in.

use std::process::ExitCode;

fn main() -> ExitCode {
    k3s_standin::command::main()
}
