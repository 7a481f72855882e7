//! The one door to other programs.
//!
//! A build runs none; `imgbuild boot` runs QEMU. Standard input is closed, the locale is C, and a
//! program that was started is ended by its own handle.

#![expect(clippy::disallowed_types, reason = "this module is where the ban does not hold")]

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
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
    environment: Vec<(OsString, OsString)>,
    folder: Option<PathBuf>,
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
        source: io::Error,
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
        Self {
            purpose,
            name: name.into(),
            arguments: Vec::new(),
            environment: vec![("LC_ALL".into(), "C".into())],
            folder: None,
        }
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

    /// Sets a variable of its environment, beside those of this process.
    #[must_use]
    pub fn environment(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// The folder it runs in.
    #[must_use]
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// The command line as a shell would take it.
    pub fn command_line(&self) -> String {
        let words = std::iter::once(&self.name).chain(&self.arguments);
        words.map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
    }

    /// Starts it; its words are kept in an unnamed file, so that it can never block on them.
    pub fn start(self) -> Result<Running, ProcessError> {
        let (words, refused) = (tempfile::tempfile(), self.refused());
        let words = words.map_err(&refused)?;
        let output = words.try_clone().map_err(&refused)?;
        self.spawn(output, words)
    }

    fn refused(&self) -> impl Fn(io::Error) -> ProcessError + use<> {
        let (purpose, command) = (self.purpose, self.command_line());
        move |source| ProcessError::Start { purpose, command: command.clone(), source }
    }

    fn spawn(self, output: File, words: File) -> Result<Running, ProcessError> {
        let refused = self.refused();
        let mut command = Command::new(&self.name);
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        let child = command
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(words.try_clone().map_err(&refused)?)
            .spawn()
            .map_err(&refused)?;
        Ok(Running { child, words, purpose: self.purpose, command: self.command_line(), ended: None })
    }

    /// Runs it to its end, which must come before the deadline; returns its exit status.
    pub fn status(self, deadline: Duration) -> Result<ExitStatus, ProcessError> {
        self.start()?.wait(deadline)
    }

    /// Runs it to its end and returns its standard output; it must end well and before the deadline.
    pub fn output(self, deadline: Duration) -> Result<String, ProcessError> {
        let refused = self.refused();
        let words = tempfile::tempfile().map_err(&refused)?;
        let mut output = tempfile::tempfile().map_err(&refused)?;
        let mut running = self.spawn(output.try_clone().map_err(&refused)?, words)?;
        let status = running.wait(deadline)?;
        if !status.success() {
            return Err(running.ended_badly(status));
        }
        let mut bytes = Vec::new();
        output.seek(SeekFrom::Start(0)).and_then(|_| output.read_to_end(&mut bytes)).map_err(&refused)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
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
    /// Its number, which is nobody else's before its end was waited for.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

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

    /// Waits for its end, which must come before the deadline.
    pub fn wait(&mut self, deadline: Duration) -> Result<ExitStatus, ProcessError> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.try_wait()? {
                return Ok(status);
            }
            if started.elapsed() > deadline {
                return Err(ProcessError::Deadline {
                    purpose: self.purpose,
                    command: self.command.clone(),
                    deadline,
                });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The error to report when it ended with `status` and should not have.
    pub fn ended_badly(&mut self, status: ExitStatus) -> ProcessError {
        let words = self.output_tail().unwrap_or_default();
        ProcessError::Status { purpose: self.purpose, command: self.command.clone(), status, words }
    }

    /// Kills it, as a power cut does to a machine.
    pub fn kill(&mut self) {
        // Both fail only for a process that is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// All that it has said so far, on either output.
    pub fn said(&mut self) -> io::Result<String> {
        let mut words = Vec::new();
        self.words.seek(SeekFrom::Start(0))?;
        self.words.read_to_end(&mut words)?;
        Ok(String::from_utf8_lossy(&words).into_owned())
    }

    /// The last of what it has said so far, on either output.
    pub fn output_tail(&mut self) -> io::Result<String> {
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
    fn returns_standard_output_alone() {
        let program = Program::new("testing", "sh")
            .arguments(["-c", "pwd; echo $LC_ALL$WORD; echo aside >&2"])
            .environment("WORD", "x")
            .folder("/");
        assert_eq!(program.output(Duration::from_secs(10)).unwrap(), "/\nCx\n");
        let fault = Program::new("testing", "sh").arguments(["-c", "echo because >&2; exit 3"]);
        let fault = fault.output(Duration::from_secs(10)).unwrap_err().to_string();
        assert_eq!(fault, "testing: `sh -c 'echo because >&2; exit 3'` ended with exit status: 3\nbecause");
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
