//! Ctrl-C, SIGTERM and the end of a terminal: nothing half-made is left under any name, and nothing is left running.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use thiserror::Error;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// How often a folder is tried to be removed: work that goes on may add a file meanwhile.
const TRIES: u32 = 20;

/// Who has ended the work.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub(super) enum Ended {
    /// The user, by SIGINT.
    #[error("interrupted")]
    Interrupted,
    /// The system, by SIGTERM.
    #[error("terminated")]
    Terminated,
    /// The terminal is gone.
    #[error("hung up")]
    HungUp,
}

impl Ended {
    /// Exit code of a program that the signal ended, as shells have it: 128 and its number.
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Interrupted => 130,
            Self::Terminated => 143,
            Self::HungUp => 129,
        }
    }
}

/// Says whether the work is to end, to work that asks often.
#[derive(Clone, Debug, Default)]
pub(super) struct Flag(Arc<OnceLock<Ended>>);

impl Flag {
    /// Fails once the work is to end.
    pub(super) fn check(&self) -> Result<(), Ended> {
        self.0.get().map_or(Ok(()), |ended| Err(*ended))
    }

    fn raise(&self, ended: Ended) {
        // Only the first signal is waited for, so there is none before it.
        let _ = self.0.set(ended);
    }
}

/// The folder that goes when the work is interrupted, from when on it belongs to this process.
#[derive(Clone, Debug, Default)]
pub(super) struct Cleanup(Arc<Mutex<Option<PathBuf>>>);

impl Cleanup {
    /// Makes the folder and names it, if it can be made: an interruption comes before or after, not within.
    pub(super) fn own<T, E>(&self, folder: &Path, make: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let mut owned = self.lock();
        let done = make()?;
        *owned = Some(folder.to_owned());
        Ok(done)
    }

    /// Puts the folder's contents where they stay: an interruption comes before or after, not within.
    pub(super) fn keep<T>(&self, publish: impl FnOnce() -> T) -> T {
        let mut folder = self.lock();
        let done = publish();
        *folder = None;
        done
    }

    /// Removes the folder. While the result lives, none is made.
    fn remove(&self) -> MutexGuard<'_, Option<PathBuf>> {
        let named = self.lock();
        let Some(folder) = named.as_deref() else { return named };
        for _ in 0..TRIES {
            if fs::remove_dir_all(folder).is_ok() || !folder.exists() {
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
        named
    }

    fn lock(&self) -> MutexGuard<'_, Option<PathBuf>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs `work`; when the user or the system ends it, what it named goes with the process.
pub(super) fn guard<T>(work: impl FnOnce(&Cleanup) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let cleanup = Cleanup::default();
    let named = cleanup.clone();
    let flag = Flag::default();
    let raised = flag.clone();
    let _watching = on_signal(move |ended, _| {
        raised.raise(ended);
        let _held = named.remove();
        end(ended);
    })?;
    let done = work(&cleanup);
    // Work that lost its folder fails, which is not what there is to say.
    while flag.check().is_err() {
        thread::park();
    }
    done
}

/// A flag that is raised when the user or the system wants the work to end.
pub(super) fn flag() -> anyhow::Result<Flag> {
    let flag = Flag::default();
    let raised = flag.clone();
    on_signal(move |ended, _| raised.raise(ended))?.for_ever();
    Ok(flag)
}

/// The same, and `tell` is called at once, for work that does not ask. At a second signal the process ends, whatever it
/// does, after `end_now`.
pub(super) fn flag_and(
    tell: impl FnOnce() + Send + 'static,
    end_now: impl FnOnce() + Send + 'static,
) -> anyhow::Result<Flag> {
    let flag = Flag::default();
    let raised = flag.clone();
    on_signal(move |ended, signals| {
        raised.raise(ended);
        tell();
        if let Some(ended) = signals.next() {
            end_now();
            end(ended);
        }
    })?
    .for_ever();
    Ok(flag)
}

/// Watches for signals until it is dropped.
#[must_use]
struct Watching(oneshot::Sender<()>);

impl Watching {
    /// Until the process ends.
    fn for_ever(self) {
        std::mem::forget(self.0);
    }
}

/// SIGINT, SIGTERM and SIGHUP as they come.
struct Signals {
    runtime: Runtime,
    interrupt: Signal,
    terminate: Signal,
    /// None under `nohup`, where it stays without effect.
    hang_up: Option<Signal>,
    dropped: oneshot::Receiver<()>,
}

impl Signals {
    /// Waits for the next one; `None` once nobody watches any more.
    fn next(&mut self) -> Option<Ended> {
        let Self { hang_up, .. } = self;
        let hung_up = async {
            match hang_up {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        self.runtime.block_on(async {
            tokio::select! {
                _ = hung_up => Some(Ended::HungUp),
                _ = self.interrupt.recv() => Some(Ended::Interrupted),
                _ = self.terminate.recv() => Some(Ended::Terminated),
                _ = &mut self.dropped => None,
            }
        })
    }
}

/// Whether somebody has had SIGHUP ignored, as `nohup` does (`SigIgn` of `/proc/PID/status`).
fn ignores_hang_up() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

/// Calls `act` in a thread of its own at the first signal; it may wait for more.
fn on_signal(act: impl FnOnce(Ended, &mut Signals) + Send + 'static) -> anyhow::Result<Watching> {
    let runtime = Builder::new_current_thread().enable_io().build().context("watching for Ctrl-C")?;
    let (interrupt, terminate, hang_up) = runtime
        .block_on(async {
            let hang_up = (!ignores_hang_up()).then(|| signal(SignalKind::hangup())).transpose()?;
            Ok((signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, hang_up))
        })
        .map_err(|error: std::io::Error| anyhow::Error::from(error).context("watching for Ctrl-C"))?;
    let (watching, dropped) = oneshot::channel();
    let mut signals = Signals { runtime, interrupt, terminate, hang_up, dropped };
    thread::spawn(move || {
        if let Some(ended) = signals.next() {
            act(ended, &mut signals);
        }
    });
    Ok(Watching(watching))
}

#[expect(clippy::exit, reason = "other threads are in the middle of work that must not go on")]
fn end(ended: Ended) -> ! {
    std::process::exit(ended.code().into())
}
