//! Watches: changes of a kind as they happen, with bookmarks.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use hyper::Response;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::body::{self, Body};
use super::query::Query;
use crate::api::resources::Resource;
use crate::api::selector::Selector;
use crate::api::status::Status;
use crate::api::table;
use crate::cluster::{Cluster, in_version};
use crate::store::Change;

/// Between bookmarks.
const BOOKMARKS: Duration = Duration::from_secs(30);
/// A watch ends after this at the latest, as with the apiserver.
const LONGEST: Duration = Duration::from_mins(30);

/// What is watched.
pub(super) struct Watch {
    /// Where.
    pub(super) cluster: Arc<Cluster>,
    /// Which kind.
    pub(super) resource: Arc<Resource>,
    /// In which namespace; in all if there is none.
    pub(super) namespace: Option<String>,
    /// Which objects.
    pub(super) selector: Selector,
    /// Whether as tables.
    pub(super) as_table: bool,
    /// The rest.
    pub(super) query: Query,
}

struct Running {
    watch: Watch,
    revision: u64,
    waiting: VecDeque<Bytes>,
    end: Instant,
    bookmark: Option<Instant>,
    is_over: bool,
}

/// The response, which goes on.
pub(super) fn start(watch: Watch) -> Response<Body> {
    let seconds = watch.query.get("timeoutSeconds").parse().ok().map(Duration::from_secs);
    let now = Instant::now();
    let has_bookmarks = watch.query.flag("allowWatchBookmarks");
    let mut running = Running {
        revision: 0,
        waiting: VecDeque::new(),
        end: now + seconds.unwrap_or(LONGEST).min(LONGEST),
        bookmark: has_bookmarks.then(|| now + BOOKMARKS),
        is_over: false,
        watch,
    };
    running.begin();
    body::stream(stream::unfold(running, |mut running| async move { Some((running.next().await?, running)) }))
}

impl Running {
    /// Where it begins: after a revision, or with all there is.
    fn begin(&mut self) {
        let from = self.watch.query.get("resourceVersion");
        let with_initial = self.watch.query.flag("sendInitialEvents");
        if !with_initial && !matches!(from, "" | "0") {
            self.revision = from.parse().unwrap_or(0);
            return;
        }
        let Watch { cluster, resource, namespace, selector, .. } = &self.watch;
        let (objects, revision) = cluster.list(resource, namespace.as_deref(), selector);
        self.revision = revision;
        for object in objects {
            self.push("ADDED", object);
        }
        if with_initial {
            let annotations = json!({"k8s.io/initial-events-end": "true"});
            self.push_bookmark(&annotations);
        }
    }

    async fn next(&mut self) -> Option<Bytes> {
        let mut changed = self.watch.cluster.subscribe();
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            if self.is_over {
                return None;
            }
            changed.mark_unchanged();
            self.collect();
            if !self.waiting.is_empty() || self.is_over {
                continue;
            }
            tokio::select! {
                woken = changed.changed() => self.is_over = woken.is_err(),
                () = sleep_until(self.end) => self.is_over = true,
                () = sleep_until(self.bookmark.unwrap_or(self.end)) => {
                    self.bookmark = Some(Instant::now() + BOOKMARKS);
                    self.push_bookmark(&json!({}));
                }
            }
        }
    }

    fn collect(&mut self) {
        let Watch { cluster, resource, namespace, .. } = &self.watch;
        match cluster.changes(resource, namespace.as_deref(), self.revision) {
            Ok((changes, revision)) => {
                self.revision = revision;
                for change in changes {
                    self.push_change(&change);
                }
            }
            Err(status) => {
                self.push_error(&status);
                self.is_over = true;
            }
        }
    }

    /// An object that no longer fits the selector is gone for this watch.
    fn push_change(&mut self, change: &Change) {
        let shows = |object: &Option<Arc<Value>>| {
            object.as_ref().filter(|object| self.watch.selector.matches(object)).cloned()
        };
        let (before, after) = (shows(&change.before), shows(&change.after));
        let (kind, object) = match (before, after) {
            (None, Some(after)) => ("ADDED", after),
            (Some(_), Some(after)) => ("MODIFIED", after),
            (Some(before), None) => ("DELETED", change.after.clone().unwrap_or(before)),
            (None, None) => return,
        };
        self.push(kind, in_version(&self.watch.resource, &object));
    }

    fn push(&mut self, kind: &str, object: Value) {
        let object = if self.watch.as_table {
            let revision = object
                .pointer("/metadata/resourceVersion")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned();
            table::table(&self.watch.resource, &[object], &revision)
        } else {
            object
        };
        self.push_event(kind, &object);
    }

    fn push_bookmark(&mut self, annotations: &Value) {
        let metadata = json!({"resourceVersion": self.revision.to_string(), "annotations": annotations});
        let Resource { kind, .. } = &*self.watch.resource;
        let object =
            json!({"kind": kind, "apiVersion": self.watch.resource.api_version(), "metadata": metadata});
        self.push_event("BOOKMARK", &object);
    }

    fn push_error(&mut self, status: &Status) {
        self.push_event("ERROR", &status.to_json());
    }

    fn push_event(&mut self, kind: &str, object: &Value) {
        let event = json!({"type": kind, "object": object});
        self.waiting.push_back(format!("{event}\n").into());
    }
}
