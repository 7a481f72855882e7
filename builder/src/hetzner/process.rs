//! Which process holds a lock: one that was killed is known to be gone by whoever runs on the same computer.

use std::fs;
use std::io;

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

/// Name of this process that no other ever has: boot, PID namespace, PID, start. Fits a label.
///
/// The namespace is part of it since two containers of one computer do not see each other's processes.
pub(super) fn own() -> Option<String> {
    let pid = std::process::id();
    Some(format!("{}-{pid}-{}", view()?, start_of(&stat(pid).ok()?)?))
}

/// Whether `name` is of a process that would be seen here, and is not.
pub(super) fn is_gone(name: &str) -> bool {
    let parts = || {
        let (rest, start) = name.rsplit_once('-')?;
        let (view, pid) = rest.rsplit_once('-')?;
        Some((view, pid.parse::<u32>().ok()?, start.parse::<u64>().ok()?))
    };
    let Some((of, pid, started)) = parts() else { return false };
    view().is_some_and(|view| view == of)
        && match stat(pid) {
            Ok(stat) => start_of(&stat) != Some(started),
            // That of another user may be hidden (`hidepid` in proc(5)).
            Err(_) => !is_there(pid),
        }
}

/// This boot (`/proc/sys/kernel/random/boot_id`), shortened, and the PID namespace (namespaces(7)). None where `/proc` is
/// that of another namespace, whose processes have other numbers.
fn view() -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    if !is_own(&status) {
        return None;
    }
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let boot: String = boot.chars().filter(char::is_ascii_hexdigit).take(16).collect();
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    let namespace: String = namespace.to_str()?.chars().filter(char::is_ascii_digit).collect();
    Some(format!("{boot}-{namespace}"))
}

/// Whether `/proc` is that of this process' PID namespace: what that file says of it has its number in each namespace
/// from that of `/proc` on down to its own (`proc_pid_status(5)`).
fn is_own(status: &str) -> bool {
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    numbers.is_some_and(|numbers| numbers.split_whitespace().count() == 1)
}

fn stat(pid: u32) -> io::Result<String> {
    fs::read_to_string(format!("/proc/{pid}/stat"))
}

/// When a process began, in ticks since the boot: field 22 of `/proc/PID/stat` (`proc_pid_stat(5)`).
fn start_of(stat: &str) -> Option<u64> {
    // The name, field 2, may hold anything; it ends with the last parenthesis.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    // One that waits to be reaped has ended.
    let is_zombie = fields.next()? == "Z";
    fields.nth(18)?.parse().ok().filter(|_| !is_zombie)
}

/// Whether some process has this number, by the kernel's own answer.
fn is_there(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) != Err(Errno::SRCH))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Program;

    #[test]
    fn a_process_is_gone_once_it_has_ended() {
        let own = own().unwrap();
        assert!(own.len() <= 63 && own.chars().all(|c| c.is_ascii_hexdigit() || c == '-'), "{own}");
        assert!(!is_gone(&own));
        let folder = tempfile::tempdir().unwrap();
        let script = "echo $$ > pid; mv pid known; exec sleep 600";
        let shell = Program::new("living for a while", "sh").arguments(["-c", script]).folder(folder.path());
        let mut shell = shell.start().unwrap();
        let known = folder.path().join("known");
        while !known.exists() {
            assert!(shell.try_wait().unwrap().is_none(), "it ended too early");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let pid = fs::read_to_string(known).unwrap().trim().parse().unwrap();
        let started = start_of(&stat(pid).unwrap()).unwrap();
        let name = format!("{}-{pid}-{started}", view().unwrap());
        assert!(!is_gone(&name) && is_there(pid));
        // Another has its number.
        assert!(is_gone(&format!("{}-{pid}-{}", view().unwrap(), started + 1)));
        shell.kill();
        assert!(is_gone(&name) && !is_there(pid));
    }

    #[test]
    fn numbers_of_another_namespace_are_none() {
        assert!(is_own("Name:\tsh\nNSpid:\t17\nNSpgid:\t17\n"));
        assert!(!is_own("Name:\tsh\nNSpid:\t4242\t17\nNSpgid:\t4242\t17\n"));
        assert!(!is_own("Name:\tsh\n"));
    }

    #[test]
    fn nothing_is_known_of_other_computers_and_containers() {
        let own = own().unwrap();
        let (boot, rest) = own.split_once('-').unwrap();
        let (namespace, process) = rest.split_once('-').unwrap();
        for other in [
            format!("{boot}-{namespace}1-999999999-1"),
            format!("0123-{namespace}-{process}"),
            String::new(),
            "1-2".to_owned(),
        ] {
            assert!(!is_gone(&other), "{other}");
        }
        assert!(is_gone(&format!("{boot}-{namespace}-999999999-1")));
    }
}
