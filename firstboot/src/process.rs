//! Waiting for other programs, no longer than is sensible, and becoming one.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

/// Between two looks at a child.
const INTERVAL: Duration = Duration::from_millis(20);

/// Waits until `child` has ended. After `deadline` it is killed, and there is no status.
pub fn wait(child: &mut Child, deadline: Duration) -> io::Result<Option<ExitStatus>> {
    let started = Instant::now();
    while started.elapsed() <= deadline {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(INTERVAL);
    }
    // It may have ended just now; either way it is gone after this.
    drop(child.kill());
    drop(child.wait());
    Ok(None)
}

/// Replaces this process by `program`, which is looked for in `PATH` if it is a bare name; returns only if that goes
/// wrong.
pub fn replace_with(
    program: impl AsRef<OsStr>,
    arguments: impl IntoIterator<Item = impl Into<OsString>>,
) -> io::Result<Infallible> {
    #[expect(clippy::disallowed_types, reason = "this is the one door to becoming another program")]
    let mut command = std::process::Command::new(program);
    Err(command.args(arguments.into_iter().map(Into::into)).exec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_types, reason = "the test is about a child")]
    fn shell(script: &str) -> Child {
        std::process::Command::new("/bin/sh").args(["-c", script]).spawn().unwrap()
    }

    #[test]
    fn waits_for_the_end_but_not_for_ever() {
        let status = wait(&mut shell("exit 3"), Duration::from_mins(1)).unwrap();
        assert_eq!(status.and_then(|status| status.code()), Some(3));
        let mut endless = shell("exec sleep 1000");
        assert!(wait(&mut endless, Duration::from_millis(100)).unwrap().is_none());
        assert!(endless.try_wait().unwrap().is_some(), "it is gone");
    }
}
