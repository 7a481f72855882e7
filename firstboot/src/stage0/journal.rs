//! What stage0 says: to the kernel's log, and for the boot report.
//!
//! The kernel shows its log on every console and systemd's journal takes it over, so there is one way out. The kernel
//! lets each opened `/dev/kmsg` say ten lines in five seconds; [`Journal::new`] lifts that, as systemd does later.

use std::fs::{self, OpenOptions};
use std::io::Write;

/// Kernel log levels (`linux/kern_levels.h`).
#[derive(Clone, Copy, Debug)]
enum Level {
    Error,
    Warning,
    Info,
    Debug,
}

/// Speaks to the kernel's log and remembers what a person should see later.
#[derive(Debug)]
pub struct Journal {
    notes: Vec<String>,
    is_silent: bool,
}

impl Journal {
    /// To be made once `/proc` and `/dev` are mounted; before, lines would go nowhere.
    pub fn new() -> Self {
        // Refused where the command line has `printk.devkmsg=`; then that holds.
        drop(fs::write("/proc/sys/kernel/printk_devkmsg", "on\n"));
        Self { notes: Vec::new(), is_silent: false }
    }

    /// Says nothing, for tests.
    #[cfg(test)]
    pub(crate) fn silent() -> Self {
        Self { notes: Vec::new(), is_silent: true }
    }

    /// A step of every boot.
    pub fn info(&mut self, line: &str) {
        self.write(Level::Info, line);
    }

    /// Something that happens rarely and that the boot report should carry.
    pub fn note(&mut self, line: &str) {
        self.write(Level::Info, line);
        self.notes.push(line.to_owned());
    }

    /// Something is wrong, but the boot goes on.
    pub fn warn(&mut self, line: &str) {
        self.write(Level::Warning, line);
        self.notes.push(line.to_owned());
    }

    /// The boot ends here.
    pub fn error(&mut self, line: &str) {
        self.write(Level::Error, line);
    }

    /// For the log alone: consoles do not show it unless the kernel is told to.
    pub fn debug(&mut self, line: &str) {
        self.write(Level::Debug, line);
    }

    /// Lines for the boot report, oldest first.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    fn write(&self, level: Level, line: &str) {
        if self.is_silent {
            return;
        }
        // One write is one record. Nobody could be told that the log cannot be written.
        let record = match level {
            Level::Error => format!("<3>stage0: {line}\n"),
            Level::Warning => format!("<4>stage0: {line}\n"),
            Level::Info => format!("<6>stage0: {line}\n"),
            Level::Debug => format!("<7>stage0: {line}\n"),
        };
        if let Ok(mut log) = OpenOptions::new().write(true).open("/dev/kmsg") {
            drop(log.write_all(record.as_bytes()));
        }
    }
}

impl Default for Journal {
    fn default() -> Self {
        Self::new()
    }
}
