//! Controllers: what a server does on its own.

pub mod addon;
pub mod manifests;
pub mod nodes;
pub mod passwords;

use std::future::Future;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

/// Calls `pass` every `period`, for ever.
pub async fn every<F: Future<Output = ()>>(period: Duration, mut pass: impl FnMut() -> F) {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        pass().await;
    }
}
