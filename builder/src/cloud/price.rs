//! Prices, as decimal numbers with all their digits: no sum of them is a float.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// Digits behind the point that count; the API's own have ten and more, most of them zeros.
const DIGITS: usize = 9;
/// One unit of the currency.
const ONE: u64 = 1_000_000_000;

/// An amount of the project's currency, in billionths.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Amount(pub u64);

/// A text is no amount.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("`{text}` is no amount such as `5.4900`")]
pub struct AmountError {
    /// The text.
    pub text: String,
}

impl FromStr for Amount {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let amount = || {
            let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
            let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
            if whole.is_empty() || !is_number(whole) || !is_number(rest) {
                return None;
            }
            let rest: String = rest.chars().chain(std::iter::repeat('0')).take(DIGITS).collect();
            whole.parse::<u64>().ok()?.checked_mul(ONE)?.checked_add(rest.parse().ok()?)
        };
        amount().map(Self).ok_or_else(|| AmountError { text: text.to_owned() })
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// With two digits behind the point, or as many as it has.
impl fmt::Display for Amount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rest = format!("{:0DIGITS$}", self.0 % ONE);
        let digits = rest.trim_end_matches('0').len().max(2);
        write!(formatter, "{}.{}", self.0 / ONE, &rest[..digits])
    }
}

impl Amount {
    /// So many times; a thousandth more or less does not count.
    #[must_use]
    pub fn times(self, count: f64) -> Self {
        let thousandths: u64 = format!("{:.0}", count.max(0.0) * 1e3).parse().unwrap_or(0);
        Self(self.0.saturating_mul(thousandths) / 1000)
    }

    /// With so many digits behind the point, nine at most.
    pub fn rounded(self, digits: u32) -> String {
        let unit = 10_u64.pow(u32::try_from(DIGITS).unwrap_or(0).saturating_sub(digits));
        let rounded = self.0.saturating_add(unit / 2) / unit;
        let one = 10_u64.pow(digits);
        format!("{}.{:0width$}", rounded / one, rounded % one, width = usize::try_from(digits).unwrap_or(0))
    }
}

impl std::iter::Sum for Amount {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        Self(amounts.fold(0, |sum, amount| sum.saturating_add(amount.0)))
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A price.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Price {
    /// Without VAT.
    pub net: Amount,
    /// With VAT.
    pub gross: Amount,
}

impl std::iter::Sum for Price {
    fn sum<I: Iterator<Item = Self>>(prices: I) -> Self {
        let prices: Vec<Self> = prices.collect();
        Self {
            net: prices.iter().map(|price| price.net).sum(),
            gross: prices.iter().map(|price| price.gross).sum(),
        }
    }
}

/// The price of something that is there: by the hour, up to what a month costs.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct PriceByTime {
    /// For an hour, begun ones too.
    pub hourly: Price,
    /// For a month at most.
    pub monthly: Price,
}

impl std::iter::Sum for PriceByTime {
    fn sum<I: Iterator<Item = Self>>(prices: I) -> Self {
        let prices: Vec<Self> = prices.collect();
        Self {
            hourly: prices.iter().map(|price| price.hourly).sum(),
            monthly: prices.iter().map(|price| price.monthly).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact() {
        for (text, shown) in [
            ("5.4900000000", "5.49"),
            ("1.1900000000000000", "1.19"),
            ("0.0088", "0.0088"),
            ("6.5331", "6.5331"),
            ("3", "3.00"),
            ("0", "0.00"),
        ] {
            assert_eq!(text.parse::<Amount>().unwrap().to_string(), shown, "{text}");
        }
        for text in ["", ".5", "-1", "1e3", "1,5", "1.2.3", "99999999999999", "+1"] {
            assert_eq!(text.parse::<Amount>(), Err(AmountError { text: text.to_owned() }));
        }
        let price: Amount = "0.0135499999".parse().unwrap();
        assert_eq!([price.rounded(2), price.rounded(4), price.rounded(9)], ["0.01", "0.0135", "0.013549999"]);
        assert_eq!("9.995".parse::<Amount>().unwrap().rounded(2), "10.00");
        let tenth: Amount = "0.1".parse().unwrap();
        assert_eq!([tenth; 3].into_iter().sum::<Amount>().to_string(), "0.30");
    }
}
