//! Prices, as decimal numbers with all their digits: no sum of them is a float.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};
use thiserror::Error;

use super::client::path;
use super::primary_ip::IpType;
use super::transport::Request;
use super::{Client, HetznerError, Operation, ServerTypeId};

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
    /// So many of it; no more than can be counted.
    #[must_use]
    pub const fn times(self, count: u64) -> Self {
        Self(self.0.saturating_mul(count))
    }
}

impl std::iter::Sum for Amount {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        Self(amounts.fold(0, |sum, amount| sum.saturating_add(amount.0)))
    }
}

/// A price.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
pub struct Price {
    /// Without VAT.
    pub net: Amount,
    /// With VAT.
    pub gross: Amount,
}

/// The price of something that runs in a location: by the hour, up to what a month costs.
#[derive(Clone, Debug, Deserialize)]
pub struct PriceAt {
    /// `nbg1`.
    pub location: String,
    /// For an hour, begun ones too.
    pub price_hourly: Price,
    /// For a month at most.
    pub price_monthly: Price,
}

/// All prices of the project.
#[derive(Clone, Debug, Deserialize)]
pub struct Pricing {
    /// `EUR`.
    pub currency: String,
    /// Of images.
    pub image: ImagePricing,
    /// Of Primary IPs.
    #[serde(default)]
    pub primary_ips: Vec<PrimaryIpPricing>,
    /// Of servers.
    #[serde(default)]
    pub server_types: Vec<ServerTypePricing>,
}

/// What images cost.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct ImagePricing {
    /// For a month, by the GB of [`image_size`](super::image::Image::image_size).
    pub price_per_gb_month: Price,
}

/// What a Primary IP costs.
#[derive(Clone, Debug, Deserialize)]
pub struct PrimaryIpPricing {
    /// Of which kind.
    #[serde(rename = "type")]
    pub kind: IpType,
    /// By location.
    pub prices: Vec<PriceAt>,
}

/// What a server costs.
#[derive(Clone, Debug, Deserialize)]
pub struct ServerTypePricing {
    /// Of which type.
    pub id: ServerTypeId,
    /// `cx23`.
    pub name: String,
    /// By location.
    pub prices: Vec<PriceAt>,
}

impl Client {
    /// All prices.
    pub async fn pricing(&self, operation: &Operation) -> Result<Pricing, HetznerError> {
        self.call(operation, &Request::get(path(["pricing"]))).await?.take("pricing")
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
        let tenth: Amount = "0.1".parse().unwrap();
        assert_eq!([tenth, tenth.times(2)].into_iter().sum::<Amount>().to_string(), "0.30");
    }
}
