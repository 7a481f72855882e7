//! What systemd says of the machine, by `systemctl` in its form for programs.

#[expect(clippy::disallowed_types, reason = "this is firstboot's one door to other programs")]
use std::process::Command;
use std::process::Stdio;

use anyhow::{Context as _, ensure};

const PROGRAM: &str = "/usr/bin/systemctl";

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

/// Shuts the machine down and starts it again.
pub(super) fn restart() -> anyhow::Result<()> {
    run(&["reboot"]).map(drop)
}

fn run(arguments: &[&str]) -> anyhow::Result<String> {
    let command = || format!("running `{PROGRAM} {}`", arguments.join(" "));
    #[expect(clippy::disallowed_types, reason = "this is firstboot's one door to other programs")]
    let output = Command::new(PROGRAM)
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .with_context(command)?;
    let said = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
    ensure!(output.status.success(), "{}: it ended with {}\n{said}", command(), output.status);
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
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
