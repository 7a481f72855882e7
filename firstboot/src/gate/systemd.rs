//! What systemd says of the machine, by `systemctl` in its form for programs.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
#[expect(clippy::disallowed_types, reason = "this is firstboot's one door to other programs")]
use std::process::Command;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use rustix::fs::MemfdFlags;

use crate::process;

const PROGRAM: &str = "/usr/bin/systemctl";
/// An answer takes milliseconds, on a busy machine seconds.
const DEADLINE: Duration = Duration::from_mins(1);

/// The state of the whole machine (systemctl(1), `is-system-running`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum State {
    /// It is on its way up.
    Starting,
    /// Every unit has come up.
    Running,
    /// A unit has failed, or a person is asked for.
    Degraded,
    /// It is on its way down.
    Stopping,
}

impl State {
    fn parse(text: &str) -> Self {
        match text.trim() {
            "running" => Self::Running,
            "degraded" | "maintenance" => Self::Degraded,
            "stopping" => Self::Stopping,
            // `initializing`, `starting`, and what a later systemd may call it.
            _ => Self::Starting,
        }
    }
}

/// Asks for the state.
pub(super) fn state() -> anyhow::Result<State> {
    Ok(State::parse(&run(&["show", "--property=SystemState", "--value"])?))
}

/// Names of units that have failed.
pub(super) fn failed_units() -> anyhow::Result<Vec<String>> {
    let list = run(&["list-units", "--state=failed", "--no-pager", "--no-legend", "--plain"])?;
    Ok(list.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

/// Shuts the machine down and starts it again; at once and past systemd where systemd does not (systemctl(1), `--force`).
pub(super) fn restart() -> anyhow::Result<()> {
    run(&["reboot"]).or_else(|_| run(&["reboot", "--force", "--force"])).map(drop)
}

fn run(arguments: &[&str]) -> anyhow::Result<String> {
    let command = || format!("running `{PROGRAM} {}`", arguments.join(" "));
    let (status, output, errors) = run_for(arguments).with_context(command)?;
    let Some(status) = status else {
        bail!("{}: it did not end within {} s\n{errors}", command(), DEADLINE.as_secs());
    };
    ensure!(status.success(), "{}: it ended with {status}\n{errors}", command());
    Ok(output)
}

/// Status, if it ended in time, output, and what it said beside.
fn run_for(arguments: &[&str]) -> io::Result<(Option<ExitStatus>, String, String)> {
    // Files, for one that says more than a pipe holds would never end.
    let (output, errors) = (memory()?, memory()?);
    #[expect(clippy::disallowed_types, reason = "this is firstboot's one door to other programs")]
    let mut child = Command::new(PROGRAM)
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(errors.try_clone()?)
        .spawn()?;
    let status = process::wait(&mut child, DEADLINE)?;
    Ok((status, content(output)?, content(errors)?.trim_end().to_owned()))
}

fn memory() -> io::Result<File> {
    Ok(rustix::fs::memfd_create("systemctl", MemfdFlags::CLOEXEC)?.into())
}

fn content(mut file: File) -> io::Result<String> {
    let mut content = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut content)?;
    Ok(String::from_utf8_lossy(&content).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_those_of_systemctl() {
        for (text, state) in [
            ("running\n", State::Running),
            ("degraded\n", State::Degraded),
            ("maintenance\n", State::Degraded),
            ("initializing\n", State::Starting),
            ("starting\n", State::Starting),
            ("stopping\n", State::Stopping),
        ] {
            assert_eq!(State::parse(text), state, "{text}");
        }
    }
}
