//! What is derived from other data again and again, kept from earlier builds: compressed extents, initrds, and
//! packages in a form that is read faster than theirs.
//!
//! It is never needed: what is missing or damaged is made again.

mod folder;

pub use self::folder::{Folder, LIMIT};

use bytes::Bytes;

use crate::units::Sha256;

/// Where derived data is kept. A key stands for all that a value depends on: [`Sha256::of_all`] of what it is, in which
/// form, and what it is made of.
pub trait DerivedCache: Sync {
    /// What was put under `key`, or what has become of it.
    fn get(&self, key: Sha256) -> Option<Bytes>;
    /// Puts `value` under `key`, if that can be done.
    fn put(&self, key: Sha256, value: &[u8]);

    /// What was kept under `key`, if every byte of it is as it was.
    fn find(&self, key: Sha256) -> Option<Bytes> {
        let stored = self.get(key)?;
        let digest = Sha256(*stored.first_chunk()?);
        let value = stored.slice(digest.0.len()..);
        (Sha256::of(&value) == digest).then_some(value)
    }

    /// Keeps `value` with its digest.
    fn keep(&self, key: Sha256, value: &[u8]) {
        self.put(key, &[&Sha256::of(value).0, value].concat());
    }
}

/// Keeps nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCache;

impl DerivedCache for NoCache {
    fn get(&self, _: Sha256) -> Option<Bytes> {
        None
    }

    fn put(&self, _: Sha256, _: &[u8]) {}
}

/// A cache for tests.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct Memory(pub(crate) std::sync::Mutex<std::collections::BTreeMap<Sha256, Vec<u8>>>);

#[cfg(test)]
impl DerivedCache for Memory {
    fn get(&self, key: Sha256) -> Option<Bytes> {
        self.0.lock().unwrap().get(&key).cloned().map(Bytes::from)
    }

    fn put(&self, key: Sha256, value: &[u8]) {
        self.0.lock().unwrap().insert(key, value.to_vec());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_nothing_that_was_damaged_or_cut_short() {
        let cache = Memory::default();
        let key = Sha256::of(b"test");
        assert_eq!(cache.find(key), None);
        cache.keep(key, b"value");
        assert_eq!(cache.find(key).as_deref(), Some(&b"value"[..]));
        let good = cache.get(key).unwrap();
        for index in 0..good.len() {
            let mut damaged = good.to_vec();
            damaged[index] ^= 1;
            for entry in [&damaged, &good[..index]] {
                cache.put(key, entry);
                assert_eq!(cache.find(key), None, "{index}");
            }
        }
    }
}
