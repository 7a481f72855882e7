//! Reads an image back into a tree; trusts nothing in it.

mod fault;
pub(super) mod image;

use std::collections::{HashMap, HashSet};

use bytes::Bytes;

pub use fault::{Corruption, ReadError};

use self::image::{Image, Located};
use super::layout::{BLOCK, DIRENT, DataLayout, Dirent, FileType, NAME_MAX};
use crate::tree::{Entry, Kind, Metadata, Tree};

/// Copied file contents may be this many times the image: shared blocks are copied once, so only
/// images made to exhaust memory come near it.
const AMPLIFICATION: usize = 16;

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
                let fault = |corruption| ReadError::Corrupt { path: path.clone(), corruption };
                let located = self.image.inode(nid).map_err(|reason| reason.at(&path))?;
                if located.file_type.code() != dirent.file_type {
                    let found = dirent.file_type;
                    return Err(fault(Corruption::FileType { expected: located.file_type.code(), found }));
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
                            .map_err(|_| ReadError::Text { path: path.clone() })?;
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
        let fault = |corruption| ReadError::Corrupt { path: path.clone(), corruption };
        let located = self.image.inode(*nid).map_err(|reason| reason.at(path))?;
        if located.file_type != FileType::Directory {
            let found = located.file_type.code();
            return Err(fault(Corruption::FileType { expected: FileType::Directory.code(), found }));
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
                let text = std::str::from_utf8(name).map_err(|_| ReadError::Text { path: path.clone() })?;
                entries.push((text.to_owned(), dirent));
            }
        }
        for (name, expected) in [(".", *nid), ("..", *parent)] {
            let position = entries.iter().position(|(entry, _)| entry == name);
            let found = position.map(|position| entries.remove(position).1.nid);
            if found != Some(expected) {
                return Err(fault(Corruption::Dots { name, expected, found }));
            }
        }
        Ok(entries)
    }

    fn content(&mut self, located: &Located) -> Result<Bytes, Corruption> {
        let (body, tail) = self.image.data(located)?;
        self.contents.join(self.image.bytes.len(), located, body, tail)
    }
}

fn metadata(located: &Located) -> Metadata {
    let inode = &located.inode;
    Metadata { mode: inode.mode & 0o7777, uid: inode.uid, gid: inode.gid }
}

/// Names and entries of one directory block.
fn entries_of(block: &[u8]) -> Result<Vec<(&[u8], Dirent)>, Corruption> {
    let dirent_at = |index: usize| {
        let raw = block.get(index * DIRENT..)?.first_chunk::<DIRENT>()?;
        Some(Dirent::decode(raw))
    };
    let cut = || Corruption::DirectoryBlock { length: block.len(), nameoff: None };
    let first = usize::from(dirent_at(0).ok_or_else(cut)?.nameoff);
    let wrong = |nameoff| Corruption::DirectoryBlock { length: block.len(), nameoff: Some(nameoff) };
    if first == 0 || !first.is_multiple_of(DIRENT) {
        return Err(wrong(first));
    }
    let dirents: Vec<Dirent> =
        (0..first / DIRENT).map(dirent_at).collect::<Option<_>>().ok_or_else(|| wrong(first))?;
    let ends = dirents.iter().skip(1).map(|dirent| usize::from(dirent.nameoff)).chain([block.len()]);
    let mut entries = Vec::with_capacity(dirents.len());
    for (index, (dirent, end)) in dirents.iter().zip(ends).enumerate() {
        let start = usize::from(dirent.nameoff);
        let mut name = block.get(start..end).ok_or_else(|| wrong(start))?;
        if index + 1 == dirents.len() {
            // Zeros fill the block behind its last name.
            name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        }
        if name.is_empty() || name.len() > NAME_MAX || name.contains(&0) {
            return Err(wrong(start));
        }
        entries.push((name, *dirent));
    }
    Ok(entries)
}

/// File contents, each joined from blocks and tail once.
#[derive(Default)]
struct Contents {
    /// By start block, length of the body and tail.
    joined: HashMap<(u32, usize, Bytes), Bytes>,
    copied: usize,
}

impl Contents {
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
        self.copied = self.copied.saturating_add(body.len());
        if self.copied > image_length.saturating_mul(AMPLIFICATION) {
            return Err(Corruption::Amplified { copied: self.copied, image: image_length });
        }
        let joined = Bytes::from([body, tail].concat());
        self.joined.insert(key, joined.clone());
        Ok(joined)
    }
}
