//! Dates of Release files and of the snapshot archive; UTC only, as Debian writes them.

use std::fmt;

use crate::units::Timestamp;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A moment in UTC, split for printing as `2026-11-28 02:10:46 UTC`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Utc {
    year: u64,
    month: u64,
    day: u64,
    /// Second of the day.
    second: u64,
}

/// Reads a Release file's date, e.g. `Sat, 21 Nov 2026 02:10:46 UTC`.
///
/// Debian's repository format asks for RFC 5322 dates in UTC, with `UTC`, `GMT`, `Z` or `+0000` at the end.
pub fn parse(text: &str) -> Option<Timestamp> {
    let mut words = text.split_ascii_whitespace();
    let weekday = words.next()?;
    if weekday.len() != 4 || !weekday.ends_with(',') {
        return None;
    }
    let day = number(words.next()?, 31)?;
    let month = words.next()?;
    let month = u64::try_from(MONTHS.iter().position(|name| *name == month)?).ok()? + 1;
    let year = number(words.next()?, 9999)?;
    let mut clock = words.next()?.split(':');
    let hour = number(clock.next()?, 23)?;
    let minute = number(clock.next()?, 59)?;
    let second = number(clock.next()?, 60)?;
    let is_utc = matches!(words.next()?, "UTC" | "GMT" | "Z" | "+0000");
    if !is_utc || clock.next().is_some() || words.next().is_some() || day == 0 || year < 1970 {
        return None;
    }
    Some(Timestamp(days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second))
}

/// Reads the snapshot archive's form, e.g. `20261121T021046Z`.
pub fn parse_stamp(text: &str) -> Option<Timestamp> {
    let (date, clock) = text.strip_suffix('Z')?.split_once('T')?;
    let day = days_since_1970(
        number(date.get(..4)?, 9999).filter(|year| *year >= 1970)?,
        number(date.get(4..6)?, 12).filter(|month| *month > 0)?,
        number(date.get(6..)?, 31).filter(|day| *day > 0)?,
    );
    let second = number(clock.get(..2)?, 23)? * 3600
        + number(clock.get(2..4)?, 59)? * 60
        + number(clock.get(4..)?, 60)?;
    (text.len() == 16).then_some(Timestamp(day * 86_400 + second))
}

fn number(text: &str, most: u64) -> Option<u64> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|value| is_plain && *value <= most)
}

/// Howard Hinnant's `days_from_civil`, for years from 1970 on: years begin in March, eras have 400 years.
fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year / 400, year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719_468
}

impl From<Timestamp> for Utc {
    fn from(time: Timestamp) -> Self {
        let days = time.0 / 86_400 + 719_468;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        Self {
            year: era * 400 + year_of_era + u64::from(month <= 2),
            month,
            day: day_of_year - (153 * shifted + 2) / 5 + 1,
            second: time.0 % 86_400,
        }
    }
}

impl Utc {
    /// The snapshot archive's form, e.g. `20261128T021046Z`.
    pub fn stamp(self) -> String {
        let (hour, minute, second) = self.clock();
        format!("{:04}{:02}{:02}T{hour:02}{minute:02}{second:02}Z", self.year, self.month, self.day)
    }

    fn clock(self) -> (u64, u64, u64) {
        (self.second / 3600, self.second / 60 % 60, self.second % 60)
    }
}

impl fmt::Display for Utc {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hour, minute, second) = self.clock();
        let Self { year, month, day, .. } = self;
        write!(formatter, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_debians_dates() {
        // Seconds as `date -u -d DATE +%s` prints them.
        for (text, seconds) in [
            ("Thu, 01 Jan 1970 00:00:00 UTC", 0),
            ("Tue, 29 Feb 2000 12:00:00 UTC", 951_825_600),
            ("Sat, 21 Nov 2026 02:10:46 UTC", 1_795_227_046),
            ("Sat,  1 Mar 2025 00:00:00 +0000", 1_740_787_200),
            ("Fri, 31 Dec 2100 23:59:59 GMT", 4_133_980_799),
        ] {
            assert_eq!(parse(text), Some(Timestamp(seconds)), "{text}");
        }
    }

    #[test]
    fn refuses_other_dates() {
        for text in [
            "",
            "2026-11-21",
            "Sat, 21 Nov 2026 02:10:46",
            "Sat, 21 Nov 2026 02:10:46 CET",
            "Sat, 21 Nov 2026 02:10:46 +0100",
            "Sat, 32 Nov 2026 02:10:46 UTC",
            "Sat, +1 Nov 2026 02:10:46 UTC",
            "Sat, 21 Nov 2026 24:00:00 UTC",
            "Sat, 21 Nov 1969 00:00:00 UTC",
            "Sat, 21 Nov 99999999999999999999 00:00:00 UTC",
            "Sat, 21 Nov 2026 02:10:46 UTC trailing",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn prints_what_it_reads_for_every_day_of_two_centuries() {
        let mut expected = Utc { year: 1970, month: 1, day: 1, second: 45_296 };
        for day in 0..73_000 {
            let time = Timestamp(day * 86_400 + 45_296);
            assert_eq!(Utc::from(time), expected, "day {day}");
            let name = MONTHS.get(usize::try_from(expected.month).unwrap() - 1).unwrap();
            let text = format!("Mon, {:02} {name} {} 12:34:56 UTC", expected.day, expected.year);
            assert_eq!(parse(&text), Some(time), "{text}");
            expected = next(expected);
        }
        assert_eq!(Utc::from(Timestamp(1_795_227_046)).to_string(), "2026-11-21 02:10:46 UTC");
    }

    #[test]
    fn reads_the_stamps_it_prints() {
        for seconds in [0, 951_825_600, 1_795_227_046, 4_133_980_799] {
            let stamp = Utc::from(Timestamp(seconds)).stamp();
            assert_eq!(parse_stamp(&stamp), Some(Timestamp(seconds)), "{stamp}");
        }
        assert_eq!(Utc::from(Timestamp(1_795_227_046)).stamp(), "20261121T021046Z");
        for text in ["", "Z", "20261121T021046", "20261321T021046Z", "20261121T0210Z", "2026112éT021046Z"] {
            assert_eq!(parse_stamp(text), None, "{text}");
        }
    }

    fn next(date: Utc) -> Utc {
        let leap =
            date.year.is_multiple_of(4) && (!date.year.is_multiple_of(100) || date.year.is_multiple_of(400));
        let last = match date.month {
            4 | 6 | 9 | 11 => 30,
            2 => 28 + u64::from(leap),
            _ => 31,
        };
        match (date.month, date.day) {
            (12, 31) => Utc { year: date.year + 1, month: 1, day: 1, ..date },
            (month, day) if day == last => Utc { month: month + 1, day: 1, ..date },
            (_, day) => Utc { day: day + 1, ..date },
        }
    }
}
