//! Placement groups: their servers are on different hosts.

use serde_json::{Value, json};

use super::{Answer, kept_in};
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::page::Shape;
use crate::state::{Head, Kind, Resource, State};

/// Servers in one group.
const LARGEST: usize = 10;

#[derive(Clone, Debug)]
pub(crate) struct PlacementGroup {
    head: Head,
}

impl PlacementGroup {
    fn servers(&self, state: &State) -> Vec<u64> {
        let members = state.servers.iter().filter(|server| server.placement_group == Some(self.head.id));
        members.map(|server| server.head().id).collect()
    }
}

impl Resource for PlacementGroup {
    const KIND: Kind = Kind::PlacementGroup;
    const SHAPE: Shape = Shape {
        name: "placement_groups",
        sort: &["id", "name", "created"],
        filters: &[("name", &[]), ("type", &["spread"])],
        has_labels: true,
    };
    kept_in!(placement_groups);

    fn json(&self, state: &State) -> Value {
        json!({
            "id": self.head.id, "name": self.head.name, "created": self.head.created.to_string(),
            "labels": self.head.labels, "type": "spread", "servers": self.servers(state),
        })
    }

    fn check_delete(&self, state: &State) -> Result<(), ApiError> {
        if self.servers(state).is_empty() {
            return Ok(());
        }
        Err(ApiError::refused("resource_in_use", "servers are in the placement group"))
    }
}

impl State {
    /// Whether one more server may join.
    pub(crate) fn check_placement(&self, id: u64) -> Result<(), ApiError> {
        if self.placement_groups.get(id)?.servers(self).len() < LARGEST {
            return Ok(());
        }
        Err(ApiError::new(412, "placement_error", format!("the placement group has {LARGEST} servers")))
    }
}

pub(crate) fn create(call: &mut Call<'_>) -> Answer {
    let body = call.body()?;
    let input = Call::input(&body)?;
    let name = input.maybe_name("name")?.ok_or_else(|| input.fault("name", "is required"))?;
    input.word("type", &["spread"])?;
    let labels = input.labels()?;
    call.state.check_limit(Kind::PlacementGroup)?;
    call.state.placement_groups.check_name(name, None)?;
    let group = PlacementGroup { head: call.state.head(name, labels) };
    let shown = group.json(call.state);
    call.state.placement_groups.insert(group);
    Ok(Reply::new(201, json!({"placement_group": shown, "action": null})))
}
