//! The kubelet's part: the Node, its status, its lease.

use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use serde_json::{Value, json};

use super::client::{Client, ClientError};
use crate::api::discovery::VERSION;
use crate::cluster::now;
use crate::options::{Options, OptionsError};
use crate::output;

/// Between status reports that say nothing new.
const REPORT: Duration = Duration::from_mins(5);

/// What this node is.
#[derive(Debug)]
pub(super) struct Kubelet {
    name: String,
    node: Value,
    interval: Duration,
}

impl Kubelet {
    /// As the options describe it.
    pub(super) fn new(options: &Options) -> Result<Self, OptionsError> {
        let name = options.node_name();
        let arch = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let mut labels = json!({
            "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": arch,
            "beta.kubernetes.io/os": "linux", "beta.kubernetes.io/arch": arch,
            "node.kubernetes.io/instance-type": "k3s", "imgbuild.io/k3s": "stand-in",
        });
        for label in options.list("node-label") {
            let (key, value) = label.split_once('=').unwrap_or((&label, ""));
            if let Some(labels) = labels.as_object_mut() {
                labels.insert(key.to_owned(), value.into());
            }
        }
        let taints = options
            .list("node-taint")
            .iter()
            .map(|taint| self::taint(taint))
            .collect::<Result<Vec<_>, _>>()?;
        let mut addresses = Vec::new();
        for (flag, kind) in [("node-ip", "InternalIP"), ("node-external-ip", "ExternalIP")] {
            let given = options.addresses(flag)?;
            addresses
                .extend(given.iter().map(|address| json!({"type": kind, "address": address.to_string()})));
        }
        if !addresses.iter().any(|address| address["type"] == "InternalIP") {
            addresses.insert(0, json!({"type": "InternalIP", "address": "127.0.0.1"}));
        }
        addresses.push(json!({"type": "Hostname", "address": name}));
        let internal_ips: Vec<&str> = addresses
            .iter()
            .filter(|address| address["type"] == "InternalIP")
            .filter_map(|address| address["address"].as_str())
            .collect();
        let annotations = json!({
            "k3s.io/hostname": name, "k3s.io/internal-ip": internal_ips.join(","),
            "k3s.io/node-args": Value::from(options.shown()).to_string(),
        });
        let mut node = json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "labels": labels, "annotations": annotations},
            "spec": {"providerID": format!("k3s://{name}")},
            "status": {
                "addresses": addresses, "capacity": {"pods": "110"}, "allocatable": {"pods": "110"},
                "nodeInfo": {
                    "kubeletVersion": VERSION, "osImage": "k3s stand-in", "operatingSystem": "linux",
                    "architecture": arch, "containerRuntimeVersion": "none://stand-in",
                    "kernelVersion": rustix::system::uname().release().to_string_lossy(),
                },
            },
        });
        if let Some(spec) = node.get_mut("spec").and_then(Value::as_object_mut).filter(|_| !taints.is_empty())
        {
            spec.insert("taints".to_owned(), taints.into());
        }
        let interval =
            options.duration("kubelet-arg", "node-status-update-frequency", Duration::from_secs(10))?;
        Ok(Self { name, node, interval })
    }

    /// Makes the Node, or brings its labels and annotations up to date: taints count at the first time only.
    pub(super) async fn register(&self, client: &Client) -> Result<(), ClientError> {
        let mut node = self.node.clone();
        let status = self.status();
        if let Some(fields) = node.as_object_mut() {
            fields.insert("status".to_owned(), status.clone());
        }
        match client.send(Method::POST, "/api/v1/nodes", &[], Bytes::from(node.to_string())).await {
            Err(error) if error.code() == Some(409) => {
                let metadata = self.node.get("metadata").cloned().unwrap_or_default();
                let change = json!({"metadata": {"labels": metadata.get("labels"), "annotations": metadata.get("annotations")}});
                self.patch(client, "", &change).await?;
                self.patch(client, "/status", &json!({"status": status})).await
            }
            made => made.map(drop),
        }
    }

    /// Reports for ever. A Node that was deleted is not made again: that takes a restart.
    pub(super) async fn heartbeat(&self, client: &Client) {
        let mut reported = tokio::time::Instant::now();
        let mut was_lost = false;
        loop {
            let lease = self.renew(client).await;
            if let Err(error) = &lease {
                output::error(&format!("Failed to update lease: {error}"));
            }
            let is_ready = self.is_seen_ready(client).await;
            if matches!(is_ready, Ok(false)) || was_lost || reported.elapsed() >= REPORT {
                match self.patch(client, "/status", &json!({"status": self.status()})).await {
                    Ok(()) => reported = tokio::time::Instant::now(),
                    Err(error) => output::error(&format!("Error updating node status, will retry: {error}")),
                }
            }
            was_lost = lease.is_err();
            tokio::time::sleep(self.interval).await;
        }
    }

    async fn is_seen_ready(&self, client: &Client) -> Result<bool, ClientError> {
        let node = client.get(&format!("/api/v1/nodes/{}", self.name)).await?;
        let node: Value = serde_json::from_slice(&node).unwrap_or_default();
        let conditions = node.pointer("/status/conditions").and_then(Value::as_array);
        let ready = conditions.into_iter().flatten().find(|condition| condition["type"] == "Ready");
        Ok(ready.is_some_and(|ready| ready["status"] == "True"))
    }

    async fn renew(&self, client: &Client) -> Result<(), ClientError> {
        let seconds = self.interval.as_secs().saturating_mul(4).max(1);
        let time = humantime::format_rfc3339_micros(std::time::SystemTime::now()).to_string();
        let spec = json!({"holderIdentity": self.name, "leaseDurationSeconds": seconds, "renewTime": time});
        let path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
        let change = json!({"spec": spec}).to_string();
        let headers = [("content-type", "application/merge-patch+json")];
        let one = format!("{path}/{}", self.name);
        match client.send(Method::PATCH, &one, &headers, Bytes::from(change)).await {
            Err(error) if error.code() == Some(404) => {
                let lease = json!({
                    "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                    "metadata": {"name": self.name, "namespace": "kube-node-lease"}, "spec": spec,
                });
                client.send(Method::POST, path, &[], Bytes::from(lease.to_string())).await.map(drop)
            }
            renewed => renewed.map(drop),
        }
    }

    async fn patch(&self, client: &Client, subresource: &str, change: &Value) -> Result<(), ClientError> {
        let headers = [("content-type", "application/strategic-merge-patch+json")];
        let path = format!("/api/v1/nodes/{}{subresource}", self.name);
        client.send(Method::PATCH, &path, &headers, Bytes::from(change.to_string())).await.map(drop)
    }

    fn status(&self) -> Value {
        let now = now();
        let condition = |kind: &str, status: &str, reason: &str, message: &str| {
            json!({"type": kind, "status": status, "reason": reason, "message": message,
                "lastHeartbeatTime": now, "lastTransitionTime": now})
        };
        let mut status = self.node.get("status").cloned().unwrap_or_default();
        let conditions = json!([
            condition(
                "MemoryPressure",
                "False",
                "KubeletHasSufficientMemory",
                "kubelet has sufficient memory available"
            ),
            condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
            condition(
                "PIDPressure",
                "False",
                "KubeletHasSufficientPID",
                "kubelet has sufficient PID available"
            ),
            condition("Ready", "True", "KubeletReady", "stand-in: no containers are run"),
        ]);
        if let Some(fields) = status.as_object_mut() {
            fields.insert("conditions".to_owned(), conditions);
        }
        status
    }
}

/// `key=value:Effect`, `key:Effect`
fn taint(text: &str) -> Result<Value, OptionsError> {
    let invalid = || OptionsError::Value {
        name: "node-taint".to_owned(),
        value: text.to_owned(),
        wanted: "taint (`key=value:Effect`)",
    };
    let (key, effect) = text.rsplit_once(':').ok_or_else(invalid)?;
    if !matches!(effect, "NoSchedule" | "PreferNoSchedule" | "NoExecute") {
        return Err(invalid());
    }
    Ok(match key.split_once('=') {
        Some((key, value)) => json!({"key": key, "value": value, "effect": effect}),
        None => json!({"key": key, "effect": effect}),
    })
}
