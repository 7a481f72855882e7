//! Reads an image back into a tree; trusts nothing in it.

mod fault;
pub(super) mod image;
pub(super) mod map;

use std::collections::{HashMap, HashSet};

use bytes::Bytes;

pub use fault::{Corruption, ReadError};

use self::image::{Image, Located, shown};
use super::layout::{BLOCK, DIRENT, DataLayout, Dirent, FileType, NAME_MAX, TARGET_MAX};
use crate::tree::{Entry, Kind, Metadata, Tree};

/// Copied file contents may be this many times the image: shared blocks are copied once, so only
/// images made to exhaust memory come near it.
const AMPLIFICATION: usize = 16;
/// The same for compressed files. A block of ours holds at most 256 blocks of a file.
const INFLATION: usize = 256;

/// The tree that `image` holds. Contents that lie in one piece are slices of `image`, others copies.
/// Times, inode numbers and the label are not part of a tree and left out.
pub fn read(image: &Bytes) -> Result<Tree, ReadError> {
    let image = Image::open(image)?;
    let mut reader = Reader { image: &image, tree: Tree::default(), contents: Contents::default() };
    reader.walk()?;
    Ok(reader.tree)
}

struct Reader<'image> {
    image: &'image Image,
    tree: Tree,
    contents: Contents,
}

/// A directory still to be read.
struct Pending {
    path: String,
    nid: u64,
    parent: u64,
}

impl Reader<'_> {
    fn walk(&mut self) -> Result<(), ReadError> {
        let root = u64::from(self.image.super_block.root_nid);
        let mut pending = vec![Pending { path: String::new(), nid: root, parent: root }];
        let mut seen = HashSet::from([root]);
        while let Some(directory) = pending.pop() {
            for (name, dirent) in self.directory(&directory)? {
                let path = match directory.path.as_str() {
                    "" => name,
                    parent => format!("{parent}/{name}"),
                };
                let nid = dirent.nid;
                if path.len() > TARGET_MAX {
                    return Err(ReadError::Path { length: path.len(), path });
                }
                let fault = |corruption| ReadError::Corrupt { path: shown(&path), corruption };
                let located = self.image.inode(nid).map_err(|reason| reason.at(&path))?;
                if located.file_type.code() != dirent.file_type {
                    let (inode, name) = (located.file_type.code(), dirent.file_type);
                    return Err(fault(Corruption::FileType { inode, name }));
                }
                let kind = match located.file_type {
                    FileType::Directory => {
                        if !seen.insert(nid) {
                            return Err(fault(Corruption::SecondName { nid }));
                        }
                        pending.push(Pending { path: path.clone(), nid, parent: directory.nid });
                        Kind::Directory
                    }
                    FileType::Regular => Kind::File(self.content(&located).map_err(fault)?),
                    FileType::Symlink => {
                        let target = self.content(&located).map_err(fault)?;
                        let target = String::from_utf8(target.to_vec())
                            .map_err(|_| ReadError::Text { path: shown(&path) })?;
                        Kind::Symlink(target)
                    }
                };
                self.tree.insert(&path, Entry { metadata: metadata(&located), kind })?;
            }
        }
        Ok(())
    }

    /// The entries of a directory but `.` and `..`, which are checked.
    fn directory(&mut self, directory: &Pending) -> Result<Vec<(String, Dirent)>, ReadError> {
        let Pending { path, nid, parent } = directory;
        let fault = |corruption| ReadError::Corrupt { path: shown(path), corruption };
        let located = self.image.inode(*nid).map_err(|reason| reason.at(path))?;
        if located.file_type != FileType::Directory {
            let (inode, name) = (located.file_type.code(), FileType::Directory.code());
            return Err(fault(Corruption::FileType { inode, name }));
        }
        if path.is_empty() {
            self.tree.set_metadata("", metadata(&located));
        }
        let data = self.content(&located).map_err(fault)?;
        let mut entries = Vec::new();
        let mut last: Option<Vec<u8>> = None;
        for block in data.chunks(BLOCK) {
            for (name, dirent) in entries_of(block).map_err(fault)? {
                if last.as_deref().is_some_and(|last| last >= name) {
                    return Err(fault(Corruption::Order {
                        name: String::from_utf8_lossy(name).into_owned(),
                    }));
                }
                last = Some(name.to_vec());
                let text = std::str::from_utf8(name).map_err(|_| ReadError::Text { path: shown(path) })?;
                entries.push((text.to_owned(), dirent));
            }
        }
        for (name, expected) in [(".", *nid), ("..", *parent)] {
            let position = entries.iter().position(|(entry, _)| entry == name);
            let position = position.ok_or_else(|| fault(Corruption::NoDots { name }))?;
            let found = entries.remove(position).1.nid;
            if found != expected {
                return Err(fault(Corruption::Dots { name, expected, found }));
            }
        }
        Ok(entries)
    }

    fn content(&mut self, located: &Located) -> Result<Bytes, Corruption> {
        let image = self.image.bytes.len();
        if located.inode.layout == DataLayout::Compressed {
            // Before any of it is made: the index of a file costs the image little.
            let size = self.image.size_of(located)?;
            self.contents.count(size, image, INFLATION)?;
            let map = self.image.map(located)?;
            return map.map_or(Ok(Bytes::new()), |map| self.image.unpack(&map, size));
        }
        let (body, tail) = self.image.data(located)?;
        self.contents.join(image, located, body, tail)
    }
}

fn metadata(located: &Located) -> Metadata {
    let inode = &located.inode;
    Metadata { mode: inode.mode & 0o7777, uid: inode.uid, gid: inode.gid }
}

/// Names and entries of one directory block.
fn entries_of(block: &[u8]) -> Result<Vec<(&[u8], Dirent)>, Corruption> {
    let length = block.len();
    let dirent_at = |index: usize| {
        let raw = block.get(index * DIRENT..)?.first_chunk::<DIRENT>()?;
        Some(Dirent::decode(raw))
    };
    // The first name follows the last entry, so its place tells how many entries there are.
    let first = dirent_at(0).ok_or(Corruption::DirectoryBlock { length, entries: 1 })?;
    let nameoff = usize::from(first.nameoff);
    if nameoff == 0 || !nameoff.is_multiple_of(DIRENT) {
        return Err(Corruption::Name { length, nameoff });
    }
    let entries = nameoff / DIRENT;
    let dirents: Vec<Dirent> = (0..entries)
        .map(dirent_at)
        .collect::<Option<_>>()
        .ok_or(Corruption::DirectoryBlock { length, entries })?;
    let ends = dirents.iter().skip(1).map(|dirent| usize::from(dirent.nameoff)).chain([length]);
    dirents
        .iter()
        .zip(ends)
        .enumerate()
        .map(|(index, (dirent, end))| {
            let nameoff = usize::from(dirent.nameoff);
            let name = block.get(nameoff..end).map(|name| {
                // Zeros fill the block behind its last name.
                let is_last = index + 1 == entries;
                if is_last { name.split(|byte| *byte == 0).next().unwrap_or_default() } else { name }
            });
            match name {
                Some(name) if is_name(name) => Ok((name, *dirent)),
                _ => Err(Corruption::Name { length, nameoff }),
            }
        })
        .collect()
}

fn is_name(name: &[u8]) -> bool {
    (1..=NAME_MAX).contains(&name.len()) && !name.contains(&0) && !name.contains(&b'/')
}

/// File contents, each joined from blocks and tail once.
#[derive(Default)]
struct Contents {
    /// By start block, length of the body and tail.
    joined: HashMap<(u32, usize, Bytes), Bytes>,
    copied: usize,
}

impl Contents {
    /// Counts `more` bytes before they are copied or unpacked.
    fn count(&mut self, more: usize, image: usize, factor: usize) -> Result<(), Corruption> {
        self.copied = self.copied.saturating_add(more);
        if self.copied > image.saturating_mul(factor) {
            return Err(Corruption::Amplified { copied: self.copied, image });
        }
        Ok(())
    }

    fn join(
        &mut self,
        image_length: usize,
        located: &Located,
        body: Bytes,
        tail: Bytes,
    ) -> Result<Bytes, Corruption> {
        if located.inode.layout == DataLayout::FlatPlain || tail.is_empty() {
            return Ok(body);
        }
        if body.is_empty() {
            return Ok(tail);
        }
        let key = (located.inode.blkaddr, body.len(), tail.clone());
        if let Some(known) = self.joined.get(&key) {
            return Ok(known.clone());
        }
        self.count(body.len(), image_length, AMPLIFICATION)?;
        let joined = Bytes::from([body, tail].concat());
        self.joined.insert(key, joined.clone());
        Ok(joined)
    }
}
