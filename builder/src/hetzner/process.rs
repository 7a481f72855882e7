//! Which process holds a lock: one that was killed is known to be gone by whoever runs on the same computer.

use std::fs;

/// Name of this process that no other ever has: boot, PID namespace, PID, start. Fits a label.
///
/// The namespace is part of it since two containers of one computer do not see each other's processes.
pub(super) fn own() -> Option<String> {
    let pid = std::process::id();
    Some(format!("{}-{pid}-{}", view()?, start(pid)?))
}

/// Whether `name` is of a process that would be seen here, and is not.
pub(super) fn is_gone(name: &str) -> bool {
    let parts = || {
        let (rest, start) = name.rsplit_once('-')?;
        let (view, pid) = rest.rsplit_once('-')?;
        Some((view, pid.parse::<u32>().ok()?, start.parse::<u64>().ok()?))
    };
    let Some((of, pid, started)) = parts() else { return false };
    view().is_some_and(|view| view == of) && start(pid) != Some(started)
}

/// This boot (`/proc/sys/kernel/random/boot_id`), shortened, and the PID namespace (namespaces(7)).
fn view() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let boot: String = boot.chars().filter(char::is_ascii_hexdigit).take(16).collect();
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    let namespace: String = namespace.to_str()?.chars().filter(char::is_ascii_digit).collect();
    Some(format!("{boot}-{namespace}"))
}

/// When a process began, in ticks since the boot: field 22 of `/proc/PID/stat` (`proc_pid_stat(5)`).
fn start(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, field 2, may hold anything; it ends with the last parenthesis.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    // One that waits to be reaped has ended.
    let is_zombie = fields.next()? == "Z";
    fields.nth(18)?.parse().ok().filter(|_| !is_zombie)
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
        let name = format!("{}-{pid}-{}", view().unwrap(), start(pid).unwrap());
        assert!(!is_gone(&name));
        shell.kill();
        assert!(is_gone(&name));
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
