//! How many requests a project may make.

use crate::clock::Time;

const HOUR: u64 = 3_600_000;

/// A budget that refills evenly: `limit` requests an hour, all at once if one likes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    limit: u64,
    /// When all of it is there again; remembers what was used in one number.
    full: Time,
}

/// What the headers say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Left {
    pub(crate) limit: u64,
    pub(crate) remaining: u64,
    /// Seconds since 1970.
    pub(crate) reset: u64,
    /// Whether this request was within the budget.
    pub(crate) is_allowed: bool,
}

impl Budget {
    pub(crate) fn new(limit: u64) -> Self {
        Self { limit: limit.max(1), full: Time::default() }
    }

    fn used(&self, now: Time) -> u64 {
        // Rounded up: a request is there again when its whole share of the hour has passed.
        self.full.0.saturating_sub(now.0).saturating_mul(self.limit).div_ceil(HOUR)
    }

    /// Counts one request.
    pub(crate) fn take(&mut self, now: Time) -> Left {
        let is_allowed = self.used(now) < self.limit;
        if is_allowed {
            self.full = Time(self.full.0.max(now.0).saturating_add(HOUR / self.limit));
        }
        let remaining = self.limit.saturating_sub(self.used(now));
        Left { limit: self.limit, remaining, reset: self.full.0.div_ceil(1000), is_allowed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_used_up_and_refills_evenly() {
        let mut budget = Budget::new(3600);
        let now = Time(1_000_000);
        for left in (0..3600).rev() {
            let answer = budget.take(now);
            assert!(answer.is_allowed && answer.remaining == left, "{left}: {answer:?}");
        }
        let answer = budget.take(now);
        assert_eq!(answer, Left { limit: 3600, remaining: 0, reset: 4600, is_allowed: false });
        assert!(!budget.take(Time(1_000_999)).is_allowed);
        // One a second.
        assert!(budget.take(Time(1_001_000)).is_allowed);
        assert!(!budget.take(Time(1_001_000)).is_allowed);
        assert_eq!(budget.take(Time(1_001_000 + HOUR)).remaining, 3599);
    }
}
