//! Ctrl-C: nothing half-made is left under any name.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

/// Exit code of a program that SIGINT ended, as shells have it: 128 + 2.
const INTERRUPTED: i32 = 130;

/// How often a folder is removed that work goes on in; one that stays must not hold up the end.
const TRIES: u32 = 1000;

/// The folder that goes when the work is interrupted, from when on it belongs to this process.
#[derive(Clone, Debug, Default)]
pub(super) struct Cleanup(Arc<OnceLock<PathBuf>>);

impl Cleanup {
    /// Names the folder; once per work.
    pub(super) fn set(&self, folder: &Path) {
        self.0.get_or_init(|| folder.to_owned());
    }
}

/// Runs `work`; when the user or the system ends it, what it named goes with the process.
pub(super) fn guard<T>(work: impl FnOnce(&Cleanup) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let cleanup = Cleanup::default();
    let named = cleanup.clone();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().build().context("watching for Ctrl-C")?;
    let signals = runtime
        .block_on(async { Ok((signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)) })
        .map_err(|error: std::io::Error| anyhow::Error::from(error).context("watching for Ctrl-C"))?;
    let is_interrupted = Arc::new(AtomicBool::new(false));
    let is_seen = Arc::clone(&is_interrupted);
    thread::spawn(move || {
        let (mut interrupt, mut terminate) = signals;
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        is_seen.store(true, Ordering::SeqCst);
        // The work goes on until the process ends, and may add a file between the two.
        if let Some(folder) = named.0.get() {
            let is_gone = |_| fs::remove_dir_all(folder).is_ok() || !folder.exists();
            let _ = (0..TRIES).any(is_gone);
        }
        end();
    });
    let done = work(&cleanup);
    // Work that lost its folder fails, which is not what there is to say.
    while is_interrupted.load(Ordering::SeqCst) {
        thread::park();
    }
    done
}

#[expect(clippy::exit, reason = "other threads are in the middle of work that must not go on")]
fn end() -> ! {
    std::process::exit(INTERRUPTED)
}
