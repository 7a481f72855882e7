//! The store of the claim service in the cluster's own API, so that it outlives any node: `BurntTicket`, `EdgeNode`
//! and `NodeReport` of group `imgbuild.org`, which only control-plane identities and the group `imgbuild:approvers` may
//! touch, and k3s' own Secrets.

mod decisions;
mod transients;

use std::fmt;
use std::sync::OnceLock;
use std::time::SystemTime;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::code::Code;
use super::event::ClaimEvent;
use super::report::NodeReport;
use super::store::{Burnt, Joined, Store, StoreError, Waiting};
use crate::kubernetes::{self, Api, ApiError, Reach};
use crate::ticket::Nonce;

pub use self::decisions::DecisionError;

const DEFINITIONS: &str = include_str!("objects/definitions.json");

const BURNT: &str = "/apis/imgbuild.org/v1/burnttickets";
const NODES: &str = "/apis/imgbuild.org/v1/edgenodes";
const REPORTS: &str = "/apis/imgbuild.org/v1/nodereports";
const EVENTS: &str = "/api/v1/namespaces/default/events";
const SECRETS: &str = "/api/v1/namespaces/kube-system/secrets";
/// Nodes that may wait at a time: each is an object that a stranger has caused.
const MOST_WAITING: usize = 64;
/// Label of nodes that wait, lists of those, and of those without the label.
const WAITING_LABEL: &str = "imgbuild.org/waiting";
const WAITING: &str = "/apis/imgbuild.org/v1/edgenodes?labelSelector=imgbuild.org/waiting";
const JOINED: &str = "/apis/imgbuild.org/v1/edgenodes?labelSelector=!imgbuild.org/waiting";
/// Label of nodes that have joined, and a list of those that few have.
const ROLE_LABEL: &str = "imgbuild.org/role";
const WORKERS: &str = "/apis/imgbuild.org/v1/edgenodes?labelSelector=imgbuild.org/role%3Dworker";
/// How often an object that others change at the same time is tried again.
const TRIES: usize = 8;

/// The store in an API.
pub struct Objects {
    api: OnceLock<Api>,
    reach: Reach,
}

impl Objects {
    /// The store in `api`, which has the [`definitions`].
    pub fn new(api: Api) -> Self {
        Self::reached_by(Box::new(move || Ok(api.clone())))
    }

    /// The store in an API that may be still on its way up.
    pub fn reached_by(reach: Reach) -> Self {
        Self { api: OnceLock::new(), reach }
    }

    fn api(&self) -> Result<&Api, StoreError> {
        if let Some(api) = self.api.get() {
            return Ok(api);
        }
        let api = (self.reach)().map_err(not_ready)?;
        Ok(self.api.get_or_init(|| api))
    }

    /// A new machine of its name sets another password, and Kubernetes forgets the old one.
    fn remove_from_kubernetes(&self, name: &str) -> Result<(), StoreError> {
        self.forget_password(name)?;
        self.api()?.delete(&format!("{}/{name}", kubernetes::NODES)).map_err(not_ready)
    }

    fn node(&self, name: &str) -> Result<Option<Value>, StoreError> {
        self.api()?.get(&format!("{NODES}/{name}")).map_err(not_ready)
    }

    /// The objects of a list; `None` where there is no such list.
    fn list(&self, path: &str) -> Result<Option<Vec<Value>>, StoreError> {
        let list = self.api()?.get(path).map_err(not_ready)?;
        Ok(list.map(|mut list| list["items"].as_array_mut().map(std::mem::take).unwrap_or_default()))
    }

    /// Those of a list that can be read. What cannot, as what a newer program has written may be, hides none of the others,
    /// and keeps none from joining.
    fn readable<T: DeserializeOwned>(&self, path: &str) -> Result<Option<Vec<T>>, StoreError> {
        let list = self.list(path)?;
        Ok(list.map(|list| list.iter().filter_map(|object| spec(object).ok()).collect()))
    }

    /// Those of a list of joined nodes that are not revoked.
    fn members(&self, path: &str) -> Result<Vec<Joined>, StoreError> {
        let all = self.readable(path)?;
        let mut all: Vec<Joined> =
            all.ok_or_else(|| StoreError::NotReady("EdgeNodes are not defined".to_owned()))?;
        all.retain(|node| node.revoked.is_none());
        Ok(all)
    }

    /// Makes of the node of this name what `next` makes of it, in one step, whoever else changes it at the same time;
    /// `None` leaves it as it is. Returns the node before and the node afterwards.
    fn change(
        &self,
        name: &str,
        next: impl Fn(Option<&Joined>) -> Option<Joined>,
    ) -> Result<(Option<Joined>, Option<Joined>), StoreError> {
        for _ in 0..TRIES {
            let there = self.node(name)?;
            let before: Option<Joined> = there.as_ref().map(spec).transpose()?;
            let Some(after) = next(before.as_ref()) else { return Ok((before.clone(), before)) };
            let done = match there {
                None => {
                    let labels = json!({ ROLE_LABEL: after.role });
                    self.api()?.create(NODES, &edge_node(name, &json!(after), &labels))
                }
                Some(mut object) => {
                    object["metadata"]["labels"][ROLE_LABEL] = json!(after.role);
                    object["spec"] = json!(after);
                    self.api()?.replace(&format!("{NODES}/{name}"), &object)
                }
            };
            if done.map_err(not_ready)?.is_some() {
                return Ok((before, Some(after)));
            }
        }
        Err(StoreError::NotReady(format!("EdgeNode `{name}` changes all the time")))
    }
}

/// Definitions of the kinds, and the role of approvers: objects to apply before the first claim.
pub fn definitions() -> serde_json::Result<Vec<Value>> {
    serde_json::from_str(DEFINITIONS)
}

impl fmt::Debug for Objects {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Objects").field("api", &self.api).finish_non_exhaustive()
    }
}

impl Store for Objects {
    fn burn(&self, nonce: Nonce, burnt: &Burnt) -> Result<Burnt, StoreError> {
        let object = object("BurntTicket", &json!({ "name": nonce.to_string() }), &json!(burnt));
        if self.api()?.create(BURNT, &object).map_err(not_ready)?.is_some() {
            return Ok(burnt.clone());
        }
        let first = self.api()?.get(&format!("{BURNT}/{nonce}")).map_err(not_ready)?;
        // Removed in between: nobody does that but a person.
        let first = first.ok_or_else(|| StoreError::NotReady(format!("BurntTicket `{nonce}` is gone")))?;
        spec(&first)
    }

    fn joined(&self, node: &str) -> Result<Option<Joined>, StoreError> {
        self.node(node)?.map(|object| spec(&object)).transpose()
    }

    fn all_joined(&self) -> Result<Vec<Joined>, StoreError> {
        self.members(JOINED)
    }

    fn workers(&self) -> Result<Vec<Joined>, StoreError> {
        self.members(WORKERS)
    }

    fn keep(&self, node: &Joined) -> Result<Joined, StoreError> {
        let next = |known: Option<&Joined>| {
            let stays = known.is_some_and(|known| known.stays_before(node) || known == node);
            (!stays).then(|| node.clone())
        };
        let (before, kept) = self.change(&node.node, next)?;
        let was_transient = before.is_some_and(|before| before.transient.is_some());
        if was_transient && kept.as_ref().is_some_and(|kept| kept.transient.is_none()) {
            self.becomes_resident(&node.node)?;
        }
        Ok(kept.unwrap_or_else(|| node.clone()))
    }

    fn forget_password(&self, node: &str) -> Result<(), StoreError> {
        // k3s' name for it (pkg/nodepassword).
        self.api()?.delete(&format!("{SECRETS}/{node}.node-password.k3s")).map_err(not_ready)
    }

    fn ensure_token(&self, id: &str, secret: &str, expires: SystemTime) -> Result<(), StoreError> {
        let object = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": format!("bootstrap-token-{id}"), "namespace": "kube-system" },
            "type": "bootstrap.kubernetes.io/token",
            "stringData": {
                "token-id": id,
                "token-secret": secret,
                "expiration": humantime::format_rfc3339_seconds(expires).to_string(),
                "description": "Claims of imgbuild nodes",
                "usage-bootstrap-authentication": "true",
            },
        });
        // One of this name has this content: both come from the same time and key.
        self.api()?.create(SECRETS, &object).map(drop).map_err(not_ready)
    }

    fn waiting(&self, code: &Code) -> Result<Option<Waiting>, StoreError> {
        self.node(&waiting_name(code))?.map(|object| spec(&object)).transpose()
    }

    fn wait(&self, waiting: &Waiting) -> Result<(), StoreError> {
        if self.waiting(&waiting.code)?.is_some() {
            return Ok(());
        }
        // Those that a person has answered wait no longer.
        let is_waiting = |object: &&Value| object["spec"]["verdict"].is_null();
        let count = self.list(WAITING)?.unwrap_or_default().iter().filter(is_waiting).count();
        if count >= MOST_WAITING {
            return Err(StoreError::Full(count));
        }
        let object =
            edge_node(&waiting_name(&waiting.code), &json!(waiting), &json!({ WAITING_LABEL: "true" }));
        self.api()?.create(NODES, &object).map(drop).map_err(not_ready)
    }

    fn tell(&self, event: &ClaimEvent) -> Result<(), StoreError> {
        let ClaimEvent { node, key, is_refused, message, at } = event;
        let (reason, kind) = if *is_refused { ("ClaimRefused", "Warning") } else { ("Claimed", "Normal") };
        let object = json!({
            "apiVersion": "v1",
            "kind": "Event",
            // Where events of what has no namespace are.
            "metadata": {
                "name": format!("{node}.{}.{}", reason.to_lowercase(), key.fingerprint()),
                "namespace": "default",
            },
            "involvedObject": { "apiVersion": "v1", "kind": "Node", "name": node },
            "reason": reason,
            "type": kind,
            "message": message,
            "source": { "component": "imgbuild" },
            "firstTimestamp": at,
            "lastTimestamp": at,
            "count": 1,
        });
        self.api()?.create(EVENTS, &object).map(drop).map_err(not_ready)
    }

    fn report(&self, report: &NodeReport) -> Result<(), StoreError> {
        let object = object("NodeReport", &json!({ "name": report.node }), &json!(report));
        // Whoever hears it writes all of it; who came last is right.
        self.api()?.apply(&format!("{REPORTS}/{}", report.node), &object).map(drop).map_err(not_ready)
    }
}

/// No node can be called so: its name has no dot.
fn waiting_name(code: &Code) -> String {
    format!("{}.waiting", code.object_name())
}

fn edge_node(name: &str, spec: &Value, labels: &Value) -> Value {
    object("EdgeNode", &json!({ "name": name, "labels": labels }), spec)
}

/// An object of our group.
fn object(kind: &str, metadata: &Value, spec: &Value) -> Value {
    json!({ "apiVersion": "imgbuild.org/v1", "kind": kind, "metadata": metadata, "spec": spec })
}

fn spec<T: DeserializeOwned>(object: &Value) -> Result<T, StoreError> {
    let spec = object.get("spec").cloned().unwrap_or_default();
    serde_json::from_value(spec).map_err(|fault| {
        let (kind, name) = (&object["kind"], &object["metadata"]["name"]);
        StoreError::NotReady(format!("{kind} {name} is unusable: {fault}"))
    })
}

fn not_ready(error: ApiError) -> StoreError {
    StoreError::NotReady(format!("{:#}", anyhow::Error::from(error)))
}
