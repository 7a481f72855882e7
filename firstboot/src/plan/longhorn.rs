//! What Longhorn is told about a node: a label that says it carries volumes, and annotations with their places.

use std::collections::BTreeMap;

use super::PlannedFile;
use crate::record::{NodeRecord, Role};

/// Longhorn makes a disk on nodes with this label, with the tags that their annotation says; `true` would make one
/// without tags.
const LABEL: &str = "node.longhorn.io/create-default-disk=config";

/// The label of a node that carries volumes.
pub(super) fn label(record: &NodeRecord) -> Option<&'static str> {
    let carries_volumes = record.node.longhorn.is_some() || record.node.role != Role::ControlPlane;
    carries_volumes.then_some(LABEL)
}

/// Annotations that the node puts on its own Node object: k3s has no option for them on agents, and Longhorn reads them
/// once, when it first sees the label.
pub fn annotations(record: &NodeRecord) -> BTreeMap<&'static str, String> {
    let Some(longhorn) = &record.node.longhorn else { return BTreeMap::new() };
    let disk = |disk: &crate::record::LonghornDisk| serde_json::json!({ "path": disk.path, "allowScheduling": true, "tags": disk.tags });
    let disks: Vec<_> = longhorn.disks.iter().map(disk).collect();
    BTreeMap::from([
        ("node.longhorn.io/default-disks-config", serde_json::Value::from(disks).to_string()),
        ("node.longhorn.io/default-node-tags", serde_json::Value::from(longhorn.scopes.clone()).to_string()),
    ])
}

/// The annotations as a file, where there are any.
pub(super) fn file(record: &NodeRecord) -> Option<PlannedFile> {
    let annotations = serde_json::json!(annotations(record));
    let is_empty = record.node.longhorn.is_none();
    (!is_empty)
        .then(|| PlannedFile::new("/run/imgbuild/node-annotations.json", 0o600, format!("{annotations:#}\n")))
}
