//! Objects by their keys, with one revision counter and a history for watches.
//!
//! Everything is in memory; each change is on the disk before it is visible (see [`log`]).

pub mod log;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use log::{Log, LogError, Record};

/// Changes that watches can still ask for.
const HISTORY: usize = 8192;

/// Where an object lies. The order is that of lists.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Key {
    /// API group; empty for the core group.
    pub group: String,
    /// Plural name of the kind.
    pub resource: String,
    /// Empty for what has no namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// One change.
#[derive(Clone, Debug)]
pub struct Change {
    /// Its number.
    pub revision: u64,
    /// Of what.
    pub key: Key,
    /// The object before.
    pub before: Option<Arc<Value>>,
    /// The object after.
    pub after: Option<Arc<Value>>,
}

/// All objects.
#[derive(Debug)]
pub struct Store {
    objects: BTreeMap<Key, Arc<Value>>,
    revision: u64,
    history: VecDeque<Change>,
    /// Changes up to this one are not in the history.
    forgotten: u64,
    log: Log,
}

impl Store {
    /// Opens the store whose log is `path`, or begins one.
    pub fn open(path: &Path) -> Result<Self, LogError> {
        let (log, records) = Log::open(path)?;
        let mut objects = BTreeMap::new();
        let mut revision = 1;
        for record in records {
            revision = revision.max(record.revision);
            match record.object {
                Some(object) => objects.insert(record.key, Arc::new(object)),
                None => objects.remove(&record.key),
            };
        }
        let mut store = Self { objects, revision, history: VecDeque::new(), forgotten: revision, log };
        store.compact()?;
        Ok(store)
    }

    /// The number of the last change.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Changes up to this one can't be watched any more.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// One object.
    pub fn get(&self, key: &Key) -> Option<Arc<Value>> {
        self.objects.get(key).cloned()
    }

    /// The objects of a kind, of one namespace or of all.
    pub fn list<'a>(
        &'a self,
        group: &'a str,
        resource: &'a str,
        namespace: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a Key, &'a Arc<Value>)> {
        let from = Key {
            group: group.to_owned(),
            resource: resource.to_owned(),
            namespace: namespace.unwrap_or_default().to_owned(),
            name: String::new(),
        };
        self.objects
            .range(from..)
            .take_while(move |(key, _)| key.group == group && key.resource == resource)
            .take_while(move |(key, _)| namespace.is_none_or(|namespace| key.namespace == namespace))
    }

    /// All objects of all kinds.
    pub fn all(&self) -> impl Iterator<Item = (&Key, &Arc<Value>)> {
        self.objects.iter()
    }

    /// Puts an object, which is given the revision as its `resourceVersion`, or removes it.
    pub fn put(&mut self, key: Key, object: Option<Value>) -> Result<Arc<Value>, LogError> {
        let revision = self.revision.saturating_add(1);
        let removed = self.objects.get(&key).cloned().unwrap_or_default();
        let is_removal = object.is_none();
        let mut shown = object.unwrap_or_else(|| removed.as_ref().clone());
        if let Some(metadata) = shown.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert("resourceVersion".to_owned(), revision.to_string().into());
        }
        let record = Record { revision, key: key.clone(), object: (!is_removal).then(|| shown.clone()) };
        self.log.append(&record)?;
        self.revision = revision;
        let shown = Arc::new(shown);
        let before = if is_removal {
            self.objects.remove(&key);
            // Watches are told of a removal with the revision of the removal.
            Some(shown.clone())
        } else {
            self.objects.insert(key.clone(), shown.clone())
        };
        let after = (!is_removal).then(|| shown.clone());
        self.history.push_back(Change { revision, key, before, after });
        if self.history.len() > HISTORY
            && let Some(oldest) = self.history.pop_front()
        {
            self.forgotten = oldest.revision;
        }
        Ok(shown)
    }

    /// Changes after `revision`, in their order.
    pub fn changes(&self, revision: u64) -> impl Iterator<Item = &Change> {
        let from = self.history.partition_point(|change| change.revision <= revision);
        self.history.iter().skip(from)
    }

    /// Writes the log anew: only what is there now.
    fn compact(&mut self) -> Result<(), LogError> {
        let revision = self.revision;
        let records = self.objects.iter().map(|(key, object)| Record {
            revision,
            key: key.clone(),
            object: Some(object.as_ref().clone()),
        });
        self.log.rewrite(records)
    }
}
