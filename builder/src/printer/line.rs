//! The words of a progress line.

use std::time::Duration;

/// Widest name in a redrawn line, so that it stays one line of 80 columns.
const NAME: usize = 56;

/// Seconds with one decimal, minutes from 100 seconds on: `1.2 s`, `2 min 05 s`.
pub(super) fn elapsed(time: Duration) -> String {
    if time.as_secs() < 100 {
        let tenths = time.as_millis() / 100;
        return format!("{}.{} s", tenths / 10, tenths % 10);
    }
    format!("{} min {:02} s", time.as_secs() / 60, time.as_secs() % 60)
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
    fn keeps_to_80_columns() {
        let line = progress(&"x".repeat(200), 1, Some(2), Duration::from_secs(3599));
        assert!(line.chars().count() <= 80, "{line}");
    }
}
