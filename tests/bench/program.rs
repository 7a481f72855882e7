//! Runs what is measured, to its end.

#![expect(clippy::disallowed_types, reason = "measures imgbuild and its peers from outside")]

use std::ffi::OsStr;
use std::fs;
use std::ops::Add;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, bail};

/// How many of a program's last lines enter an error.
const LINES: usize = 20;

/// What a run took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    /// Wall time.
    pub(crate) seconds: f64,
    /// CPU time in seconds, that of all processes below it.
    pub(crate) cpu: f64,
}

impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { seconds: self.seconds + other.seconds, cpu: self.cpu + other.cpu }
    }
}

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

    /// In `folder`.
    pub(crate) fn folder(mut self, folder: &Path) -> Self {
        self.0.current_dir(folder);
        self
    }

    /// What it cost, start and exit included, and standard output; it must succeed.
    pub(crate) fn run(mut self) -> anyhow::Result<(Cost, String)> {
        let name = self.0.get_program().to_string_lossy().into_owned();
        let (started, before) = (Instant::now(), cpu_of_children()?);
        let output = self.0.output().with_context(|| format!("starting `{name}`"))?;
        let cost = Cost { seconds: started.elapsed().as_secs_f64(), cpu: cpu_of_children()? - before };
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr);
            let skipped = words.lines().count().saturating_sub(LINES);
            let last: Vec<&str> = words.lines().skip(skipped).collect();
            bail!("`{name}` ended with {}\n{}", output.status, last.join("\n"));
        }
        Ok((cost, String::from_utf8_lossy(&output.stdout).into_owned()))
    }
}

/// Seconds of CPU time, user and system, of all children that were waited for, and of theirs (proc(5), `cutime` and
/// `cstime`).
fn cpu_of_children() -> anyhow::Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat").context("reading `/proc/self/stat`")?;
    // The name in parentheses, field 2, may hold anything; fields 16 and 17 are the 14th and 15th after it.
    let fields = stat.rsplit_once(')').context("`/proc/self/stat` has no name")?.1;
    let ticks: Vec<u32> =
        fields.split_whitespace().skip(13).take(2).map_while(|it| it.parse().ok()).collect();
    let [user, system] = ticks[..] else { bail!("`/proc/self/stat` has no CPU times") };
    let per_second = u32::try_from(rustix::param::clock_ticks_per_second()).context("asking for the tick")?;
    Ok((f64::from(user) + f64::from(system)) / f64::from(per_second))
}
