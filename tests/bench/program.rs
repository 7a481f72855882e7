//! Runs what is measured, to its end.

#![expect(clippy::disallowed_types, reason = "measures imgbuild and its peers from outside")]

use std::ffi::OsStr;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, bail};

/// How many of a program's last lines enter an error.
const LINES: usize = 20;

/// A program with its arguments.
#[derive(Debug)]
pub(crate) struct Program(Command);

impl Program {
    pub(crate) fn new(name: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(name);
        command.env("LC_ALL", "C").stdin(Stdio::null());
        Self(command)
    }

    pub(crate) fn argument(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.0.arg(argument);
        self
    }

    pub(crate) fn arguments(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.0.args(arguments);
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    /// Wall time in seconds, start and exit included, and standard output; it must succeed.
    pub(crate) fn run(mut self) -> anyhow::Result<(f64, String)> {
        let name = self.0.get_program().to_string_lossy().into_owned();
        let started = Instant::now();
        let output = self.0.output().with_context(|| format!("starting `{name}`"))?;
        let seconds = started.elapsed().as_secs_f64();
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr);
            let skipped = words.lines().count().saturating_sub(LINES);
            let last: Vec<&str> = words.lines().skip(skipped).collect();
            bail!("`{name}` ended with {}\n{}", output.status, last.join("\n"));
        }
        Ok((seconds, String::from_utf8_lossy(&output.stdout).into_owned()))
    }
}
