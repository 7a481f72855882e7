//! The clock of a machine without a battery, or with a wrong one: certificates are good or not by it, and not every site
//! has NTP.
//!
//! It is never earlier than the image, the last write to the state partition and the cluster itself are. Then the
//! cluster's answers say what time it is: who holds the membership key is believed. NTP goes before that.

use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, Timespec, clock_gettime, clock_settime};

use crate::converge::System;

/// There once `systemd-timesyncd` has heard from a server in this boot.
const SYNCHRONIZED: &str = "/run/systemd/timesync/synchronized";
/// What is off by less is left to NTP: nothing here is decided by minutes.
const TOLERATED: u64 = 5 * 60;

/// Whether NTP has set the clock in this boot.
pub fn is_synchronized(system: &System) -> bool {
    system.path(SYNCHRONIZED).exists()
}

/// Sets the clock to `floor`, seconds since 1970, where it is earlier, and says so; `what` is what cannot have been later.
/// The error is for people as well.
pub fn raise_to(floor: u64, what: &str) -> Result<Option<String>, String> {
    let now = u64::try_from(clock_gettime(ClockId::Realtime).tv_sec).unwrap_or(0);
    let Some(behind) = missing(now, floor) else { return Ok(None) };
    set(floor).map_err(|error| format!("clock is behind {what} and cannot be set: {error}"))?;
    Ok(Some(format!("clock was {behind} s behind {what} and was set to it")))
}

/// Sets the clock to `seconds` since 1970.
pub fn set(seconds: u64) -> rustix::io::Result<()> {
    let Ok(seconds) = i64::try_from(seconds) else { return Ok(()) };
    clock_settime(ClockId::Realtime, Timespec { tv_sec: seconds, tv_nsec: 0 })
}

/// By how much a clock that says `now` is wrong, and in which direction, if it is really `seconds` since 1970. A time
/// that no clock can show is nobody's.
pub fn fault(now: SystemTime, seconds: u64) -> Option<String> {
    let right = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?;
    let (off, direction) = match now.duration_since(right) {
        Ok(ahead) => (ahead, "ahead of"),
        Err(behind) => (behind.duration(), "behind"),
    };
    (off.as_secs() > TOLERATED).then(|| format!("{} s {direction}", off.as_secs()))
}

/// Seconds by which the clock is behind; a clock that is ahead is left to who knows better.
fn missing(now: u64, floor: u64) -> Option<u64> {
    floor.checked_sub(now).filter(|behind| *behind > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clock_that_is_behind_is_raised() {
        for (now, floor, expected) in [(0, 10, Some(10)), (10, 10, None), (11, 10, None)] {
            assert_eq!(missing(now, floor), expected, "{now} {floor}");
        }
        assert_eq!(raise_to(1, "the beginning"), Ok(None));
    }

    #[test]
    fn a_clock_that_is_off_by_minutes_is_left_alone() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        for (now, right, expected) in [
            (1000, 1000, None),
            (1000, 1300, None),
            (1300, 1000, None),
            (1000, 1301, Some("301 s behind")),
            (1301, 1000, Some("301 s ahead of")),
            (0, 2_000_000_000, Some("2000000000 s behind")),
            (0, u64::MAX, None),
        ] {
            assert_eq!(fault(at(now), right).as_deref(), expected, "{now} {right}");
        }
    }
}
