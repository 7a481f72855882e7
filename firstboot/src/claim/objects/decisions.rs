//! What an operator sees of nodes, and decides of them.

use serde_json::json;
use thiserror::Error;

use super::{JOINED, NODES, Objects, REPORTS, TRIES, WAITING, not_ready, spec, waiting_name};
use crate::claim::code::Code;
use crate::claim::report::NodeReport;
use crate::claim::store::{Joined, Store as _, StoreError, Verdict, Waiting};

/// Why a decision was not taken.
#[derive(Debug, Error)]
pub enum DecisionError {
    /// No node waits with this code.
    #[error("no node waits with code {0}")]
    Unknown(Code),
    /// Another decision was taken before.
    #[error("the node with code {code} was {decided} before")]
    Decided {
        /// Its code.
        code: Code,
        /// What was decided: `approved as NAME`, or `rejected`.
        decided: String,
    },
    /// The objects cannot be read or changed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Objects {
    /// All nodes that wait, or have waited: those that were decided on stay on the list.
    pub fn all_waiting(&self) -> Result<Vec<Waiting>, StoreError> {
        self.list(WAITING)?.unwrap_or_default().iter().map(spec).collect()
    }

    /// All who have joined, those that were revoked as well.
    pub fn all_known(&self) -> Result<Vec<Joined>, StoreError> {
        Ok(self.readable(JOINED)?.unwrap_or_default())
    }

    /// What nodes last said of themselves.
    pub fn all_reports(&self) -> Result<Vec<NodeReport>, StoreError> {
        Ok(self.readable(REPORTS)?.unwrap_or_default())
    }

    /// Says of the node with this code what becomes of it, once and for all. `verdict` is made for the node that was
    /// found; saying the same again changes nothing.
    pub fn decide(&self, code: &Code, verdict: &Verdict) -> Result<Waiting, DecisionError> {
        let name = waiting_name(code);
        for _ in 0..TRIES {
            let Some(mut object) = self.node(&name)? else {
                return Err(DecisionError::Unknown(code.clone()));
            };
            let waiting: Waiting = spec(&object)?;
            match &waiting.verdict {
                Some(before) if is_same(before, verdict) => return Ok(waiting),
                Some(before) => {
                    let decided = match before {
                        Verdict::Approved { node, transient: None, .. } => format!("approved as `{node}`"),
                        Verdict::Approved { node, transient: Some(days), .. } => {
                            format!("approved as `{node}`, which may be away for {days},")
                        }
                        Verdict::Rejected => "rejected".to_owned(),
                    };
                    return Err(DecisionError::Decided { code: code.clone(), decided });
                }
                None => {}
            }
            let decided = Waiting { verdict: Some(verdict.clone()), ..waiting };
            object["spec"] = json!(decided);
            if self.api()?.replace(&format!("{NODES}/{name}"), &object).map_err(not_ready)?.is_some() {
                return Ok(decided);
            }
        }
        Err(StoreError::NotReady(format!("EdgeNode of code {code} changes all the time")).into())
    }

    /// Makes all that `of` was given worthless, up to its generation: what has joined under its name is revoked at
    /// `since` (RFC 3339), and so is what has not come yet. Returns who had the name.
    pub fn revoke(&self, of: &Joined, since: &str) -> Result<Option<Joined>, StoreError> {
        let next = |before: Option<&Joined>| {
            let mut revoked = before.unwrap_or(of).clone();
            revoked.generation = revoked.generation.max(of.generation);
            revoked.revoked = Some(since.to_owned());
            Some(revoked)
        };
        let (before, _) = self.change(&of.node, next)?;
        if before.is_some() {
            self.remove_from_kubernetes(&of.node)?;
        }
        Ok(before)
    }

    /// The node with this code.
    pub fn waiting_with(&self, code: &Code) -> Result<Waiting, DecisionError> {
        self.waiting(code)?.ok_or_else(|| DecisionError::Unknown(code.clone()))
    }
}

/// Whether both say the same of who the node becomes: its generation is the time at which it was said, and its record is
/// signed anew each time.
fn is_same(one: &Verdict, other: &Verdict) -> bool {
    let lasting = |verdict: &Verdict| {
        let mut verdict = verdict.clone();
        if let Verdict::Approved { generation, record, .. } = &mut verdict {
            *generation = 0;
            *record = record.take().map(|_| String::new());
        }
        verdict
    };
    lasting(one) == lasting(other)
}
