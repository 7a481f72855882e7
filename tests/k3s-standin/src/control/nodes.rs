//! Nodes whose kubelet has fallen silent (Kubernetes, node lifecycle controller).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::api::selector::Selector;
use crate::cluster::{Cluster, Write, now};
use crate::output;

/// Taint of nodes that can't be reached.
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";

/// What was last heard of each node, and when by this server's clock: the nodes' own clocks may be wrong.
#[derive(Debug, Default)]
pub struct Monitor {
    heard: BTreeMap<String, (String, Instant)>,
}

impl Monitor {
    /// Looks at all nodes.
    pub fn pass(&mut self, cluster: &Cluster, grace: Duration) {
        let (Ok(nodes), Ok(leases)) =
            (cluster.kind("v1", "Node"), cluster.kind("coordination.k8s.io/v1", "Lease"))
        else {
            return;
        };
        let (list, _) = cluster.list(&nodes, None, &Selector::default());
        let names: Vec<&str> =
            list.iter().filter_map(|node| node.pointer("/metadata/name").and_then(Value::as_str)).collect();
        self.heard.retain(|name, _| names.contains(&name.as_str()));
        for node in &list {
            let name = node.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
            let lease = cluster.get(&leases, "kube-node-lease", name).unwrap_or_default();
            let heartbeats = ready(node).and_then(|ready| ready.get("lastHeartbeatTime").cloned());
            let sign = format!("{:?} {heartbeats:?}", lease.pointer("/spec/renewTime"));
            let entry = self.heard.entry(name.to_owned()).or_insert_with(|| (sign.clone(), Instant::now()));
            // What this controller wrote itself is no sign of life.
            let is_unknown = ready(node).is_none_or(|ready| ready.get("status") == Some(&"Unknown".into()));
            if entry.0 != sign {
                *entry = (sign, Instant::now());
            }
            let is_silent = entry.1.elapsed() > grace;
            let is_tainted = taints(node).iter().any(|taint| taint.get("key") == Some(&UNREACHABLE.into()));
            let write = Write::by(&nodes, "", "kube-controller-manager");
            if is_silent && !is_unknown {
                output::info(&format!(
                    "Node {name} is not ready: its kubelet has been silent for {}s",
                    grace.as_secs()
                ));
                drop(cluster.modify(&write.status(), name, give_up));
                drop(cluster.modify(&write, name, |node| set_taints(node, true)));
            } else if !is_silent && is_tainted && !is_unknown {
                drop(cluster.modify(&write, name, |node| set_taints(node, false)));
            }
        }
    }
}

fn ready(node: &Value) -> Option<&Value> {
    let conditions = node.pointer("/status/conditions").and_then(Value::as_array)?;
    conditions.iter().find(|condition| condition.get("type") == Some(&"Ready".into()))
}

fn taints(node: &Value) -> Vec<Value> {
    node.pointer("/spec/taints").and_then(Value::as_array).cloned().unwrap_or_default()
}

fn give_up(node: &mut Value) {
    let conditions = node.pointer_mut("/status/conditions").and_then(Value::as_array_mut);
    for condition in conditions.into_iter().flatten().filter_map(Value::as_object_mut) {
        condition.insert("status".to_owned(), "Unknown".into());
        condition.insert("reason".to_owned(), "NodeStatusUnknown".into());
        condition.insert("message".to_owned(), "Kubelet stopped posting node status.".into());
        condition.insert("lastTransitionTime".to_owned(), now().into());
    }
}

fn set_taints(node: &mut Value, is_unreachable: bool) {
    let mut taints: Vec<Value> =
        taints(node).into_iter().filter(|taint| taint.get("key") != Some(&UNREACHABLE.into())).collect();
    if is_unreachable {
        for effect in ["NoSchedule", "NoExecute"] {
            taints.push(json!({"key": UNREACHABLE, "effect": effect, "timeAdded": now()}));
        }
    }
    if let Some(fields) = node.as_object_mut() {
        let spec = fields.entry("spec").or_insert_with(|| json!({}));
        if let Some(spec) = spec.as_object_mut() {
            if taints.is_empty() {
                spec.remove("taints");
            } else {
                spec.insert("taints".to_owned(), taints.into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_node_is_not_ready_until_it_speaks() {
        let folder = tempfile::tempdir().unwrap();
        let cluster = Cluster::open(&folder.path().join("log")).unwrap();
        let nodes = cluster.kind("v1", "Node").unwrap();
        let status = |time: &str| json!({"conditions": [{"type": "Ready", "status": "True", "lastHeartbeatTime": time}]});
        let write = Write::by(&nodes, "", "kubelet");
        cluster.create(&write, json!({"metadata": {"name": "n"}, "status": status("1")})).unwrap();
        let mut monitor = Monitor::default();
        let state = |cluster: &Cluster| {
            let node = cluster.get(&nodes, "", "n").unwrap();
            (ready(&node).unwrap()["status"].clone(), taints(&node).len())
        };
        monitor.pass(&cluster, Duration::from_mins(1));
        assert_eq!(state(&cluster), (json!("True"), 0));
        std::thread::sleep(Duration::from_millis(20));
        monitor.pass(&cluster, Duration::from_millis(10));
        assert_eq!(state(&cluster), (json!("Unknown"), 2));
        cluster.modify(&write.status(), "n", |node| node["status"] = status("2")).unwrap();
        monitor.pass(&cluster, Duration::from_mins(1));
        assert_eq!(state(&cluster), (json!("True"), 0));
    }
}
