//! The initrd's `/init`: from the kernel's first process to systemd on a verified root.
//!
//! The steps in their order are [`boot`]; each other module owns one noun. Contract with the builder: the initrd holds
//! `/init`, `/lib/modules/<release>/` with plain `.ko` files and kmod's text indexes, and the empty folders `dev`,
//! `proc`, `run`, `sys` and `sysroot`.

mod boot;
pub mod chroot;
pub mod cmdline;
pub mod disks;
pub mod efi;
pub mod ext4;
pub mod failure;
pub mod glob;
pub mod journal;
pub mod machine_id;
pub mod modules;
pub mod mounts;
pub mod state;
pub mod verity;
pub mod watchdog;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use failure::Failure;
use journal::Journal;

/// Runs the program with `arguments`, its own name left out; as process 1 it never returns.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let mut arguments = arguments.peekable();
    if rustix::process::getpid().is_init() {
        std::panic::set_hook(Box::new(|panic| {
            let failure = Failure {
                doing: "running stage0",
                cause: panic.to_string().into(),
                hint: "this is a fault of the program: please report it with this screen",
            };
            failure::stop(&failure, "unknown", None, &mut Journal::new());
        }));
        boot::run(arguments)
    } else if arguments.next_if(|first| first == chroot::CHILD_ARGUMENT).is_some() {
        let Err(error) = chroot::become_program(arguments);
        complain(&format!("starting a program in the root: {error}"));
        // What a shell says of a command that it cannot run.
        ExitCode::from(126)
    } else {
        complain("stage0 is the initrd's `/init`, it has no command line");
        ExitCode::from(2)
    }
}

fn complain(line: &str) {
    // There is nobody left to tell if this goes wrong.
    drop(writeln!(std::io::stderr(), "error: {line}"));
}
