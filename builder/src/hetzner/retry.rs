//! Which failures are worth another try, and when.
//!
//! As the official client has it (`hcloud/client_handler_retry.go` of hcloud-go): `conflict`, `rate_limit_exceeded`,
//! `bad_gateway`, `timeout`, HTTP 502 and 504, and time-outs of the network, five times at most. Beside these a
//! connection that breaks once the request is out, which Go's own HTTP client repeats where the method may be; one that
//! does not come about, at a host that has answered before; and `locked`, which passes when somebody else's action ends. Out of stock, limits and wrong input stay what they are.

use std::time::Duration;

use firstboot::random::random;

use super::{ErrorCode, HetznerError};

/// How long requests, pauses and polls take.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// A request that takes longer is given up.
    pub request: Duration,
    /// Tries after the first one.
    pub retries: u32,
    /// The same for a resource that another action holds.
    pub locked_retries: u32,
    /// Pause before the second try; doubles each time.
    pub first_pause: Duration,
    /// No pause between tries is longer, but for one that the API asks for.
    pub longest_pause: Duration,
    /// Pause before actions are asked after for the first time; grows by half each time.
    pub first_poll: Duration,
    /// No pause between polls is longer, unless the budget gets low.
    pub longest_poll: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            request: Duration::from_secs(30),
            retries: 5,
            locked_retries: 20,
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_mins(1),
            first_poll: Duration::from_millis(500),
            longest_poll: Duration::from_secs(5),
        }
    }
}

impl Pace {
    /// The pause after so many failures: twice as long each time, up to the longest, and a part of it by chance.
    pub(crate) fn backoff(&self, failed: u32, longest: Duration) -> Duration {
        jittered(self.first_pause.saturating_mul(1 << failed.min(16)).min(longest))
    }

    /// No pause for a locked resource is longer: its action may end any moment.
    const LONGEST_LOCKED: Duration = Duration::from_secs(10);

    /// The pause after the next: half as long again, up to the longest.
    pub(super) fn next_poll(&self, poll: Duration) -> Duration {
        poll.saturating_mul(3).checked_div(2).unwrap_or(poll).min(self.longest_poll)
    }
}

/// What a failure says about the request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It stays so.
    Lasting,
    /// It was not acted upon, and may be repeated.
    Refused,
    /// The same, and another action must end first.
    Locked,
    /// It may have been acted upon: what is to be made may be there.
    Unknown,
}

impl Verdict {
    /// Judges a failure.
    pub fn of(error: &HetznerError) -> Self {
        match error {
            HetznerError::Api(error) => match error.code {
                ErrorCode::Conflict | ErrorCode::RateLimitExceeded => Self::Refused,
                ErrorCode::Locked => Self::Locked,
                ErrorCode::BadGateway | ErrorCode::Timeout => Self::Unknown,
                _ => Self::of_status(error.status),
            },
            HetznerError::Status { status, .. } => Self::of_status(*status),
            HetznerError::Transport { is_sent: true, .. } => Self::Unknown,
            // Of a host that has never answered, the name is wrong.
            HetznerError::Transport { source, is_known, .. } if *is_known || source.is_timeout() => {
                Self::Refused
            }
            _ => Self::Lasting,
        }
    }

    const fn of_status(status: u16) -> Self {
        match status {
            429 => Self::Refused,
            502 | 504 => Self::Unknown,
            _ => Self::Lasting,
        }
    }
}

/// Counts the tries of one request.
#[derive(Debug, Default)]
pub(super) struct Tries {
    failed: u32,
    locked: u32,
}

impl Tries {
    /// The pause before the next try, or none where the failure stays.
    pub(super) fn pause(&mut self, pace: &Pace, error: &HetznerError) -> Option<Duration> {
        let asked = match error {
            HetznerError::Api(error) => error.wait,
            _ => None,
        };
        let (count, most, longest) = match Verdict::of(error) {
            Verdict::Lasting => return None,
            Verdict::Locked => {
                (&mut self.locked, pace.locked_retries, pace.longest_pause.min(Pace::LONGEST_LOCKED))
            }
            Verdict::Refused | Verdict::Unknown => (&mut self.failed, pace.retries, pace.longest_pause),
        };
        if *count >= most {
            return None;
        }
        let pause = pace.backoff(*count, longest);
        *count += 1;
        Some(asked.unwrap_or_default().max(pause))
    }
}

/// Between half of the pause and all of it, so that runs which failed together do not come back together.
fn jittered(pause: Duration) -> Duration {
    let random: [u8; 1] = random().unwrap_or_default();
    let half = pause / 2;
    half + half * u32::from(random[0]) / 255
}

#[cfg(test)]
mod tests {
    use reqwest::Method;

    use super::*;
    use crate::hetzner::{ApiError, RequestLine};

    fn api(code: &str, wait: Option<Duration>) -> HetznerError {
        let request = RequestLine { method: Method::GET, path: "servers".to_owned() };
        let (message, fields) = (String::new(), Vec::new());
        ApiError { request, status: 400, code: code.into(), message, fields, wait }.into()
    }

    fn pauses(error: &HetznerError) -> Vec<Duration> {
        let mut tries = Tries::default();
        std::iter::from_fn(|| tries.pause(&Pace::default(), error)).collect()
    }

    #[test]
    fn pauses_double_with_jitter_and_end() {
        for _ in 0..20 {
            let pauses = pauses(&api("conflict", None));
            assert_eq!(pauses.len(), 5);
            for (pause, longest) in pauses.iter().zip([1, 2, 4, 8, 16].map(Duration::from_secs)) {
                assert!(*pause >= longest / 2 && *pause <= longest, "{pause:?} of {longest:?}");
            }
        }
    }

    #[test]
    fn a_locked_resource_gets_more_tries_but_not_endless_ones() {
        let pauses = pauses(&api("locked", None));
        assert_eq!(pauses.len(), 20);
        assert!(pauses.iter().all(|pause| *pause <= Duration::from_secs(10)), "{pauses:?}");
    }

    #[test]
    fn waits_as_long_as_the_api_asks() {
        let asked = Duration::from_secs(50);
        assert_eq!(pauses(&api("rate_limit_exceeded", Some(asked))), [asked; 5]);
    }

    #[test]
    fn what_stays_is_not_tried_again() {
        for code in
            ["resource_unavailable", "resource_limit_exceeded", "uniqueness_error", "invalid_input", "new"]
        {
            assert_eq!(pauses(&api(code, None)), Vec::<Duration>::new(), "{code}");
        }
    }

    #[test]
    fn polls_slow_down_to_the_longest_pause() {
        let pace = Pace::default();
        let polls = std::iter::successors(Some(pace.first_poll), |poll| Some(pace.next_poll(*poll)));
        let polls: Vec<_> = polls.take(8).map(|poll| poll.as_millis()).collect();
        assert_eq!(polls, [500, 750, 1125, 1687, 2531, 3796, 5000, 5000]);
    }
}
