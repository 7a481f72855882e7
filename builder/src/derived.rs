//! What is derived from other data again and again, kept from earlier builds: compressed extents, initrds, and
//! packages in a form that is read faster than theirs.
//!
//! It is never needed: what is missing or damaged is made again.

mod folder;

pub use self::folder::{Folder, LIMIT};

use bytes::Bytes;

use crate::units::Sha256;

/// Where derived data is kept. A key stands for all that a value depends on.
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

/// The key of what `parts` decide; the first of them says what it is, and in which form.
pub fn key(parts: &[&[u8]]) -> Sha256 {
    let mut hasher = <sha2::Sha256 as sha2::Digest>::new();
    for part in parts {
        sha2::Digest::update(&mut hasher, crate::units::Bytes::of(part).0.to_le_bytes());
        sha2::Digest::update(&mut hasher, part);
    }
    Sha256(sha2::Digest::finalize(hasher).into())
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
        let key = key(&[b"test"]);
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

    #[test]
    fn a_key_tells_where_its_parts_end() {
        assert_ne!(key(&[b"ab", b"c"]), key(&[b"a", b"bc"]));
        assert_ne!(key(&[b"a"]), key(&[b"a", b""]));
    }
}
