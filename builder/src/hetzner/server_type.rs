//! Server types: what servers are made of, where they are to be had, and at what price.

use serde::{Deserialize, Serialize};

use super::ServerTypeId;
use super::open_enum::open_enum;
use super::price::PriceAt;
use super::resource::resource;
use crate::units::Arch;

open_enum! {
    /// A processor architecture, by Hetzner's name.
    Architecture {
        /// amd64.
        X86 = "x86",
        /// arm64.
        Arm = "arm",
    }
}

impl From<Arch> for Architecture {
    fn from(arch: Arch) -> Self {
        match arch {
            Arch::Amd64 => Self::X86,
            Arch::Arm64 => Self::Arm,
        }
    }
}

/// A size in GB, as the API counts disks, images and memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Gigabytes(pub f64);

/// A server type.
#[derive(Clone, Debug, Deserialize)]
pub struct ServerType {
    /// Its number.
    pub id: ServerTypeId,
    /// `cx23`.
    pub name: String,
    /// Of its processor.
    pub architecture: Architecture,
    /// How many processor cores it has.
    pub cores: u32,
    /// Its memory.
    pub memory: Gigabytes,
    /// Its disk.
    pub disk: Gigabytes,
    /// What it costs, by location.
    #[serde(default)]
    pub prices: Vec<PriceAt>,
    /// Where it is offered.
    #[serde(default)]
    pub locations: Vec<ServerTypeLocation>,
}

/// A server type in one location.
#[derive(Clone, Debug, Deserialize)]
pub struct ServerTypeLocation {
    /// `nbg1`.
    pub name: String,
    /// Whether it is in stock. Replies before 2026-04 do not say, which is no promise.
    #[serde(default)]
    pub available: Option<bool>,
    /// Whether Hetzner recommends it.
    #[serde(default)]
    pub recommended: Option<bool>,
    /// Until when it can be had, if it ends.
    #[serde(default)]
    pub deprecation: Option<Deprecation>,
}

/// The end of something.
#[derive(Clone, Debug, Deserialize)]
pub struct Deprecation {
    /// When it was told, RFC 3339.
    pub announced: String,
    /// From when on it cannot be ordered, RFC 3339.
    pub unavailable_after: String,
}

resource!(ServerType, ServerTypeId, "server_type", "server_types");

impl ServerType {
    /// Its price in a location, if it is offered there.
    pub fn price_at(&self, location: &str) -> Option<&PriceAt> {
        self.prices.iter().find(|price| price.location == location)
    }

    /// What is known of it in a location.
    pub fn at(&self, location: &str) -> Option<&ServerTypeLocation> {
        self.locations.iter().find(|at| at.name == location)
    }
}
