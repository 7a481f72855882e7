//! Dates of Release files and of the snapshot archive; UTC only, as Debian writes them.

use crate::units::Timestamp;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

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

/// The snapshot archive's form, e.g. `20261121T021046Z`.
pub fn stamp(time: Timestamp) -> String {
    time.to_string().replace(['-', ':'], "")
}

/// Reads what [`stamp`] writes.
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
    fn reads_every_day_of_two_centuries() {
        for day in 0..73_000 {
            let time = Timestamp(day * 86_400 + 45_296);
            let stamp = stamp(time);
            assert_eq!(parse_stamp(&stamp), Some(time), "{stamp}");
            let month: usize = stamp[4..6].parse().unwrap();
            let text = format!("Mon, {} {} {} 12:34:56 UTC", &stamp[6..8], MONTHS[month - 1], &stamp[..4]);
            assert_eq!(parse(&text), Some(time), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_stamp() {
        assert_eq!(stamp(Timestamp(1_795_227_046)), "20261121T021046Z");
        for text in ["", "Z", "20261121T021046", "20261321T021046Z", "20261121T0210Z", "2026112éT021046Z"] {
            assert_eq!(parse_stamp(text), None, "{text}");
        }
    }
}
