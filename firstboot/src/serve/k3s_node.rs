//! How the cluster sees this node: its own object, read as its kubelet reads it.

use serde_json::Value;

use crate::kubernetes::{Api, ApiError};

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

/// Looks.
pub(super) fn look(api: &Api, name: &str) -> Seen {
    judge(api.get(&format!("/api/v1/nodes/{name}")))
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
    let conditions = node["status"]["conditions"].as_array();
    let condition = conditions.into_iter().flatten().find(|condition| condition["type"] == "Ready");
    match condition {
        Some(condition) if condition["status"] == "True" => Seen::Ready,
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
