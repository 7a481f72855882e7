//! Programs that have the terminal: this one in the namespace, and the user's command.
//!
//! Beside [`imgbuild::process`], which takes the streams away.

#![expect(
    clippy::disallowed_types,
    reason = "the user's command keeps its streams, which `process.rs` takes away"
)]

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

/// How often it is looked whether the program has ended.
const POLL: Duration = Duration::from_millis(50);
/// How long a program may take to end after it was asked to.
const PATIENCE: Duration = Duration::from_secs(20);
/// Of shells: 128 and the number of the signal that ended a program.
const SIGNALLED: u8 = 128;

/// A program to run with the streams of this one.
#[derive(Debug)]
pub(crate) struct Given<'a> {
    pub(crate) program: &'a OsStr,
    pub(crate) arguments: Vec<&'a OsStr>,
    pub(crate) environment: Vec<(&'static str, String)>,
}

impl Given<'_> {
    /// Runs it to its end. SIGTERM and SIGHUP are passed on; Ctrl-C reaches it from the terminal as it reaches us, and
    /// what it means is for it to say.
    pub(crate) fn run(self) -> io::Result<ExitCode> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let environment = self.environment.into_iter();
        let child = Command::new(self.program).args(self.arguments).envs(environment).spawn()?;
        let status = wait(&runtime, child)?;
        runtime.shutdown_background();
        Ok(code(status))
    }
}

fn wait(runtime: &Runtime, mut child: Child) -> io::Result<ExitStatus> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    runtime.block_on(async {
        let (mut terminate, mut hang_up, mut interrupt) = (
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
            signal(SignalKind::interrupt())?,
        );
        let mut asked = None;
        loop {
            tokio::select! {
                _ = terminate.recv() => asked = asked.or(Some(tokio::time::Instant::now())),
                _ = hang_up.recv() => asked = asked.or(Some(tokio::time::Instant::now())),
                // So that it does not end us.
                _ = interrupt.recv() => continue,
                () = tokio::time::sleep(POLL) => {}
            }
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            match asked {
                Some(since) if since.elapsed() > PATIENCE => child.kill()?,
                Some(since) if since.elapsed() < POLL => {
                    // It may have ended just now.
                    let _ = pid.map(|pid| kill_process(pid, Signal::TERM));
                }
                _ => {}
            }
        }
    })
}

/// As shells show it.
fn code(status: ExitStatus) -> ExitCode {
    let number = status.code().and_then(|code| u8::try_from(code).ok());
    let signal = || status.signal().and_then(|signal| u8::try_from(signal).ok()).unwrap_or_default();
    ExitCode::from(number.unwrap_or_else(|| SIGNALLED.saturating_add(signal())))
}
