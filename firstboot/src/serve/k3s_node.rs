//! How the cluster sees this node: its own object, read as its kubelet reads it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::reporter::say;
use crate::kubernetes::{Api, ApiError, NODES, is_true, ready_condition};
use crate::plan::node_annotations;
use crate::record::NodeRecord;

/// What the cluster says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Seen {
    /// The node is Ready.
    Ready,
    /// It is known, and not Ready, for this reason.
    NotReady(String),
    /// k3s has no certificate yet, or the API does not answer: nobody can say.
    Nothing(String),
    /// The API answers, and does not know this node or its certificate: k3s alone would try for ever.
    Unknown(String),
}

/// Looks at the node's object, and makes sure that it has the annotations of the record.
pub(super) fn look(api: &Api, record: &NodeRecord) -> Seen {
    let name = record.node.name.as_str();
    let path = format!("{NODES}/{name}");
    let answer = api.get(&path);
    let annotated = answer.as_ref().ok().and_then(Option::as_ref);
    let annotated = annotated.and_then(|node| annotated_as(&node_annotations(record), name, node));
    // Server-side: other annotations of the object stay with whoever has made them.
    if let Some(Err(error)) = annotated.map(|object| api.apply(&path, &object)) {
        say(&format!("what Longhorn reads of this node is not written: {:#}", anyhow::Error::from(error)));
    }
    judge(answer)
}

/// What has to be applied for the object to have these annotations.
fn annotated_as(annotations: &BTreeMap<&str, String>, name: &str, node: &Value) -> Option<Value> {
    let there = &node["metadata"]["annotations"];
    let is_there = annotations.iter().all(|(key, value)| there[*key] == *value);
    let object = || {
        json!({
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": { "name": name, "annotations": annotations },
        })
    };
    (!is_there).then(object)
}

fn judge(answer: Result<Option<Value>, ApiError>) -> Seen {
    match answer {
        Ok(Some(node)) => ready(&node),
        Ok(None) => Seen::Unknown("the cluster has no node of this name".to_owned()),
        Err(ApiError::Status { status: status @ (401 | 403), .. }) => {
            Seen::Unknown(format!("the cluster does not know this node: its API answers {status}"))
        }
        Err(error) => Seen::Nothing(format!("{:#}", anyhow::Error::from(error))),
    }
}

fn ready(node: &Value) -> Seen {
    match ready_condition(node) {
        Some(condition) if is_true(condition) => Seen::Ready,
        Some(condition) => {
            let message = condition["message"].as_str().filter(|message| !message.is_empty());
            let text =
                message.or_else(|| condition["reason"].as_str()).unwrap_or("the cluster says no reason");
            Seen::NotReady(text.escape_debug().to_string())
        }
        None => Seen::NotReady("the kubelet has not reported yet".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn annotations_are_applied_where_they_are_missing_or_differ() {
        let wanted = BTreeMap::from([("node.longhorn.io/default-node-tags", "[\"harbour\"]".to_owned())]);
        let node =
            |annotations: Value| json!({ "metadata": { "name": "edge1", "annotations": annotations } });
        let expected = json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": "edge1", "annotations": wanted } });
        for (there, applied) in [
            (Value::Null, Some(&expected)),
            (json!({ "node.longhorn.io/default-node-tags": "[]", "other": "x" }), Some(&expected)),
            (json!({ "node.longhorn.io/default-node-tags": "[\"harbour\"]", "other": "x" }), None),
        ] {
            assert_eq!(annotated_as(&wanted, "edge1", &node(there)).as_ref(), applied);
        }
        assert_eq!(annotated_as(&BTreeMap::new(), "edge1", &node(Value::Null)), None);
    }

    #[test]
    fn a_node_is_ready_when_its_condition_says_so() {
        let node = |conditions: Value| Ok(Some(json!({ "status": { "conditions": conditions } })));
        for (answer, expected) in [
            (node(json!([{ "type": "Ready", "status": "True" }])), Seen::Ready),
            (
                node(json!([{ "type": "Ready", "status": "False", "message": "no CNI\u{1b}" }])),
                Seen::NotReady("no CNI\\u{1b}".to_owned()),
            ),
            (
                node(json!([{ "type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown" }])),
                Seen::NotReady("NodeStatusUnknown".to_owned()),
            ),
            (node(json!([])), Seen::NotReady("the kubelet has not reported yet".to_owned())),
            (Ok(None), Seen::Unknown("the cluster has no node of this name".to_owned())),
        ] {
            assert_eq!(judge(answer), expected);
        }
        let refused = |status| {
            judge(Err(ApiError::Status { status, verb: "get", path: "/".to_owned(), message: String::new() }))
        };
        assert!(matches!(refused(401), Seen::Unknown(_)));
        assert!(matches!(refused(503), Seen::Nothing(_)));
    }
}
