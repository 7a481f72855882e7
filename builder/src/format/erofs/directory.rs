//! Directory data: blocks of entries, each followed by its names.
//!
//! ```text
//! | dirent 0 | dirent 1 | … | name 0 | name 1 | … | NUL to the end of the block |
//! ```
//! The kernel finds a name by binary search over blocks and then over entries, comparing bytes; so
//! all names of a directory, `.` and `..` among them, ascend strictly.

use super::layout::{BLOCK, DIRENT, Dirent, FileType};

/// One name in a directory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Child<'tree> {
    pub(super) name: &'tree str,
    /// Index of the inode in the plan.
    pub(super) inode: usize,
    pub(super) file_type: FileType,
}

/// All names of one directory, in on-disk order.
#[derive(Debug)]
pub(super) struct Directory<'tree> {
    children: Vec<Child<'tree>>,
}

impl<'tree> Directory<'tree> {
    /// An empty directory: itself and its parent.
    pub(super) fn new(itself: usize, parent: usize) -> Self {
        let child = |name, inode| Child { name, inode, file_type: FileType::Directory };
        Self { children: vec![child(".", itself), child("..", parent)] }
    }

    pub(super) fn push(&mut self, child: Child<'tree>) {
        self.children.push(child);
    }

    /// Brings the names into on-disk order; needed before anything below is called.
    pub(super) fn sort(&mut self) {
        self.children.sort_unstable_by_key(|child| child.name.as_bytes());
    }

    /// Number of directories in it, which with its own `.` and its name make its link count.
    pub(super) fn links(&self) -> u32 {
        let directories = self.children.iter().filter(|child| child.file_type == FileType::Directory);
        directories.fold(0, |links, _| links + 1)
    }

    /// Bytes of the encoded directory: whole blocks, and of the last one what is used.
    pub(super) fn size(&self) -> usize {
        let mut blocks = self.blocks().peekable();
        let mut size = 0;
        while let Some(block) = blocks.next() {
            size += if blocks.peek().is_some() { BLOCK } else { used(block) };
        }
        size
    }

    /// The directory's data, with `nids` by index of inode.
    pub(super) fn encode(&self, nids: impl Fn(usize) -> u64) -> Vec<u8> {
        let mut data: Vec<u8> = Vec::with_capacity(self.size());
        for block in self.blocks() {
            data.resize(data.len().next_multiple_of(BLOCK), 0);
            let mut nameoff = block.len() * DIRENT;
            for child in block {
                let dirent = Dirent {
                    nid: nids(child.inode),
                    nameoff: u16::try_from(nameoff).expect("names start inside a block of 4096 bytes"),
                    file_type: child.file_type.code(),
                };
                data.extend_from_slice(&dirent.encode());
                nameoff += child.name.len();
            }
            for child in block {
                data.extend_from_slice(child.name.as_bytes());
            }
        }
        data
    }

    /// Children by directory block: as many as fit, then the next block.
    fn blocks(&self) -> impl Iterator<Item = &[Child<'tree>]> {
        let mut rest = self.children.as_slice();
        std::iter::from_fn(move || {
            let mut room = BLOCK;
            let fitting = rest
                .iter()
                .take_while(|child| match room.checked_sub(DIRENT + child.name.len()) {
                    Some(left) => {
                        room = left;
                        true
                    }
                    None => false,
                })
                .count();
            let (block, behind) = rest.split_at(fitting);
            rest = behind;
            (!block.is_empty()).then_some(block)
        })
    }
}

fn used(block: &[Child<'_>]) -> usize {
    block.iter().map(|child| DIRENT + child.name.len()).sum()
}
