//! Which tunnels work, by their handshakes.
//!
//! WireGuard says when the last handshake was, by the clock on the wall, which may be set. Here only counts that a
//! handshake is another one than before, and how long ago that was noticed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use super::key::WireguardKey;

/// A tunnel with a keepalive works as long as its last handshake is younger: keys are good for 180 seconds
/// (`REJECT_AFTER_TIME`), the packet that asks for new ones comes up to [`super::topology::KEEPALIVE`] seconds later, and
/// its answer is given a second try after 5.
pub const LIVELY: Duration = Duration::from_secs(215);

/// What has been seen of every tunnel. The times are given, so that nothing here has a clock.
#[derive(Clone, Debug, Default)]
pub struct Handshakes {
    /// None before the first look.
    seen: Option<BTreeMap<WireguardKey, Seen>>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    handshake: Option<SystemTime>,
    /// When it was new; of a tunnel without one, when the tunnel was. None where that was before all that is known.
    since: Option<Instant>,
}

impl Handshakes {
    /// Takes note of all tunnels there are, with their last handshakes, at `now`, which is `wall` by the clock.
    pub fn observe(
        &mut self,
        tunnels: impl IntoIterator<Item = (WireguardKey, Option<SystemTime>)>,
        now: Instant,
        wall: SystemTime,
    ) {
        let mut seen = BTreeMap::new();
        for (key, handshake) in tunnels {
            let before = self.seen.as_ref().map(|seen| seen.get(&key));
            let since = match (before, handshake) {
                (Some(Some(before)), _) if before.handshake == handshake => before.since,
                (Some(_), _) => Some(now),
                // Older than this program: the clock is all there is. A handshake from the future is as good as new.
                (None, Some(time)) => now.checked_sub(wall.duration_since(time).unwrap_or_default()),
                (None, None) => None,
            };
            seen.insert(key, Seen { handshake, since });
        }
        self.seen = Some(seen);
    }

    /// Whether the tunnel with `key` works, or is so new that it still may.
    pub fn is_lively(&self, key: &WireguardKey, now: Instant) -> bool {
        let since = self.seen.as_ref().and_then(|seen| seen.get(key)).map(|seen| seen.since);
        // A tunnel that nobody has seen yet has not been tried.
        since.is_none_or(|since| since.is_some_and(|since| now.saturating_duration_since(since) < LIVELY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: WireguardKey = WireguardKey([1; 32]);
    const SECOND: Duration = Duration::from_secs(1);

    fn wall(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
    }

    #[test]
    fn a_tunnel_is_given_time_for_its_first_handshake() {
        let begin = Instant::now();
        let mut handshakes = Handshakes::default();
        handshakes.observe([], begin, wall(0));
        assert!(handshakes.is_lively(&KEY, begin));
        handshakes.observe([(KEY, None)], begin, wall(0));
        handshakes.observe([(KEY, None)], begin + 100 * SECOND, wall(100));
        assert!(handshakes.is_lively(&KEY, begin + 214 * SECOND));
        assert!(!handshakes.is_lively(&KEY, begin + LIVELY));
    }

    #[test]
    fn every_new_handshake_counts_from_when_it_is_seen_whatever_the_clock_does() {
        let begin = Instant::now();
        let mut handshakes = Handshakes::default();
        handshakes.observe([(KEY, Some(wall(0)))], begin, wall(1));
        // The clock is set back by a day, and then the next handshake comes.
        let day = Duration::from_hours(24);
        handshakes.observe([(KEY, Some(wall(120) - day))], begin + 121 * SECOND, wall(121) - day);
        assert!(handshakes.is_lively(&KEY, begin + (121 + 214) * SECOND));
        assert!(!handshakes.is_lively(&KEY, begin + 121 * SECOND + LIVELY));
    }

    #[test]
    fn a_handshake_from_before_this_program_is_as_old_as_the_clock_says() {
        let begin = Instant::now();
        let lively = |age: u64| {
            let mut handshakes = Handshakes::default();
            handshakes.observe([(KEY, Some(wall(10_000 - age)))], begin, wall(10_000));
            handshakes.is_lively(&KEY, begin)
        };
        assert!(lively(214));
        assert!(!lively(215));
        // Older than the machine has been on for.
        let mut handshakes = Handshakes::default();
        handshakes.observe([(KEY, Some(SystemTime::UNIX_EPOCH))], begin, wall(0));
        assert!(!handshakes.is_lively(&KEY, begin));
    }

    #[test]
    fn a_tunnel_from_before_this_program_that_never_worked_is_not_given_more_time() {
        let begin = Instant::now();
        let mut handshakes = Handshakes::default();
        handshakes.observe([(KEY, None)], begin, wall(0));
        assert!(!handshakes.is_lively(&KEY, begin));
        handshakes.observe([(KEY, Some(wall(1)))], begin + SECOND, wall(1));
        assert!(handshakes.is_lively(&KEY, begin + SECOND));
    }

    #[test]
    fn a_tunnel_that_is_made_again_begins_again() {
        let begin = Instant::now();
        let mut handshakes = Handshakes::default();
        handshakes.observe([(KEY, None)], begin, wall(0));
        handshakes.observe([], begin + LIVELY, wall(300));
        handshakes.observe([(KEY, None)], begin + LIVELY, wall(300));
        assert!(handshakes.is_lively(&KEY, begin + LIVELY));
    }
}
