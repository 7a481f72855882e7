//! How long each stage took; goes to `build.json` only.

use std::time::Instant;

use serde::{Deserialize, Serialize};

/// Stages in the order they ran.
#[derive(Debug)]
pub(super) struct Timings {
    started: Instant,
    stages: Vec<Stage>,
}

/// One stage.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Stage {
    /// Its name: `lock`, `fetch`, `artifacts`, `compose`, `seal` or `lay`.
    name: String,
    /// How long it took.
    seconds: f64,
}

impl Timings {
    pub(super) fn start() -> Self {
        Self { started: Instant::now(), stages: Vec::new() }
    }

    /// Runs `work` as the stage `name`.
    pub(super) fn measure<T>(
        &mut self,
        name: &str,
        work: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let started = Instant::now();
        let done = work();
        self.stages.push(Stage { name: name.to_owned(), seconds: started.elapsed().as_secs_f64() });
        done
    }

    /// All stages, and the seconds since the start.
    pub(super) fn finish(self) -> (Vec<Stage>, f64) {
        (self.stages, self.started.elapsed().as_secs_f64())
    }
}
