//! The ways in which a program is ended in the middle of its work.

use std::fmt;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use imgbuild::process::Running;
use rustix::process::{Pid, Signal, kill_process};

/// A signal that ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ending {
    /// As a power cut does: the program does nothing more.
    Kill,
    /// Ctrl-C.
    Interrupt,
    /// Of the system.
    Terminate,
    /// Of a terminal that is closed.
    HangUp,
}

/// What a signal has come upon.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Met {
    /// The program, in the middle of its work.
    Work,
    /// The program, before it watches for signals.
    Start,
    /// Nothing: the program had ended well.
    End,
}

impl Ending {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Kill, Self::Interrupt, Self::Terminate, Self::HangUp];

    const fn signal(self) -> Signal {
        match self {
            Self::Kill => Signal::KILL,
            Self::Interrupt => Signal::INT,
            Self::Terminate => Signal::TERM,
            Self::HangUp => Signal::HUP,
        }
    }

    /// What a program exits with that was ended so and has cleaned up.
    const fn code(self) -> Option<i32> {
        match self {
            Self::Kill => None,
            Self::Interrupt => Some(130),
            Self::Terminate => Some(143),
            Self::HangUp => Some(129),
        }
    }

    /// Ends a program, which must end within `patience`, as one does that was ended so.
    pub fn end(self, running: &mut Running, patience: Duration) -> anyhow::Result<Met> {
        if running.try_wait()?.is_none() {
            let pid = i32::try_from(running.id()).ok().and_then(Pid::from_raw);
            kill_process(pid.context("the program has no number")?, self.signal())
                .context("sending a signal")?;
        }
        let status = running.wait(patience)?;
        let met = self.met(status);
        ensure!(met.is_some(), "after {self} it ended with {status}:\n{}", running.said()?);
        met.context("asking what the signal has met")
    }

    fn met(self, status: ExitStatus) -> Option<Met> {
        let is_by_signal = status.signal() == Some(self.signal().as_raw());
        match self {
            _ if status.success() => Some(Met::End),
            Self::Kill if is_by_signal => Some(Met::Work),
            _ if is_by_signal => Some(Met::Start),
            _ if status.code().is_some() && status.code() == self.code() => Some(Met::Work),
            _ => None,
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Kill => "SIGKILL",
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
            Self::HangUp => "SIGHUP",
        })
    }
}
