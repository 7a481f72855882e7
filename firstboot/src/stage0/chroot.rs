//! Runs programs of the verified root inside it.
//!
//! `chroot(2)` changes the calling process for good and there is no safe way to call it between fork and exec, so
//! stage0 starts itself once more: the child changes its root and then becomes the program ([`become_program`]).

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
#[expect(clippy::disallowed_types, reason = "this is stage0's one door to other programs")]
use std::process::Command;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use crate::process;

/// First argument of the child.
pub const CHILD_ARGUMENT: &str = "--in-root";
/// Where what programs say is kept, below `/run`.
const OUTPUT: &str = "/run/imgbuild/stage0-program.log";
/// Lines of it that an error shows.
const SHOWN_LINES: usize = 20;

/// A program that did not run, or did not end as it should.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be started.
    #[error("starting `{command}`")]
    Start {
        /// Program and arguments.
        command: String,
        /// What the system said.
        source: io::Error,
    },
    /// It ended with an error.
    #[error("`{command}` ended with {status}\n{output}")]
    Status {
        /// Program and arguments.
        command: String,
        /// Exit code or signal.
        status: ExitStatus,
        /// Last lines of what it said.
        output: String,
    },
    /// It did not end in time and was killed.
    #[error("`{command}` did not end within {seconds} s\n{output}")]
    Deadline {
        /// Program and arguments.
        command: String,
        /// The deadline.
        seconds: u64,
        /// Last lines of what it said.
        output: String,
    },
}

/// A program of the root, by its path there.
#[derive(Clone, Debug)]
pub struct Program<'a> {
    /// The root.
    pub sysroot: &'a Path,
    /// Path inside the root.
    pub path: &'a str,
    /// Arguments.
    pub arguments: Vec<&'a OsStr>,
    /// Exit codes that mean success.
    pub good_codes: &'a [i32],
    /// After this it is killed.
    pub deadline: Duration,
}

impl Program<'_> {
    /// Runs it to its end, with no input and in the C locale; returns its exit code.
    pub fn run(&self) -> Result<i32, Error> {
        let start_error = |source| Error::Start { command: self.to_text(), source };
        let output = create_output().map_err(start_error)?;
        #[expect(clippy::disallowed_types, reason = "this is stage0's one door to other programs")]
        let mut child = Command::new("/proc/self/exe")
            .arg(CHILD_ARGUMENT)
            .arg(self.sysroot)
            .arg(self.path)
            .args(&self.arguments)
            .env_clear()
            .envs([("LC_ALL", "C"), ("PATH", "/usr/sbin:/usr/bin")])
            .stdin(Stdio::null())
            .stdout(output.try_clone().map_err(start_error)?)
            .stderr(output)
            .spawn()
            .map_err(start_error)?;
        let Some(status) = process::wait(&mut child, self.deadline).map_err(start_error)? else {
            let seconds = self.deadline.as_secs();
            return Err(Error::Deadline { command: self.to_text(), seconds, output: last_lines() });
        };
        match status.code() {
            Some(code) if self.good_codes.contains(&code) => Ok(code),
            _ => Err(Error::Status { command: self.to_text(), status, output: last_lines() }),
        }
    }

    fn to_text(&self) -> String {
        let words = self.arguments.iter().map(|argument| argument.to_string_lossy());
        std::iter::once(self.path.into()).chain(words).collect::<Vec<_>>().join(" ")
    }
}

fn create_output() -> io::Result<File> {
    if let Some(folder) = Path::new(OUTPUT).parent() {
        fs::create_dir_all(folder)?;
    }
    File::create(OUTPUT)
}

fn last_lines() -> String {
    let text = fs::read(OUTPUT).unwrap_or_default();
    tail(&String::from_utf8_lossy(&text), SHOWN_LINES)
}

fn tail(text: &str, count: usize) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// The child's part: `arguments` are the root, the program and its arguments. Returns only if that goes wrong.
pub fn become_program(mut arguments: impl Iterator<Item = OsString>) -> Result<Infallible, io::Error> {
    let missing = || io::Error::from(io::ErrorKind::InvalidInput);
    let root = PathBuf::from(arguments.next().ok_or_else(missing)?);
    let program = arguments.next().ok_or_else(missing)?;
    rustix::process::chroot(&root)?;
    std::env::set_current_dir("/")?;
    process::replace_with(program, arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_show_the_last_lines_only() {
        assert_eq!(tail("a\nb\nc\n", 2), "b\nc");
        assert_eq!(tail("", 2), "");
    }

    #[test]
    fn a_command_is_shown_as_it_would_be_typed() {
        let program = Program {
            sysroot: Path::new("/"),
            path: "/usr/sbin/e2fsck",
            arguments: vec![OsStr::new("-p"), OsStr::new("/dev/vda7")],
            good_codes: &[0],
            deadline: Duration::from_secs(1),
        };
        assert_eq!(program.to_text(), "/usr/sbin/e2fsck -p /dev/vda7");
    }

    #[test]
    fn a_child_without_program_is_refused() {
        let error = become_program([OsString::from("/")].into_iter()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
