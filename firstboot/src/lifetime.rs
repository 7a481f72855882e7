//! How long a cluster remembers a node that is away.
//!
//! A *resident* node keeps its place for ever. A *transient* one was approved for as long as it comes back: a laptop, or
//! a box that is lent. It has a taint of its own, and once it was away for so many days all traces of it are removed.

use std::fmt;
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

/// The taint of transient nodes, which pods have to tolerate.
pub const TAINT: &str = "imgbuild.org/transient";

/// Days that a transient node may be away.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AwayDays(pub u16);

impl fmt::Display for AwayDays {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} day{}", self.0, if self.0 == 1 { "" } else { "s" })
    }
}

/// Since when a control plane hears of nodes by a clock that is right: a node was away only if it could have been heard.
#[derive(Clone, Copy, Debug, Default)]
pub struct Listening(Option<Instant>);

impl Listening {
    /// Nodes that are there tell every five minutes, to whoever listens.
    const LONG_ENOUGH: Duration = Duration::from_hours(1);

    /// Says whether that was for long enough. A clock that nobody vouches for says how long ago nothing was.
    pub fn is_long_enough(&mut self, knows_time: bool, now: Instant) -> bool {
        if !knows_time {
            self.0 = None;
            return false;
        }
        now.saturating_duration_since(*self.0.get_or_insert(now)) >= Self::LONG_ENOUGH
    }
}

impl AwayDays {
    /// Whether they are over for a node that was heard of last at `heard`. A clock that was set back ends nothing.
    pub fn are_over(self, heard: SystemTime, now: SystemTime) -> bool {
        let most = Duration::from_hours(24).saturating_mul(u32::from(self.0));
        now.duration_since(heard).is_ok_and(|away| away > most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_over_after_the_last_of_them() {
        let heard = SystemTime::UNIX_EPOCH + Duration::from_hours(1000);
        let after = |hours| heard + Duration::from_hours(hours);
        assert!(!AwayDays(2).are_over(heard, after(48)));
        assert!(AwayDays(2).are_over(heard, after(48) + Duration::from_secs(1)));
        assert!(!AwayDays(2).are_over(after(100), heard), "the clock was set back");
    }

    #[test]
    fn nobody_is_away_by_a_clock_that_was_just_set() {
        let begin = Instant::now();
        let after = |minutes| begin + Duration::from_mins(minutes);
        let mut listening = Listening::default();
        for (knows_time, minutes, expected) in [
            (false, 0, false),
            (false, 600, false),
            (true, 601, false),
            (true, 660, false),
            (true, 661, true),
            (false, 662, false),
            (true, 663, false),
        ] {
            assert_eq!(listening.is_long_enough(knows_time, after(minutes)), expected, "{minutes}");
        }
    }
}
