//! What people see while work goes on: one line per step, on standard error.

use std::sync::atomic::{AtomicU64, Ordering};

/// Decides what is shown. Cheap to share by reference.
#[derive(Debug, Default)]
pub struct Printer {}

impl Printer {
    /// Starts a step named by a gerund and its object (`fetching packages`), `total` bytes or items long if known.
    pub fn task(&self, _name: &str, _total: Option<u64>) -> Task {
        Task { done: AtomicU64::new(0) }
    }

    /// Tells something that needs attention but stops nothing.
    pub fn warn(&self, _message: &str) {}
}

/// A running step. Dropping it unfinished prints nothing.
#[derive(Debug)]
pub struct Task {
    done: AtomicU64,
}

impl Task {
    /// Adds to what is done, in the unit of the total.
    pub fn advance(&self, amount: u64) {
        self.done.fetch_add(amount, Ordering::Relaxed);
    }

    /// Ends the step with a summary (`135 packages, 66 MiB`).
    pub fn finish(self, _summary: &str) {}
}
