//! Nodes that are remembered only for as long as they come back.

use std::time::{Duration, SystemTime};

use serde_json::json;

use super::{NODES, Objects, REPORTS, WAITING, not_ready, waiting_name};
use crate::claim::store::{Joined, Store as _, StoreError, Verdict, Waiting};
use crate::lifetime::{AwayDays, TAINT};

/// Where Kubernetes has its own nodes.
const KUBERNETES_NODES: &str = "/api/v1/nodes";

impl Objects {
    /// Gives the node its taint: the record that a box has from its medium does not know of it.
    pub fn taint_transient(&self, node: &Joined) -> Result<(), StoreError> {
        let path = format!("{KUBERNETES_NODES}/{}", node.node);
        let Some(mut object) = self.api()?.get(&path).map_err(not_ready)? else { return Ok(()) };
        let mut taints = object["spec"]["taints"].as_array().cloned().unwrap_or_default();
        if taints.iter().any(|taint| taint["key"] == TAINT) {
            return Ok(());
        }
        taints.push(json!({ "key": TAINT, "value": "true", "effect": "NoSchedule" }));
        object["spec"]["taints"] = json!(taints);
        // One that changes at the same time is tainted at the next look.
        self.api()?.replace(&path, &object).map(drop).map_err(not_ready)
    }

    /// Those of the nodes that have been away for longer than they may be.
    pub fn overdue_transients<'a>(
        &self,
        joined: &'a [Joined],
        now: SystemTime,
    ) -> Result<Vec<(&'a Joined, AwayDays)>, StoreError> {
        let mut transients = joined.iter().filter_map(|node| Some((node, node.transient?))).peekable();
        if transients.peek().is_none() {
            return Ok(Vec::new());
        }
        let reports = self.all_reports()?;
        let heard = |node: &Joined| {
            let report = reports.iter().find(|report| report.node == node.node);
            let report = report.and_then(|report| humantime::parse_rfc3339(&report.at).ok());
            // Its generation is the time at which a person let it in.
            let approved = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(node.generation));
            report.max(approved).unwrap_or(now)
        };
        Ok(transients.filter(|(node, days)| days.are_over(heard(node), now)).collect())
    }

    /// Removes all traces of a node. Its own object goes last: after a power cut in between, this is done again.
    pub fn forget(&self, node: &Joined) -> Result<(), StoreError> {
        let delete = |path: String| self.api()?.delete(&path).map_err(not_ready);
        let name = &node.node;
        self.forget_password(name)?;
        delete(format!("{KUBERNETES_NODES}/{name}"))?;
        delete(format!("{REPORTS}/{name}"))?;
        // Or else the person's word of then would let it in again.
        let waiting: Vec<Waiting> = self.readable(WAITING)?.unwrap_or_default();
        for waiting in waiting.iter().filter(|waiting| waiting.key == node.key) {
            if matches!(&waiting.verdict, Some(Verdict::Approved { node, .. }) if node == name) {
                delete(format!("{NODES}/{}", waiting_name(&waiting.code)))?;
            }
        }
        delete(format!("{NODES}/{name}"))
    }
}
