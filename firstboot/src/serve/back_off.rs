//! How long to wait between tries: longer each time, up to a bound, and never at the same moment as the others.

use std::time::Duration;

use crate::random::random;

/// Between two claims where the answer may be another one soon.
const FIRST_CLAIM: Duration = Duration::from_secs(2);
/// Between two claims of who has asked for long.
pub(super) const LAST_CLAIM: Duration = Duration::from_mins(2);

/// Waiting times.
#[derive(Debug)]
pub(crate) struct BackOff {
    next: Duration,
    first: Duration,
    longest: Duration,
}

impl BackOff {
    /// The shortest, and the longest.
    pub(crate) const fn new(first: Duration, longest: Duration) -> Self {
        Self { next: first, first, longest }
    }

    /// Between two claims.
    pub(crate) const fn of_claims() -> Self {
        Self::new(FIRST_CLAIM, LAST_CLAIM)
    }

    /// The next waiting time: up to a quarter shorter than its bound, so that a site's boxes, switched on together, come
    /// one by one.
    pub(crate) fn next(&mut self) -> Duration {
        let time = self.next;
        self.next = (time * 2).min(self.longest);
        let [share] = random::<1>().unwrap_or_default();
        time.saturating_sub(time * u32::from(share) / (4 * 256))
    }

    /// Something has changed: begins with the shortest again.
    pub(super) fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_longer_up_to_a_bound() {
        let mut back_off = BackOff::new(Duration::from_secs(4), Duration::from_secs(10));
        for bound in [4, 8, 10, 10] {
            let (time, bound) = (back_off.next(), Duration::from_secs(bound));
            assert!(time <= bound && time > bound * 3 / 4, "{time:?} of {bound:?}");
        }
        back_off.reset();
        assert!(back_off.next() <= Duration::from_secs(4));
    }
}
