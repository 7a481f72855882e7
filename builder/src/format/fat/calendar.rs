//! The lock's date as FAT writes it.

use fatfs::{Date, DateTime, Time, TimeProvider};
use firstboot::fat::{TIMES, civil};

use crate::units::Timestamp;

const DAY: u64 = 86_400;

/// A clock that stands still.
#[derive(Debug)]
struct Frozen(DateTime);

impl TimeProvider for Frozen {
    fn get_current_date(&self) -> Date {
        self.0.date
    }

    fn get_current_date_time(&self) -> DateTime {
        self.0
    }
}

/// A clock for `fatfs`, which wants it for ever: a dozen bytes are given up per volume.
pub(super) fn frozen(time: DateTime) -> &'static dyn TimeProvider {
    Box::leak(Box::new(Frozen(time)))
}

/// The UTC calendar time of `time`, if FAT can tell it (1980 to 2107).
pub(super) fn date_time(time: Timestamp) -> Option<DateTime> {
    TIMES.contains(&time.0).then_some(())?;
    let (days, seconds) = (time.0 / DAY, time.0 % DAY);
    let (year, month, day) = civil(days);
    let part = |value: u64| u16::try_from(value).ok();
    let (year, month, day) = (part(year)?, part(month)?, part(day)?);
    let (hour, min, sec) = (part(seconds / 3600)?, part(seconds / 60 % 60)?, part(seconds % 60)?);
    Some(DateTime { date: Date { year, month, day }, time: Time { hour, min, sec, millis: 0 } })
}

/// FAT's two 16-bit numbers: date, then time.
pub(super) fn encode(time: DateTime) -> (u16, u16) {
    let DateTime { date, time } = time;
    let date = (date.year.saturating_sub(1980) << 9) | (date.month << 5) | date.day;
    (date, (time.hour << 11) | (time.min << 5) | (time.sec / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_leap_days_and_centuries() {
        for (seconds, shown) in [
            (315_532_800, Some((1980, 1, 1, 0))),
            (951_782_400, Some((2000, 2, 29, 0))),
            (1_709_208_000, Some((2024, 2, 29, 12))),
            (4_107_542_400, Some((2100, 3, 1, 0))),
            (4_354_819_199, Some((2107, 12, 31, 23))),
            (315_532_799, None),
            (4_354_819_200, None),
            (u64::MAX, None),
        ] {
            let found = date_time(Timestamp(seconds));
            let found = found.map(|at| (at.date.year, at.date.month, at.date.day, at.time.hour));
            assert_eq!(found, shown, "{seconds}");
        }
    }
}
