//! The binary index of kmod: a trie from keys to prioritised values (`libkmod-index.c`, version 2.1).
//!
//! ```text
//! file    magic, version, root offset            u32 each, big-endian like all numbers
//! node    prefix NUL                             if PREFIX is set in the offset that leads here
//!         first, last, (last-first+1) offsets    if CHILDREN: u8, u8, u32 each, 0 for none
//!         count, (priority, value NUL) …         if VALUES: u32, then u32 and text each
//! ```
//!
//! Nodes follow their parent in the order of their characters. The highest four bits of an offset
//! are flags. The trie is a function of its keys, so it is built from their sorted list.

use std::collections::BTreeMap;

use super::KmodError;
use crate::units::Bytes;

const MAGIC: u32 = 0xb007_f457;
const VERSION: u32 = 0x0002_0001;
const HEADER_SIZE: u32 = 12;
const PREFIX: u32 = 0x8000_0000;
const VALUES: u32 = 0x4000_0000;
const CHILDREN: u32 = 0x2000_0000;
const LIMIT: Bytes = Bytes(0x1000_0000);

/// Values of one key, lowest priority first.
type Values = Vec<(u32, String)>;

/// An index under construction.
#[derive(Default)]
pub(super) struct Index {
    entries: BTreeMap<String, Values>,
}

impl Index {
    /// Adds `value` under `key`; among equal priorities the one added last comes first, as in depmod.
    pub(super) fn insert(&mut self, key: &str, value: &str, priority: u32) -> Result<(), KmodError> {
        for text in [key, value] {
            if !text.is_ascii() {
                return Err(KmodError::Ascii { text: text.to_owned() });
            }
        }
        let values = self.entries.entry(key.to_owned()).or_default();
        let place = values.partition_point(|(other, _)| *other < priority);
        values.insert(place, (priority, value.to_owned()));
        Ok(())
    }

    /// The index file.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, KmodError> {
        let entries: Vec<_> = self.entries.iter().map(|(key, values)| (key.as_bytes(), values)).collect();
        // The root never has a prefix: depmod makes it before it knows any key.
        let root = Node::new(&entries, 0, 0);
        if root.total >= LIMIT.0 {
            return Err(KmodError::Index { limit: LIMIT });
        }
        let mut out = Vec::new();
        for word in [MAGIC, VERSION, HEADER_SIZE | root.flags()] {
            out.extend(word.to_be_bytes());
        }
        root.write(&mut out);
        Ok(out)
    }
}

struct Node<'a> {
    prefix: &'a [u8],
    children: Vec<(u8, Node<'a>)>,
    values: &'a [(u32, String)],
    /// Bytes of this node and all below it.
    total: u64,
}

impl<'a> Node<'a> {
    /// The node for `entries`, sorted keys that agree in their first `start` bytes; its prefix ends at `end`.
    fn new(entries: &[(&'a [u8], &'a Values)], start: usize, end: usize) -> Self {
        let prefix = entries.first().map_or(&[][..], |(key, _)| &key[start..end]);
        let (values, below) = match entries {
            [(key, values), below @ ..] if key.len() == end => (values.as_slice(), below),
            below => (&[][..], below),
        };
        let children: Vec<(u8, Self)> = below
            .chunk_by(|(one, _), (other, _)| one[end] == other[end])
            .map(|group| {
                let start = end.saturating_add(1);
                (group[0].0[end], Self::new(group, start, common_end(group)))
            })
            .collect();
        let mut node = Self { prefix, children, values, total: 0 };
        node.total =
            node.children.iter().fold(node.size(), |total, (_, child)| total.saturating_add(child.total));
        node
    }

    fn flags(&self) -> u32 {
        let mut flags = 0;
        for (set, flag) in [
            (!self.children.is_empty(), CHILDREN),
            (!self.prefix.is_empty(), PREFIX),
            (!self.values.is_empty(), VALUES),
        ] {
            flags |= if set { flag } else { 0 };
        }
        flags
    }

    /// First and last character of the children.
    fn range(&self) -> Option<(u8, u8)> {
        self.children.first().zip(self.children.last()).map(|(first, last)| (first.0, last.0))
    }

    /// Bytes of this node alone.
    fn size(&self) -> u64 {
        let text = |text: &[u8]| Bytes::of(text).0.saturating_add(1);
        let prefix = if self.prefix.is_empty() { 0 } else { text(self.prefix) };
        let children = self.range().map_or(0, |(first, last)| 2 + 4 * (u64::from(last - first) + 1));
        let values = self.values.iter().fold(0_u64, |sum, (_, value)| sum + 4 + text(value.as_bytes()));
        prefix + children + if values == 0 { 0 } else { values + 4 }
    }

    /// Appends this node and all below it; `out` is the file from its beginning and below [`LIMIT`].
    fn write(&self, out: &mut Vec<u8>) {
        let offset =
            |length: u64| u32::try_from(length).expect("the whole index was measured to be below 2^28 bytes");
        let mut next = Bytes::of(out).0.saturating_add(self.size());
        if !self.prefix.is_empty() {
            out.extend(self.prefix);
            out.push(0);
        }
        if let Some((first, last)) = self.range() {
            out.extend([first, last]);
            let mut children = self.children.iter().peekable();
            for character in first..=last {
                let child = children.next_if(|(other, _)| *other == character);
                let word = child.map_or(0, |(_, child)| {
                    let word = offset(next) | child.flags();
                    next = next.saturating_add(child.total);
                    word
                });
                out.extend(word.to_be_bytes());
            }
        }
        if !self.values.is_empty() {
            out.extend(offset(u64::try_from(self.values.len()).unwrap_or(u64::MAX)).to_be_bytes());
            for (priority, value) in self.values {
                out.extend(priority.to_be_bytes());
                out.extend(value.as_bytes());
                out.push(0);
            }
        }
        for (_, child) in &self.children {
            child.write(out);
        }
    }
}

/// How far sorted keys agree; that is how far the first and the last do.
fn common_end<T>(entries: &[(&[u8], T)]) -> usize {
    match (entries.first(), entries.last()) {
        (Some((first, _)), Some((last, _))) => {
            first.iter().zip(*last).take_while(|(one, other)| one == other).count()
        }
        _ => 0,
    }
}
