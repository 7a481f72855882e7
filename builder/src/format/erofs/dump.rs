//! Describes an image field by field, so that a changed byte shows as a changed word in a test.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use bytes::Bytes;

use super::layout::{BLOCK, DIRENT, DataLayout, Dirent, FileType, NULL_ADDR, SUPER_OFFSET, SUPER_SIZE};
use super::reader::image::{Image, Located};
use super::reader::map::{Extent, Map};

/// The super block and every inode that can be reached, ascending by nid.
pub(super) fn dump(image: &Bytes) -> String {
    let image = Image::open(image).expect("dumped images are ours");
    let root = u64::from(image.super_block.root_nid);
    let mut nids = BTreeSet::from([root]);
    let mut pending = vec![root];
    while let Some(nid) = pending.pop() {
        let located = image.inode(nid).expect("dumped images are ours");
        if located.file_type == FileType::Directory {
            let children = entries(&image, &located).into_iter().map(|(_, dirent)| dirent.nid);
            pending.extend(children.filter(|nid| nids.insert(*nid)));
        }
    }
    let mut text = super_block(&image);
    for nid in nids {
        let located = image.inode(nid).expect("dumped images are ours");
        inode(&mut text, &image, nid, &located);
    }
    text
}

fn super_block(image: &Image) -> String {
    let block = &image.super_block;
    format!(
        "{SUPER_OFFSET:#06x} super block checksum={:#010x} compat={:#x} incompat={:#x} blkszbits={} \
         root_nid={} inos={} build_time={} blocks={} meta_blkaddr={} uuid={} volume_name={:?}{}\n",
        block.checksum,
        block.feature_compat,
        block.feature_incompat,
        block.blkszbits,
        block.root_nid,
        block.inos,
        block.build_time,
        block.blocks,
        block.meta_blkaddr,
        uuid::Uuid::from_bytes(block.uuid),
        String::from_utf8_lossy(&block.volume_name).trim_end_matches('\0'),
        match block.available_compr_algs {
            0 => String::new(),
            bits => format!(" available_compr_algs={bits:#x} record={:02x?}", record(image)),
        },
    )
}

/// The record behind the super block.
fn record(image: &Image) -> &[u8] {
    let record = &image.bytes[SUPER_OFFSET + SUPER_SIZE..];
    &record[..2 + usize::from(u16::from_le_bytes([record[0], record[1]]))]
}

fn inode(text: &mut String, image: &Image, nid: u64, located: &Located) {
    let inode = &located.inode;
    let version = if inode.mtime.is_some() { "extended" } else { "compact" };
    let layout = match inode.layout {
        DataLayout::FlatPlain => "plain",
        DataLayout::FlatInline => "inline",
        DataLayout::Compressed => "compressed",
    };
    let start = if inode.blkaddr == NULL_ADDR { "-".to_owned() } else { inode.blkaddr.to_string() };
    let _ = writeln!(
        text,
        "{:#06x} inode nid={nid} {version} {layout} mode={:#o} nlink={} uid={} gid={} ino={} size={} \
         blkaddr={start} mtime={:?}",
        located.offset, inode.mode, inode.nlink, inode.uid, inode.gid, inode.ino, inode.size, inode.mtime,
    );
    if let Some(Map { header, extents, .. }) = image.map(located).expect("dumped images are ours") {
        let _ = writeln!(
            text,
            "         advise={:#x} idata_size={} algorithmtype={}",
            header.advise, header.idata_size, header.algorithm
        );
        for Extent { start, length, is_packed, offset, stored } in extents {
            let kind = if is_packed { "packed" } else { "plain" };
            let _ = writeln!(text, "         {length} bytes at {start} {kind} in {stored} at {offset:#x}");
        }
        return;
    }
    let (body, tail) = image.data(located).expect("dumped images are ours");
    match located.file_type {
        FileType::Directory => {
            for (name, Dirent { nid, nameoff, file_type }) in entries(image, located) {
                let _ = writeln!(text, "         {name:?} nid={nid} nameoff={nameoff} type={file_type}");
            }
        }
        FileType::Regular | FileType::Symlink => {
            let start = String::from_utf8_lossy(tail.get(..16).unwrap_or(&tail)).into_owned();
            let _ =
                writeln!(text, "         {} bytes in blocks, tail of {}: {start:?}", body.len(), tail.len());
        }
    }
}

fn entries(image: &Image, located: &Located) -> Vec<(String, Dirent)> {
    let (body, tail) = image.data(located).expect("dumped images are ours");
    let data = [body, tail].concat();
    let mut entries = Vec::new();
    for block in data.chunks(BLOCK) {
        let dirent = |index: usize| Dirent::decode(block[index * DIRENT..].first_chunk().expect("whole"));
        let count = usize::from(dirent(0).nameoff) / DIRENT;
        for index in 0..count {
            let start = usize::from(dirent(index).nameoff);
            let end = if index + 1 < count { usize::from(dirent(index + 1).nameoff) } else { block.len() };
            let name = String::from_utf8_lossy(&block[start..end]);
            entries.push((name.trim_end_matches('\0').to_owned(), dirent(index)));
        }
    }
    entries
}
