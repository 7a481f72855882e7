//! Dates as FAT writes them.

use std::ops::RangeInclusive;

const DAY: u64 = 86_400;
/// Times that FAT can tell, in seconds after 1970: from 1980-01-01 to the last second of 2107.
pub const TIMES: RangeInclusive<u64> = 315_532_800..=4_354_819_199;

/// Date and time of a file, UTC, to two seconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stamp {
    /// Years after 1980 in bits 9 to 15, month in 5 to 8, day in 0 to 4.
    pub(super) date: u16,
    /// Hour in bits 11 to 15, minute in 5 to 10, half of the seconds in 0 to 4.
    pub(super) time: u16,
}

impl Stamp {
    /// From seconds after 1970; what FAT cannot tell becomes the nearest that it can.
    pub fn from_unix(seconds: u64) -> Self {
        let seconds = seconds.clamp(*TIMES.start(), *TIMES.end());
        let (year, month, day) = civil(seconds / DAY);
        let of_day = seconds % DAY;
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        let field = |value: u64| u16::try_from(value).unwrap_or(u16::MAX);
        Self {
            date: field((year - 1980) << 9 | month << 5 | day),
            time: field(hour << 11 | minute << 5 | (second / 2)),
        }
    }
}

/// Year, month and day of a day after 1970-01-01, within FAT's years at least (Howard Hinnant, "chrono-Compatible
/// Low-Level Date Algorithms"); years begin in March, so that the leap day comes last.
pub fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_specification() {
        let date = |year: u16, month: u16, day: u16| (year - 1980) * 512 + month * 32 + day;
        let time = |hour: u16, minute: u16, second: u16| hour * 2048 + minute * 32 + second / 2;
        for (seconds, expected) in [
            (0, (date(1980, 1, 1), 0)),
            (951_782_400 + 3600 + 62, (date(2000, 2, 29), time(1, 1, 2))),
            (4_107_542_400, (date(2100, 3, 1), 0)),
            (u64::MAX, (date(2107, 12, 31), time(23, 59, 59))),
        ] {
            let stamp = Stamp::from_unix(seconds);
            assert_eq!((stamp.date, stamp.time), expected, "{seconds}");
        }
    }
}
