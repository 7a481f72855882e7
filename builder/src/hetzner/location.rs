//! Locations: where servers stand.

use serde::Deserialize;

use super::LocationId;
use super::resource::resource;

/// A location.
#[derive(Clone, Debug, Deserialize)]
pub struct Location {
    /// Its number.
    pub id: LocationId,
    /// `nbg1`.
    pub name: String,
    /// Which locations one private network reaches: `eu-central`.
    pub network_zone: String,
}

resource!(Location, LocationId, "location", "locations");
