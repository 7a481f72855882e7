//! What systemd says of the machine, by `systemctl` in its form for programs.

use std::path::Path;
use std::time::Duration;

use crate::k3s;
use crate::process;

const PROGRAM: &str = "/usr/bin/systemctl";
const NETWORKS: &str = "/usr/bin/networkctl";
/// An answer takes milliseconds, on a busy machine seconds.
const DEADLINE: Duration = Duration::from_mins(1);

/// The state of the whole machine (systemctl(1), `is-system-running`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum State {
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

/// Asks for the state. k3s alone does not hold it up: an agent that has no uplink is being started for ever.
pub(crate) fn state() -> anyhow::Result<State> {
    match State::parse(&run(&["show", "--property=SystemState", "--value"])?) {
        State::Starting
            if only_k3s_is_awaited(&run(&["list-jobs", "--no-pager", "--no-legend", "--plain"])?) =>
        {
            Ok(if failed_units()?.is_empty() { State::Running } else { State::Degraded })
        }
        state => Ok(state),
    }
}

/// Whether the list of jobs (number, unit, kind, state) is of k3s' units and not empty.
fn only_k3s_is_awaited(jobs: &str) -> bool {
    let mut units = jobs.lines().filter_map(|line| line.split_whitespace().nth(1)).peekable();
    units.peek().is_some() && units.all(|unit| k3s::UNITS.contains(&unit))
}

/// What is known of k3s on this node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Process {
    /// Nobody has started it in this boot.
    NotStarted,
    /// It runs, after so many restarts.
    Alive(u32),
    /// It is waiting for its next start, after so many.
    Down(u32),
}

/// Looks for k3s' process; a node has one unit of the two.
pub(crate) fn k3s() -> anyhow::Result<Process> {
    let [server, agent] = k3s::UNITS;
    let shown = run(&["show", server, agent, "--property=ActiveState,MainPID,NRestarts"])?;
    // An empty line stands between two units.
    let mut processes = shown.split("\n\n").map(parse_process);
    Ok(processes.find(|process| *process != Process::NotStarted).unwrap_or(Process::NotStarted))
}

fn parse_process(shown: &str) -> Process {
    let value = |key: &str| {
        shown.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).unwrap_or_default()
    };
    let restarts = value("NRestarts").parse().unwrap_or_default();
    match (value("ActiveState"), value("MainPID")) {
        ("inactive" | "", _) => Process::NotStarted,
        (_, "0" | "") => Process::Down(restarts),
        _ => Process::Alive(restarts),
    }
}

/// Names of units that have failed.
pub(crate) fn failed_units() -> anyhow::Result<Vec<String>> {
    let list = run(&["list-units", "--state=failed", "--no-pager", "--no-legend", "--plain"])?;
    Ok(list.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

/// Starts a unit, or starts it `again` where it runs, and does not wait until it has come up.
pub(crate) fn start(unit: &str, again: bool) -> anyhow::Result<()> {
    run(&["--no-block", if again { "restart" } else { "start" }, unit]).map(drop)
}

/// Shuts the machine down and starts it again; at once and past systemd where systemd does not (systemctl(1), `--force`).
pub(crate) fn restart() -> anyhow::Result<()> {
    run(&["reboot"]).or_else(|_| run(&["reboot", "--force", "--force"])).map(drop)
}

/// Has systemd-networkd read its settings anew, and act on those that differ (networkctl(1)).
pub(crate) fn reload_networks() -> anyhow::Result<()> {
    process::run(Path::new(NETWORKS), &["reload"], "", DEADLINE).map(drop)
}

fn run(arguments: &[&str]) -> anyhow::Result<String> {
    process::run(Path::new(PROGRAM), arguments, "", DEADLINE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k3s_alone_is_not_waited_for() {
        for (jobs, expected) in [
            ("", false),
            ("123 k3s-agent.service start running\n", true),
            ("123 k3s.service start running\n124 dbus.service start waiting\n", false),
            ("1 k3s.service.socket start running\n", false),
        ] {
            assert_eq!(only_k3s_is_awaited(jobs), expected, "{jobs}");
        }
    }

    #[test]
    fn a_process_is_told_from_one_that_is_being_restarted() {
        for (shown, expected) in [
            ("ActiveState=inactive\nMainPID=0\nNRestarts=0\n", Process::NotStarted),
            ("MainPID=712\nNRestarts=2\nActiveState=activating\n", Process::Alive(2)),
            ("MainPID=712\nNRestarts=0\nActiveState=active\n", Process::Alive(0)),
            ("MainPID=0\nNRestarts=7\nActiveState=activating\n", Process::Down(7)),
            ("MainPID=0\nNRestarts=7\nActiveState=failed\n", Process::Down(7)),
        ] {
            assert_eq!(parse_process(shown), expected, "{shown}");
        }
    }

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
