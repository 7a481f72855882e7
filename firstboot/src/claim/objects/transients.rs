//! Nodes that are remembered only for as long as they come back.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::{NODES, Objects, REPORTS, WAITING, not_ready, spec, waiting_name};
use crate::claim::report::NodeReport;
use crate::claim::store::{Joined, Store as _, StoreError, Verdict, Waiting};
use crate::kubernetes::{self, is_true, ready_condition};
use crate::lifetime::{AwayDays, TAINT};

impl Objects {
    /// Gives a transient node its taint, and says whether it has been away for longer than it may be. It is not away while
    /// Kubernetes sees it as Ready, whatever becomes of its reports.
    pub fn is_overdue(&self, node: &Joined, days: AwayDays, now: SystemTime) -> Result<bool, StoreError> {
        let mut seen = None;
        if let Some(object) = self.kubernetes_node(&node.node)? {
            self.taint(&node.node, &object, true)?;
            match ready_condition(&object) {
                Some(condition) if is_true(condition) => return Ok(false),
                // Since when it is not.
                Some(condition) => seen = condition["lastTransitionTime"].as_str().map(time).transpose()?,
                None => {}
            }
        }
        let report = self.api()?.get(&format!("{REPORTS}/{}", node.node)).map_err(not_ready)?;
        if report.is_none() && self.list(&format!("{REPORTS}?limit=1"))?.is_none() {
            return Err(StoreError::NotReady("NodeReports are not defined".to_owned()));
        }
        // What cannot be read says nothing of how long ago it was.
        let report = report.map(|object| spec::<NodeReport>(&object)).transpose()?;
        let heard = report.map(|report| time(&report.at)).transpose()?;
        let claimed = node.claimed.as_deref().map(time).transpose()?;
        // Of an approval, its generation is the time.
        let approved = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(node.generation));
        Ok(seen.max(heard).max(claimed).max(approved).is_some_and(|last| days.are_over(last, now)))
    }

    fn kubernetes_node(&self, name: &str) -> Result<Option<Value>, StoreError> {
        self.api()?.get(&format!("{}/{name}", kubernetes::NODES)).map_err(not_ready)
    }

    /// Takes the taint from a node that may be away for ever from now on.
    pub(super) fn becomes_resident(&self, name: &str) -> Result<(), StoreError> {
        self.kubernetes_node(name)?.map_or(Ok(()), |object| self.taint(name, &object, false))
    }

    /// A node's own record may lie on its medium, and knows nothing of it.
    fn taint(&self, name: &str, object: &Value, is_transient: bool) -> Result<(), StoreError> {
        let mut taints = object["spec"]["taints"].as_array().cloned().unwrap_or_default();
        if taints.iter().any(|taint| taint["key"] == TAINT) == is_transient {
            return Ok(());
        }
        if is_transient {
            taints.push(json!({ "key": TAINT, "value": "true", "effect": "NoSchedule" }));
        } else {
            taints.retain(|taint| taint["key"] != TAINT);
        }
        let mut object = object.clone();
        object["spec"]["taints"] = json!(taints);
        // One that changes at the same time is tainted at the next look.
        let path = format!("{}/{name}", kubernetes::NODES);
        self.api()?.replace(&path, &object).map(drop).map_err(not_ready)
    }

    /// Removes all traces of a node, unless it has claimed its place since it was looked at. Its own object goes last: after
    /// a power cut in between, this is done again.
    pub fn forget(&self, node: &Joined) -> Result<(), StoreError> {
        let name = &node.node;
        let is_same = || Ok(self.joined(name)?.as_ref() == Some(node));
        if !is_same()? {
            return Ok(());
        }
        let delete = |path: String| self.api()?.delete(&path).map_err(not_ready);
        self.remove_from_kubernetes(name)?;
        delete(format!("{REPORTS}/{name}"))?;
        // Or else the person's word of then would let it in again.
        let waiting: Vec<Waiting> = self.readable(WAITING)?.unwrap_or_default();
        for waiting in waiting.iter().filter(|waiting| waiting.key == node.key) {
            if matches!(&waiting.verdict, Some(Verdict::Approved { node, .. }) if node == name) {
                delete(format!("{NODES}/{}", waiting_name(&waiting.code)))?;
            }
        }
        if is_same()? { delete(format!("{NODES}/{name}")) } else { Ok(()) }
    }
}

fn time(text: &str) -> Result<SystemTime, StoreError> {
    humantime::parse_rfc3339(text)
        .map_err(|fault| StoreError::NotReady(format!("`{text}` is no time: {fault}")))
}
