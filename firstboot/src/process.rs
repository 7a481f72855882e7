//! Running other programs, no longer than is sensible, and becoming one.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::fs::MemfdFlags;

/// Between two looks at a child.
const INTERVAL: Duration = Duration::from_millis(20);

/// Runs `program` with `input` on its standard input and returns its output; what it said beside is part of the error.
pub(crate) fn run(
    program: &Path,
    arguments: &[&str],
    input: &str,
    deadline: Duration,
) -> anyhow::Result<String> {
    let command = || format!("running `{} {}`", program.display(), arguments.join(" "));
    let (status, output, errors) = run_for(program, arguments, input, deadline).with_context(command)?;
    let Some(status) = status else {
        bail!("{}: it did not end within {} s\n{errors}", command(), deadline.as_secs());
    };
    ensure!(status.success(), "{}: it ended with {status}\n{errors}", command());
    Ok(output)
}

/// Status, if it ended in time, output, and what it said beside.
fn run_for(
    program: &Path,
    arguments: &[&str],
    input: &str,
    deadline: Duration,
) -> io::Result<(Option<ExitStatus>, String, String)> {
    // Files, for a program that says more than a pipe holds, or does not read what it is given, would never end.
    let (mut given, output, errors) = (memory()?, memory()?, memory()?);
    given.write_all(input.as_bytes())?;
    given.rewind()?;
    #[expect(clippy::disallowed_types, reason = "this is firstboot's one door to other programs")]
    let mut child = std::process::Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(given)
        .stdout(output.try_clone()?)
        .stderr(errors.try_clone()?)
        .spawn()?;
    let status = wait(&mut child, deadline)?;
    Ok((status, content(output)?, content(errors)?.trim_end().to_owned()))
}

fn memory() -> io::Result<File> {
    Ok(rustix::fs::memfd_create("program", MemfdFlags::CLOEXEC)?.into())
}

fn content(mut file: File) -> io::Result<String> {
    let mut content = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut content)?;
    Ok(String::from_utf8_lossy(&content).into_owned())
}

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
    fn a_program_gets_its_input_and_its_errors_are_told() {
        let run = |script| run(Path::new("/bin/sh"), &["-c", script], "given", Duration::from_mins(1));
        assert_eq!(run("cat").unwrap(), "given");
        let failed = run("echo why >&2; exit 3").unwrap_err().to_string();
        assert_eq!(failed, "running `/bin/sh -c echo why >&2; exit 3`: it ended with exit status: 3\nwhy");
        let absent = super::run(Path::new("/absent"), &["-x"], "", Duration::from_mins(1)).unwrap_err();
        assert!(format!("{absent:#}").starts_with("running `/absent -x`: No such file"), "{absent:#}");
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
