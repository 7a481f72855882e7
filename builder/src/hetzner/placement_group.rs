//! Placement groups: servers of one are on different hosts.

use serde::{Deserialize, Serialize};

use super::create::Create;
use super::open_enum::open_enum;
use super::resource::resource;
use super::{Labels, PlacementGroupId, Query, ServerId};

open_enum! {
    /// How the servers of a group are placed.
    PlacementGroupType {
        /// Each on another host.
        Spread = "spread",
    }
}

/// A placement group.
#[derive(Clone, Debug, Deserialize)]
pub struct PlacementGroup {
    /// Its number.
    pub id: PlacementGroupId,
    /// Its name.
    pub name: String,
    /// How its servers are placed.
    #[serde(rename = "type")]
    pub kind: PlacementGroupType,
    /// Its servers.
    #[serde(default)]
    pub servers: Vec<ServerId>,
    /// Its labels.
    #[serde(default)]
    pub labels: Labels,
}

resource!(PlacementGroup, PlacementGroupId, "placement_group", "placement_groups", labelled);

/// A placement group to be made.
#[derive(Clone, Debug, Serialize)]
pub struct CreatePlacementGroup {
    /// Its name.
    pub name: String,
    /// How its servers are placed.
    #[serde(rename = "type")]
    pub kind: PlacementGroupType,
    /// Its labels.
    pub labels: Labels,
}

impl Create for CreatePlacementGroup {
    type Made = PlacementGroup;

    fn labels_mut(&mut self) -> &mut Labels {
        &mut self.labels
    }

    fn query(&self) -> Query {
        Query::default().name(&self.name)
    }

    fn has_made(&self, found: &PlacementGroup) -> bool {
        found.name == self.name
    }
}
