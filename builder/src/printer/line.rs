//! The words of a progress line.

use std::time::Duration;

use crate::units::Bytes;

/// Widest name in a redrawn line, so that it stays one line of 80 columns.
const NAME: usize = 56;
/// The same beside rate and time left.
const TRANSFER_NAME: usize = 24;

/// Seconds with one decimal, minutes from 100 seconds on: `1.2 s`, `2 min 05 s`.
pub(super) fn elapsed(time: Duration) -> String {
    if time.as_secs() < 100 {
        let tenths = time.as_millis() / 100;
        return format!("{}.{} s", tenths / 10, tenths % 10);
    }
    format!("{} min {:02} s", time.as_secs() / 60, time.as_secs() % 60)
}

/// `writing …  42 %  12.3 s, 31.5 MiB/s, 17.0 s left`, of bytes; as [`progress`] where nothing can be reckoned yet.
pub(super) fn transfer(name: &str, done: u64, total: Option<u64>, time: Duration) -> String {
    let name: String = name.chars().take(TRANSFER_NAME).collect();
    let line = progress(&name, done, total, time);
    let known = total.zip(u64::try_from(time.as_millis()).ok());
    let Some((total, millis)) = known.filter(|(total, millis)| done > 0 && done < *total && *millis > 0)
    else {
        return line;
    };
    // In 128 bits nothing overflows.
    let scaled =
        |count: u64, by: u64, over: u64| u64::try_from(u128::from(count) * u128::from(by) / u128::from(over));
    let rate = Bytes(scaled(done, 1000, millis).unwrap_or(u64::MAX));
    let left = Duration::from_millis(scaled(total - done, millis, done).unwrap_or(u64::MAX));
    format!("{line}, {rate}/s, {} left", elapsed(left))
}

/// `fetching packages …  42 %  12.3 s`; without a total, or past it, only the time.
pub(super) fn progress(name: &str, done: u64, total: Option<u64>, time: Duration) -> String {
    let name: String = name.chars().take(NAME).collect();
    let time = elapsed(time);
    let percent = total.filter(|total| *total > 0 && done <= *total).map(|total| {
        // Exact for any u64, and 100 % only when all is done.
        u128::from(done) * 100 / u128::from(total)
    });
    match percent {
        Some(percent) => format!("{name} … {percent:3} %  {time}"),
        None => format!("{name} …  {time}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_time_in_seconds_then_minutes() {
        for (milliseconds, shown) in [
            (0, "0.0 s"),
            (1_249, "1.2 s"),
            (99_999, "99.9 s"),
            (125_000, "2 min 05 s"),
            (3_600_000, "60 min 00 s"),
        ] {
            assert_eq!(elapsed(Duration::from_millis(milliseconds)), shown);
        }
    }

    #[test]
    fn shows_percent_only_of_a_known_total() {
        let second = Duration::from_secs(1);
        assert_eq!(progress("fetching", 999, Some(1000), second), "fetching …  99 %  1.0 s");
        assert_eq!(progress("fetching", 5, None, second), "fetching …  1.0 s");
        assert_eq!(progress("fetching", 5, Some(0), second), "fetching …  1.0 s");
        assert_eq!(progress("fetching", u64::MAX, Some(u64::MAX), second), "fetching … 100 %  1.0 s");
    }

    #[test]
    fn shows_rate_and_time_left_once_there_are_any() {
        let second = Duration::from_secs(1);
        let mib = |count: u64| count << 20;
        assert_eq!(
            transfer("writing", mib(1), Some(mib(4)), 2 * second),
            "writing …  25 %  2.0 s, 512 KiB/s, 6.0 s left"
        );
        assert_eq!(transfer("writing", 0, Some(4), second), "writing …   0 %  1.0 s");
        assert_eq!(transfer("writing", 4, Some(4), second), "writing … 100 %  1.0 s");
        assert_eq!(transfer("writing", 4, None, second), "writing …  1.0 s");
        assert_eq!(transfer("writing", 4, Some(8), Duration::ZERO), "writing …  50 %  0.0 s");
        let slow = transfer(&"x".repeat(99), 1, Some(u64::MAX), Duration::from_hours(24));
        assert!(slow.contains("0 B/s"), "{slow}");
    }

    #[test]
    fn keeps_to_80_columns() {
        let half = transfer(&"x".repeat(200), 1023 << 20, Some(5000 << 20), Duration::from_secs(5999));
        assert!(half.chars().count() <= 80, "{half}");
        let line = progress(&"x".repeat(200), 1, Some(2), Duration::from_secs(3599));
        assert!(line.chars().count() <= 80, "{line}");
    }
}
