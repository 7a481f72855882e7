//! What is interrupted, and how.

use std::fmt;
use std::time::Duration;

use machine::{Ending, Random};

/// A run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Run {
    /// `up`, until it waits for a control plane that never listens: all of it is undone.
    Up,
    /// `up`, from when the control plane has its bundle: nothing is undone.
    Settle,
    /// `cloud`, until it waits for a rescue system that never listens.
    Cloud,
    Down,
}

impl Run {
    pub(super) const ALL: [Self; 4] = [Self::Up, Self::Settle, Self::Cloud, Self::Down];

    pub(super) const fn words(self) -> &'static [&'static str] {
        match self {
            Self::Up | Self::Settle => &["up", "--yes"],
            Self::Cloud => &["cloud", "--yes"],
            Self::Down => &["down", "--yes", "--addresses", "--snapshots"],
        }
    }
}

impl fmt::Display for Run {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Up => "up",
            Self::Settle => "up, settling",
            Self::Cloud => "cloud",
            Self::Down => "down",
        })
    }
}

/// One interruption.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) number: u64,
    pub(super) run: Run,
    pub(super) ending: Ending,
    /// Whether another `up` goes on before orphans are removed.
    pub(super) is_resumed: bool,
    /// Which part of the time in which the run is interrupted has passed: the same place on any computer.
    part: f64,
}

impl Case {
    /// Draws as many; each pair of run and ending comes as often as any other.
    pub(super) fn draw(count: u64, seed: u64) -> Vec<Self> {
        let mut random = Random::new(seed);
        let pairs = Ending::ALL.into_iter().flat_map(|ending| Run::ALL.map(|run| (run, ending)));
        let pairs: Vec<_> = pairs.collect();
        let numbered = (1..=count).zip(pairs.into_iter().cycle());
        numbered
            .map(|(number, (run, ending))| {
                let part = u32::try_from(random.below(10_000)).unwrap_or_default();
                let is_resumed = random.below(2) == 1;
                Self { number, run, ending, is_resumed, part: f64::from(part) / 10_000.0 }
            })
            .collect()
    }

    /// When the signal comes: so long after the beginning of the time of its run.
    pub(super) fn instant(&self, whole: Duration) -> Duration {
        whole.mul_f64(self.part)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, run, ending, part, .. } = self;
        write!(formatter, "case {number:3}: {run:12} {ending:7} after {:4.1} %", part * 100.0)
    }
}
