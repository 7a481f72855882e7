//! Prices of a project, as the API lists them.

use serde::Deserialize;

use super::client::path;
use super::primary_ip::IpType;
use super::transport::Request;
use super::{Client, HetznerError, Operation, ServerTypeId};
use crate::cloud::price::Price;

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
