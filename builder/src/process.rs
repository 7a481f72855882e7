//! The one door to other programs.
//!
//! A build runs none; `imgbuild boot` runs QEMU. Standard input is closed, the locale is C, and a
//! program that was started is ended by its own handle.

#![expect(clippy::disallowed_types, reason = "this module is where the ban does not hold")]

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use thiserror::Error;

/// How many bytes of a program's own words enter an error.
const WORDS: i64 = 4096;

/// A program to run, and what for.
#[derive(Clone, Debug)]
pub struct Program {
    purpose: &'static str,
    name: OsString,
    arguments: Vec<OsString>,
}

/// Why a program did not do its work.
#[derive(Debug, Error)]
pub enum ProcessError {
    /// It could not be started.
    #[error("{purpose}: starting `{command}`")]
    Start {
        /// What it was for.
        purpose: &'static str,
        /// Copy-pasteable command line.
        command: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It ended otherwise than well.
    #[error("{purpose}: `{command}` ended with {status}\n{words}")]
    Status {
        /// What it was for.
        purpose: &'static str,
        /// Copy-pasteable command line.
        command: String,
        /// Exit status or signal.
        status: ExitStatus,
        /// Last lines of its standard error.
        words: String,
    },
    /// It did not end in time.
    #[error("{purpose}: `{command}` did not end within {} s", deadline.as_secs())]
    Deadline {
        /// What it was for.
        purpose: &'static str,
        /// Copy-pasteable command line.
        command: String,
        /// The time it was given.
        deadline: Duration,
    },
}

impl Program {
    /// A program by name or path; `purpose` is a gerund and its object (`probing KVM`).
    pub fn new(purpose: &'static str, name: impl Into<OsString>) -> Self {
        Self { purpose, name: name.into(), arguments: Vec::new() }
    }

    /// Adds one argument.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds several arguments.
    #[must_use]
    pub fn arguments<I: IntoIterator<Item = A>, A: Into<OsString>>(mut self, arguments: I) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// The command line as a shell would take it.
    pub fn command_line(&self) -> String {
        let words = std::iter::once(&self.name).chain(&self.arguments);
        words.map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
    }

    /// Starts it; its words are kept in an unnamed file, so that it can never block on them.
    pub fn start(self) -> Result<Running, ProcessError> {
        let command = self.command_line();
        let refused =
            |source| ProcessError::Start { purpose: self.purpose, command: command.clone(), source };
        let words = tempfile::tempfile().map_err(refused)?;
        let child = Command::new(&self.name)
            .args(&self.arguments)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(words.try_clone().map_err(refused)?)
            .stderr(words.try_clone().map_err(refused)?)
            .spawn()
            .map_err(refused)?;
        Ok(Running { child, words, purpose: self.purpose, command, ended: None })
    }

    /// Runs it to its end, which must come before the deadline; returns its exit status.
    pub fn status(self, deadline: Duration) -> Result<ExitStatus, ProcessError> {
        let mut running = self.start()?;
        let started = Instant::now();
        loop {
            if let Some(status) = running.try_wait()? {
                return Ok(status);
            }
            if started.elapsed() > deadline {
                return Err(ProcessError::Deadline {
                    purpose: running.purpose,
                    command: running.command.clone(),
                    deadline,
                });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A running program; dropping it ends it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    words: File,
    purpose: &'static str,
    command: String,
    ended: Option<ExitStatus>,
}

impl Running {
    /// Exit status, if it has ended.
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>, ProcessError> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().map_err(|source| ProcessError::Start {
                purpose: self.purpose,
                command: self.command.clone(),
                source,
            })?;
        }
        Ok(self.ended)
    }

    /// The error to report when it ended with `status` and should not have.
    pub fn ended_badly(&mut self, status: ExitStatus) -> ProcessError {
        let words = self.words().unwrap_or_default();
        ProcessError::Status { purpose: self.purpose, command: self.command.clone(), status, words }
    }

    /// Kills it, as a power cut does to a machine.
    pub fn kill(&mut self) {
        // Both fail only for a process that is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn words(&mut self) -> std::io::Result<String> {
        let length = self.words.seek(SeekFrom::End(0))?;
        let back = WORDS.min(i64::try_from(length).unwrap_or(WORDS));
        self.words.seek(SeekFrom::End(-back))?;
        let mut words = Vec::new();
        self.words.read_to_end(&mut words)?;
        Ok(String::from_utf8_lossy(&words).trim_end().to_owned())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Finds a program on PATH.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|candidate| candidate.is_file())
}

fn quoted(word: &OsStr) -> String {
    let text = word.to_string_lossy();
    let is_plain =
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c));
    if is_plain { text.into_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_status_and_last_words() {
        let program = Program::new("testing", "sh").arguments(["-c", "echo because >&2; exit 3"]);
        let mut running = program.start().unwrap();
        let status = loop {
            if let Some(status) = running.try_wait().unwrap() {
                break status;
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let message = running.ended_badly(status).to_string();
        assert_eq!(message, "testing: `sh -c 'echo because >&2; exit 3'` ended with exit status: 3\nbecause");
    }

    #[test]
    fn ends_a_program_at_its_deadline() {
        let program = Program::new("testing", "sleep").argument("60");
        let fault = program.status(Duration::from_millis(50)).unwrap_err();
        assert_eq!(fault.to_string(), "testing: `sleep 60` did not end within 0 s");
    }

    #[test]
    fn names_a_program_that_is_not_there() {
        let fault = Program::new("testing", "no-such-program").start().unwrap_err();
        assert_eq!(fault.to_string(), "testing: starting `no-such-program`");
    }
}
