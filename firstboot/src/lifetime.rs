//! How long a cluster remembers a node that is away.
//!
//! A *resident* node keeps its place for ever. A *transient* one was approved for as long as it comes back: a laptop, or
//! a box that is lent. It has a taint of its own, and after so many days without a report all traces of it are removed.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// The taint of transient nodes, which pods have to tolerate.
pub const TAINT: &str = "imgbuild.org/transient";

/// Days that a transient node may be away.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AwayDays(pub u16);

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
}
