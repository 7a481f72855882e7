//! A floor for the clock: a machine without a battery must not live in 1970 until NTP answers.

use rustix::time::{ClockId, Timespec, clock_gettime, clock_settime};

/// Sets the clock to `floor`, seconds since 1970, where it is earlier; returns by how many seconds it was wrong.
pub fn raise_to(floor: u64) -> rustix::io::Result<Option<u64>> {
    let now = u64::try_from(clock_gettime(ClockId::Realtime).tv_sec).unwrap_or(0);
    let Some(behind) = missing(now, floor) else { return Ok(None) };
    let Ok(seconds) = i64::try_from(floor) else { return Ok(None) };
    clock_settime(ClockId::Realtime, Timespec { tv_sec: seconds, tv_nsec: 0 })?;
    Ok(Some(behind))
}

/// Seconds by which the clock is behind; a clock that is ahead is left to NTP.
fn missing(now: u64, floor: u64) -> Option<u64> {
    floor.checked_sub(now).filter(|behind| *behind > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clock_that_is_behind_is_set() {
        for (now, floor, expected) in [(0, 10, Some(10)), (10, 10, None), (11, 10, None)] {
            assert_eq!(missing(now, floor), expected, "{now} {floor}");
        }
        assert_eq!(raise_to(1), Ok(None));
    }
}
