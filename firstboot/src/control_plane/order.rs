//! One-shot orders. A control-plane node never guesses whether it begins a cluster: two that both began would be two
//! clusters. It is told so once, and remembers on its state partition how far it came.
//!
//! | mark | means | at the next start |
//! |---|---|---|
//! | none | the order was not begun | begun is written, then k3s is started with the order |
//! | begun | k3s may have been started with it | k3s is started with the order again: it passes over it where its datastore is there |
//! | done | k3s was ready once | the order is nothing any more; a datastore that is gone is a fault, not a reason to begin anew |

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::cluster::ClusterId;
use crate::converge::{ConvergeError, System};

/// The mark on the state partition.
const MARK: &str = "/var/lib/imgbuild/order.json";
/// Where k3s keeps its datastore.
pub(super) const DATASTORE: &str = "/var/lib/rancher/k3s/server/db/etcd";

/// What a control-plane node does, once.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Order {
    /// Tells this order from every other: 128 random bits.
    pub id: ClusterId,
    /// What to do.
    pub action: Action,
}

/// What an order says.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Begin the cluster.
    Init,
}

/// How far an order came.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Stage {
    Begun,
    Done,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mark {
    version: u32,
    id: ClusterId,
    stage: Stage,
}

/// Why a node does not go on with its order.
#[derive(Debug, Error)]
pub enum OrderError {
    /// The state partition refused.
    #[error(transparent)]
    Converge(#[from] ConvergeError),
    /// The mark is not what this program writes.
    #[error("`{MARK}` is unusable")]
    Mark(#[source] serde_json::Error),
    /// The mark cannot be written.
    #[error("rendering `{MARK}`")]
    Render(#[source] serde_json::Error),
    /// Another order came before.
    #[error(
        "this node has followed order {done} already, and is not given another: write its image anew first"
    )]
    Other {
        /// The order of before.
        done: ClusterId,
    },
    /// What the cluster knew is gone.
    #[error(
        "the cluster was begun here, and its datastore `{DATASTORE}` is gone: restore it from a snapshot"
    )]
    Lost,
}

impl Order {
    /// The order to begin a cluster.
    pub const fn init(id: ClusterId) -> Self {
        Self { id, action: Action::Init }
    }

    /// To be called before k3s is started: whether k3s is started with the order. Remembers that first.
    pub fn begin(&self, system: &System) -> Result<bool, OrderError> {
        match load(system)? {
            None => {
                self.write(Stage::Begun, system)?;
                Ok(true)
            }
            Some(mark) if mark.id != self.id => Err(OrderError::Other { done: mark.id }),
            Some(Mark { stage: Stage::Begun, .. }) => Ok(true),
            Some(Mark { stage: Stage::Done, .. }) if system.path(DATASTORE).is_dir() => Ok(false),
            Some(Mark { stage: Stage::Done, .. }) => Err(OrderError::Lost),
        }
    }

    /// To be called once k3s is ready: the order is nothing any more.
    pub fn finish(&self, system: &System) -> Result<(), OrderError> {
        match load(system)? {
            Some(mark) if mark.id != self.id => Err(OrderError::Other { done: mark.id }),
            _ => self.write(Stage::Done, system),
        }
    }

    fn write(&self, stage: Stage, system: &System) -> Result<(), OrderError> {
        let mark = Mark { version: 1, id: self.id, stage };
        let text = serde_json::to_vec(&mark).map_err(OrderError::Render)?;
        system.ensure_file(MARK, &text, 0o600)?;
        Ok(())
    }
}

fn load(system: &System) -> Result<Option<Mark>, OrderError> {
    let text = system.read(MARK)?;
    text.map(|text| serde_json::from_slice(&text)).transpose().map_err(OrderError::Mark)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::converge::Mode;

    #[test]
    fn an_order_is_followed_until_it_is_done_and_never_again() {
        let folder = tempfile::tempdir().unwrap();
        let system = System::new(folder.path(), Mode::Apply);
        let order = Order::init(ClusterId([1; 16]));
        assert!(order.begin(&system).unwrap());
        // Power failed before the datastore was there, or after.
        assert!(order.begin(&system).unwrap());
        system.ensure_file(&format!("{DATASTORE}/member/wal/0"), b"", 0o600).unwrap();
        assert!(order.begin(&system).unwrap());
        order.finish(&system).unwrap();
        assert!(!order.begin(&system).unwrap());
        let other = Order::init(ClusterId([2; 16]));
        let expected = "this node has followed order 01010101010101010101010101010101 already, and is not given \
                        another: write its image anew first";
        assert_eq!(other.begin(&system).unwrap_err().to_string(), expected);
        std::fs::remove_dir_all(system.path(DATASTORE)).unwrap();
        let fault = order.begin(&system).unwrap_err();
        assert!(matches!(fault, OrderError::Lost), "a second cluster under the first one's keys: {fault}");
    }
}
