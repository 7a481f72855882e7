//! Ctrl-C: nothing half-made is left under any name.

use std::fs;
use std::path::Path;
use std::thread;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

/// Exit code of a program that SIGINT ended, as shells have it: 128 + 2.
const INTERRUPTED: i32 = 130;

/// Runs `work`; when the user or the system ends it, `staging` is removed with the process.
pub(super) fn guard<T>(staging: &Path, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let staging = staging.to_owned();
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
        // The work goes on until the process ends, and may add a file between the two.
        while fs::remove_dir_all(&staging).is_err() && staging.exists() {}
        end();
    });
    work()
}

#[expect(clippy::exit, reason = "other threads are in the middle of work that must not go on")]
fn end() -> ! {
    std::process::exit(INTERRUPTED)
}
