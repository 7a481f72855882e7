//! Challenges: proof that a request was made now, and for this cluster. A challenge carries the server's mark, so that
//! ten thousand who ask for one cost no memory, and any control-plane node knows those of the others.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use ed25519_dalek::SigningKey;
use hmac::{Hmac, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use thiserror::Error;

use crate::by_text::by_text;
use crate::keyed_hash::keyed_hash;

/// How long a challenge may be answered.
pub const FRESH: Duration = Duration::from_mins(2);
/// How far the clocks of two control-plane nodes may be apart.
const SKEW: u64 = 60;
const MARK: usize = 16;

/// A challenge: when it was made, and the server's mark over that.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Challenge {
    seconds: u64,
    mark: [u8; MARK],
}

/// A text that is no challenge.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("`{}` is no challenge", .0.escape_debug())]
pub struct NoChallenge(pub String);

impl Challenge {
    /// When it was made by the server's clock, seconds since 1970.
    pub const fn made(&self) -> u64 {
        self.seconds
    }
}

/// Makes challenges and knows its own again.
#[derive(Clone)]
pub struct Challenger(Hmac<Sha256>);

impl fmt::Debug for Challenger {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Challenger(..)")
    }
}

impl Challenger {
    /// All that hold the membership key make the same.
    pub fn new(membership_key: &SigningKey) -> Self {
        Self(keyed_hash(membership_key.as_bytes(), "imgbuild challenge"))
    }

    /// A challenge made at `now`.
    pub fn make(&self, now: SystemTime) -> Challenge {
        let seconds = seconds(now);
        Challenge { seconds, mark: self.mark(seconds) }
    }

    /// Whether it was made here, no longer than `longest` ago.
    pub fn is_genuine(&self, challenge: &Challenge, now: SystemTime, longest: Duration) -> bool {
        let age = seconds(now).saturating_add(SKEW).checked_sub(challenge.seconds);
        age.is_some_and(|age| age <= longest.as_secs().saturating_add(2 * SKEW))
            && self.whole(challenge.seconds).verify_truncated_left(&challenge.mark).is_ok()
    }

    fn whole(&self, seconds: u64) -> Hmac<Sha256> {
        self.0.clone().chain_update(seconds.to_be_bytes())
    }

    fn mark(&self, seconds: u64) -> [u8; MARK] {
        let whole = self.whole(seconds).finalize().into_bytes();
        let mut mark = [0; MARK];
        mark.copy_from_slice(&whole[..MARK]);
        mark
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

impl fmt::Display for Challenge {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}{:032x}", self.seconds, u128::from_be_bytes(self.mark))
    }
}

impl FromStr for Challenge {
    type Err = NoChallenge;

    fn from_str(text: &str) -> Result<Self, NoChallenge> {
        let parse = || {
            let is_plain = text.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase());
            let (seconds, mark) =
                text.split_at_checked(16).filter(|(_, mark)| is_plain && mark.len() == 2 * MARK)?;
            let seconds = u64::from_str_radix(seconds, 16).ok()?;
            Some(Self { seconds, mark: u128::from_str_radix(mark, 16).ok()?.to_be_bytes() })
        };
        parse().ok_or_else(|| NoChallenge(text.to_owned()))
    }
}

by_text!(Challenge, NoChallenge);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::tests::{membership_key, operator_key};
    use crate::ticket::tests::now;

    #[test]
    fn a_challenge_is_good_for_a_while_and_only_if_it_is_ours() {
        let (ours, others) = (Challenger::new(&membership_key()), Challenger::new(&operator_key()));
        let challenge = ours.make(now());
        let read: Challenge = challenge.to_string().parse().unwrap();
        assert_eq!(read, challenge);
        assert_eq!(SystemTime::UNIX_EPOCH + Duration::from_secs(read.made()), now());
        let second = Challenger::new(&membership_key());
        for (passed, expected) in [(0, true), (120, true), (170, true), (181, false), (86_400, false)] {
            let later = now() + Duration::from_secs(passed);
            assert_eq!(second.is_genuine(&challenge, later, FRESH), expected, "after {passed} s");
        }
        let day = Duration::from_hours(24);
        assert!(ours.is_genuine(&challenge, now() + day, day));
        // From a future that no clock of ours has seen.
        assert!(!ours.is_genuine(&ours.make(now() + Duration::from_mins(2)), now(), FRESH));
        assert!(!others.is_genuine(&challenge, now(), FRESH));
        assert!(!ours.is_genuine(&Challenge { seconds: challenge.seconds + 1, ..challenge }, now(), FRESH));
    }

    #[test]
    fn what_is_none_is_refused() {
        let good = Challenger::new(&membership_key()).make(now()).to_string();
        for text in
            ["", "0", &good[1..], &good.to_uppercase(), &format!("{good}0"), &good.replacen('0', "+", 1)]
        {
            assert_eq!(text.parse::<Challenge>(), Err(NoChallenge(text.to_owned())));
        }
    }
}
