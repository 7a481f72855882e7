//! The requests that are left: all of a client's draw from one bucket that stays below the project's rate limit.
//!
//! Hetzner counts per project: 3600 requests an hour, of which one comes back each second, as the headers of every reply
//! tell. Others draw from the same (the cluster's own controllers, people's consoles), so a hundredth is left to them, and
//! waiting for actions slows down long before that.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use reqwest::header::HeaderMap;
use tokio::time::Instant;

use super::{HetznerError, Operation};

/// What a project has before the first reply says otherwise.
const LIMIT: u64 = 3600;
/// In which time the limit comes back as a whole.
const HOUR: u64 = 3600;
/// One request, in the unit that the bucket counts in.
const REQUEST: u64 = 1000;
/// This part of the limit is left to others.
const OTHERS: u64 = 100;
/// Below this part of the limit, polls slow down.
const LOW: u64 = 2;
/// However low the budget is, polls are no slower.
const SLOWEST_POLL: Duration = Duration::from_secs(30);
/// A reset that is further away is not waited for: requests come back one by one until then.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// What the headers of a reply say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RateLimit {
    /// Requests an hour.
    pub limit: u64,
    /// How many are left.
    pub remaining: u64,
    /// How long until the budget is restored.
    pub reset: Duration,
}

impl RateLimit {
    /// Reads `RateLimit-Limit`, `RateLimit-Remaining` and `RateLimit-Reset`, which is a time of Unix.
    pub(super) fn of(headers: &HeaderMap, now: SystemTime) -> Option<Self> {
        let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let reset = number("RateLimit-Reset").map(Duration::from_secs).unwrap_or_default();
        let limit = number("RateLimit-Limit").filter(|limit| *limit > 0)?;
        Some(Self { limit, remaining: number("RateLimit-Remaining")?, reset: reset.saturating_sub(now) })
    }

    /// How long to wait after a refusal.
    pub(super) fn wait(&self) -> Duration {
        self.reset.min(LONGEST_WAIT)
    }
}

/// The bucket.
#[derive(Debug)]
pub struct Budget(Mutex<Bucket>);

#[derive(Debug)]
struct Bucket {
    limit: u64,
    /// In thousandths of a request.
    level: u64,
    at: Instant,
}

impl Default for Budget {
    fn default() -> Self {
        Self(Mutex::new(Bucket { limit: LIMIT, level: LIMIT * REQUEST, at: Instant::now() }))
    }
}

impl Budget {
    /// Takes one request, as soon as there is one.
    pub(super) async fn take(&self, operation: &Operation) -> Result<(), HetznerError> {
        loop {
            let taken = self.lock().take(Instant::now());
            match taken {
                Ok(()) => return Ok(()),
                Err(wait) => operation.pause(wait, Some(HetznerError::Budget { wait })).await?,
            }
        }
    }

    /// Learns from a reply.
    pub(super) fn learn(&self, rate: RateLimit) {
        self.lock().learn(Instant::now(), rate);
    }

    /// The pause before the next poll, which would be `pause` if there were no limit.
    pub(super) fn poll(&self, pause: Duration) -> Duration {
        self.lock().poll(Instant::now(), pause)
    }

    fn lock(&self) -> MutexGuard<'_, Bucket> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bucket {
    const fn full(&self) -> u64 {
        self.limit.saturating_mul(REQUEST)
    }

    /// Fills up with what has come back since.
    fn fill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.at);
        let elapsed = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        // Limits that no hour divides come back a little more slowly than they do: what is rounded off stays in `at`.
        let back = elapsed.saturating_mul(self.limit) / HOUR;
        if back > 0 {
            self.level = self.level.saturating_add(back).min(self.full());
            self.at = now;
        }
    }

    /// Takes a request, or says how long there is none.
    fn take(&mut self, now: Instant) -> Result<(), Duration> {
        self.fill(now);
        let needed = (self.full() / OTHERS).saturating_add(REQUEST);
        if self.level >= needed {
            self.level -= REQUEST;
            return Ok(());
        }
        let missing = needed - self.level;
        Err(Duration::from_millis(missing.saturating_mul(HOUR).div_ceil(self.limit)))
    }

    /// What the API says is older than what is on its way now, so only a lower level counts; with another limit, all
    /// starts anew.
    fn learn(&mut self, now: Instant, rate: RateLimit) {
        self.fill(now);
        let said = rate.remaining.saturating_mul(REQUEST);
        self.level = if rate.limit == self.limit { self.level.min(said) } else { said };
        self.limit = rate.limit;
    }

    fn poll(&mut self, now: Instant, pause: Duration) -> Duration {
        self.fill(now);
        let low = self.full() / LOW;
        if self.level >= low {
            return pause;
        }
        let slower = u32::try_from(low / self.level.max(1)).unwrap_or(u32::MAX).saturating_add(1);
        pause.saturating_mul(slower).min(SLOWEST_POLL.max(pause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(remaining: u64) -> (Bucket, Instant) {
        let now = Instant::now();
        (Bucket { limit: LIMIT, level: remaining * REQUEST, at: now }, now)
    }

    fn rate(limit: u64, remaining: u64) -> RateLimit {
        RateLimit { limit, remaining, reset: Duration::ZERO }
    }

    #[test]
    fn a_hundredth_is_left_to_others_and_a_request_a_second_comes_back() {
        let (mut bucket, now) = bucket(LIMIT);
        let mut count = 0;
        while bucket.take(now).is_ok() {
            count += 1;
        }
        assert_eq!(count, LIMIT - LIMIT / OTHERS);
        let second = Duration::from_secs(1);
        assert_eq!(bucket.take(now), Err(second));
        assert_eq!(bucket.take(now + second / 2), Err(second / 2));
        assert_eq!(bucket.take(now + second), Ok(()));
        assert_eq!(bucket.take(now + second), Err(second));
    }

    #[test]
    fn never_sends_more_than_the_limit_in_any_hour() {
        let (mut bucket, now) = bucket(LIMIT);
        let hour = Duration::from_hours(1);
        let (mut at, mut sent) = (now, Vec::new());
        while at < now + hour * 3 {
            match bucket.take(at) {
                Ok(()) => sent.push(at),
                Err(wait) => at += wait,
            }
        }
        // A burst at first, and no more than what comes back afterwards.
        let in_first_hour = sent.iter().filter(|at| **at < now + hour).count();
        let after = sent.iter().filter(|at| **at >= now + hour * 2).count();
        assert!(in_first_hour <= 2 * 3600 && after <= 3600, "{in_first_hour} {after}");
        assert!(after >= 3599, "{after}");
    }

    #[test]
    fn believes_the_api_when_less_is_left() {
        let (mut bucket, now) = bucket(LIMIT);
        bucket.learn(now, rate(LIMIT, 37));
        assert_eq!(bucket.take(now), Ok(()));
        assert_eq!(bucket.take(now), Err(Duration::from_secs(1)));
        // An older reply that comes late gives nothing back.
        bucket.learn(now, rate(LIMIT, 3000));
        assert_eq!(bucket.take(now), Err(Duration::from_secs(1)));
    }

    #[test]
    fn takes_over_another_limit() {
        let (mut bucket, now) = bucket(LIMIT);
        bucket.learn(now, rate(7200, 73));
        assert_eq!(bucket.take(now), Ok(()));
        assert_eq!(bucket.take(now), Err(Duration::from_millis(500)));
    }

    #[test]
    fn polls_slow_down_when_the_budget_gets_low() {
        let pause = Duration::from_millis(500);
        for (remaining, slower) in [(3600, 1), (1800, 1), (1799, 2), (900, 3), (400, 5)] {
            let (mut bucket, now) = bucket(remaining);
            assert_eq!(bucket.poll(now, pause), pause * slower, "{remaining}");
        }
        let (mut bucket, now) = bucket(0);
        assert_eq!(bucket.poll(now, pause), SLOWEST_POLL);
    }

    #[test]
    fn reads_the_headers_of_a_reply() {
        let headers = |all: &[(&'static str, &str)]| {
            all.iter()
                .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                .collect::<HeaderMap>()
        };
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let all =
            [("ratelimit-limit", "3600"), ("ratelimit-remaining", "12"), ("ratelimit-reset", "1000040")];
        let reset = Duration::from_secs(40);
        let read = RateLimit::of(&headers(&all), now).unwrap();
        assert_eq!(read, RateLimit { limit: 3600, remaining: 12, reset });
        assert_eq!(read.wait(), reset);
        // Hours are not waited for: by then the budget is whole, and some of it is back much earlier.
        let later = RateLimit { reset: Duration::from_hours(1), ..read };
        assert_eq!(later.wait(), LONGEST_WAIT);
        assert_eq!(RateLimit::of(&headers(&all[..1]), now), None);
        assert_eq!(RateLimit::of(&headers(&[("ratelimit-limit", "0"), all[1]]), now), None);
    }
}
