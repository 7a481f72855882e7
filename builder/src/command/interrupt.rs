//! Ctrl-C: nothing half-made is left under any name, and nothing is left running.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};

/// Exit code of a program that SIGINT ended, as shells have it: 128 + 2.
pub(super) const INTERRUPTED: u8 = 130;

/// How often a folder is tried to be removed: work that goes on may add a file meanwhile.
const TRIES: u32 = 20;

/// The user or the system has ended the work.
#[derive(Debug, Error)]
#[error("interrupted")]
pub(super) struct Interrupted;

/// The folder that goes when the work is interrupted, from when on it belongs to this process.
#[derive(Clone, Debug, Default)]
pub(super) struct Cleanup(Arc<Mutex<Option<PathBuf>>>);

impl Cleanup {
    /// Names the folder.
    pub(super) fn set(&self, folder: &Path) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(folder.to_owned());
    }

    /// Puts the folder's contents where they stay: an interruption comes before or after, not within.
    pub(super) fn keep<T>(&self, publish: impl FnOnce() -> T) -> T {
        let mut folder = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let done = publish();
        *folder = None;
        done
    }

    fn remove(&self) {
        let folder = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(folder) = folder.as_deref() else { return };
        for _ in 0..TRIES {
            if fs::remove_dir_all(folder).is_ok() || !folder.exists() {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Runs `work`; when the user or the system ends it, what it named goes with the process.
pub(super) fn guard<T>(work: impl FnOnce(&Cleanup) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let cleanup = Cleanup::default();
    let named = cleanup.clone();
    let is_interrupted = Arc::new(AtomicBool::new(false));
    let is_seen = Arc::clone(&is_interrupted);
    on_signal(move || {
        is_seen.store(true, Ordering::SeqCst);
        named.remove();
        end();
    })?;
    let done = work(&cleanup);
    // Work that lost its folder fails, which is not what there is to say.
    while is_interrupted.load(Ordering::SeqCst) {
        thread::park();
    }
    done
}

/// Becomes true when the user or the system wants the work to end; for work that looks at it often.
pub(super) fn flag() -> anyhow::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&flag);
    on_signal(move || raised.store(true, Ordering::Relaxed))?;
    Ok(flag)
}

/// Calls `act` in a thread of its own at the first SIGINT or SIGTERM.
fn on_signal(act: impl FnOnce() + Send + 'static) -> anyhow::Result<()> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().build().context("watching for Ctrl-C")?;
    let signals = runtime
        .block_on(async { Ok((signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)) })
        .map_err(|error: std::io::Error| anyhow::Error::from(error).context("watching for Ctrl-C"))?;
    thread::spawn(move || {
        let (mut interrupt, mut terminate) = signals;
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        act();
    });
    Ok(())
}

#[expect(clippy::exit, reason = "other threads are in the middle of work that must not go on")]
fn end() -> ! {
    std::process::exit(INTERRUPTED.into())
}
