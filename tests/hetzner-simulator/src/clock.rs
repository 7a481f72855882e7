//! Time: that of the machine, or one that tests move.

use std::fmt;
use std::time::{Duration, SystemTime};

/// Milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Time(pub(crate) u64);

impl Time {
    pub(crate) fn after(self, pause: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)))
    }

    pub(crate) fn seconds(self) -> u64 {
        self.0 / 1000
    }
}

/// RFC 3339.
impl fmt::Display for Time {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(self.seconds());
        humantime::format_rfc3339_seconds(time).fmt(formatter)
    }
}

/// Where time comes from.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    Real,
    /// Stands still until it is moved; since 1970.
    Set(Duration),
}

impl Clock {
    pub(crate) fn now(self) -> Time {
        let since = match self {
            Self::Real => SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default(),
            Self::Set(since) => since,
        };
        Time::default().after(since)
    }

    /// Moves a clock that stands; a real one is made to stand at the time it would show then.
    pub(crate) fn advance(&mut self, pause: Duration) {
        *self = Self::Set(Duration::from_millis(self.now().after(pause).0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_in_rfc_3339() {
        assert_eq!(Time(1_454_198_100_999).to_string(), "2016-01-30T23:55:00Z");
        let mut clock = Clock::Set(Duration::from_secs(10));
        clock.advance(Duration::from_millis(1500));
        assert_eq!(clock.now(), Time(11_500));
    }
}
