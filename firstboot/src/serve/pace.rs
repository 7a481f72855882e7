//! When the cluster is told how a node is.

use std::time::{Duration, Instant};

use crate::status::Phase;

/// Between two reports of the same: a node that is silent for longer is gone.
const AGAIN: Duration = Duration::from_mins(5);
/// Between two reports, however often it changes: the reason does at every try.
const PAUSE: Duration = Duration::from_secs(10);
/// After a report that nobody took: asking in vain takes time, which the node needs for itself.
const PAUSE_AFTER_FAULT: Duration = Duration::from_mins(1);

/// What is news: phase, reason, whether it is overdue.
pub(super) type News = (Phase, String, bool);

/// When it was told last, and what.
#[derive(Debug)]
pub(super) struct Pace {
    last: Option<(News, Instant)>,
    /// Since when nobody takes reports.
    failed: Option<Instant>,
}

impl Pace {
    pub(super) const fn new() -> Self {
        Self { last: None, failed: None }
    }

    pub(super) fn is_due(&self, news: &News, now: Instant) -> bool {
        let since = |at: Instant| now.saturating_duration_since(at);
        if self.failed.is_some_and(|at| since(at) < PAUSE_AFTER_FAULT) {
            return false;
        }
        match &self.last {
            None => true,
            Some((told, at)) if told == news => since(*at) >= AGAIN,
            Some((_, at)) => since(*at) >= PAUSE,
        }
    }

    pub(super) fn told(&mut self, news: News, now: Instant) {
        (self.last, self.failed) = (Some((news, now)), None);
    }

    /// Says whether that is new.
    pub(super) fn failed(&mut self, now: Instant) -> bool {
        self.failed.replace(now).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_are_told_soon_the_same_now_and_then_and_in_vain_seldom() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let news = |reason: &str| (Phase::Connecting, reason.to_owned(), false);
        let mut pace = Pace::new();
        assert!(pace.is_due(&news("a"), at(0)));
        assert!(pace.failed(at(0)));
        assert!(!pace.is_due(&news("b"), at(59)));
        assert!(pace.is_due(&news("b"), at(60)));
        assert!(!pace.failed(at(60)), "it was said already");
        pace.told(news("b"), at(120));
        for (reason, second, expected) in
            [("b", 419, false), ("b", 420, true), ("c", 129, false), ("c", 130, true)]
        {
            assert_eq!(pace.is_due(&news(reason), at(second)), expected, "{reason} {second}");
        }
        assert!(pace.failed(at(420)), "after a success a fault is news");
    }
}
