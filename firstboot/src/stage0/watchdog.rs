//! The hardware watchdog: from stage0's first second on, a machine that hangs resets.
//!
//! It is fed by a thread, but only while the current step is within its time: a step that never ends must not be fed
//! for ever. At the hand-over the device is closed *without* the magic `V`, so it goes on running; systemd opens it
//! again (`RuntimeWatchdogSec=` must be set in the image, else the machine resets within a minute).

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const DEVICE: &str = "/dev/watchdog0";
/// Well below the shortest time-out known (Raspberry Pi: 15 s).
const INTERVAL: Duration = Duration::from_secs(4);

/// A watchdog that is being fed.
#[derive(Debug)]
pub struct Watchdog {
    started: Instant,
    /// Milliseconds since `started` until which it is fed.
    fed_until: Arc<AtomicU64>,
}

impl Watchdog {
    /// Opens the first watchdog, which starts it; `None` where there is none.
    pub fn start(allowed: Duration) -> Option<Self> {
        let device = OpenOptions::new().write(true).open(Path::new(DEVICE)).ok()?;
        let watchdog = Self { started: Instant::now(), fed_until: Arc::new(AtomicU64::new(0)) };
        watchdog.allow(allowed);
        let (started, fed_until) = (watchdog.started, Arc::clone(&watchdog.fed_until));
        // The thread ends with stage0; the close at exec leaves the watchdog running.
        std::thread::Builder::new().spawn(move || feed(device, started, &fed_until)).ok()?;
        Some(watchdog)
    }

    /// Gives the step that begins now this much time.
    pub fn allow(&self, time: Duration) {
        let until = self.started.elapsed().saturating_add(time).as_millis();
        self.fed_until.store(u64::try_from(until).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

fn feed(mut device: File, started: Instant, fed_until: &AtomicU64) {
    loop {
        if started.elapsed().as_millis() < u128::from(fed_until.load(Ordering::Relaxed)) {
            // Any byte but `V` feeds it. A device that went away cannot be fed, and cannot bite.
            drop(device.write_all(b"\0"));
        }
        std::thread::sleep(INTERVAL);
    }
}
