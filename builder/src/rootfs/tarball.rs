//! Tar archives, of packages and of artifacts, read strictly: plain relative paths, no devices, sizes that fit.

mod fault;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use bytes::Bytes;
use tar::EntryType;

pub use self::fault::TarFault;

use super::stream::{Stream, StreamFault};
use crate::tree::{Entry, Kind, Metadata};

/// Memory reserved at once for a file; a header may claim any size.
const RESERVE: u64 = 16 << 20;

/// PAX keys that change nothing an image holds, or that the tar reader applies itself.
const KNOWN_ATTRIBUTES: [&str; 11] =
    ["path", "linkpath", "size", "uid", "gid", "uname", "gname", "mtime", "atime", "ctime", "comment"];

/// Paths of the hard link targets that must be read although nobody keeps them.
pub(super) type Paths = BTreeSet<String>;

/// Which of the two layers went wrong.
#[derive(Debug)]
pub(super) enum ReadFault {
    Stream(StreamFault),
    Tar(TarFault),
}

impl From<TarFault> for ReadFault {
    fn from(fault: TarFault) -> Self {
        Self::Tar(fault)
    }
}

/// Which files are kept, and which are read for the sake of hard links to them.
pub(super) struct Selection<'a> {
    keep: &'a dyn Fn(&str) -> bool,
    /// Read for their contents although `keep` says no.
    pub(super) retained: Paths,
    /// Targets of kept hard links that were neither kept nor retained.
    pub(super) wanted: Paths,
}

impl<'a> Selection<'a> {
    pub(super) fn new(keep: &'a dyn Fn(&str) -> bool) -> Self {
        Self { keep, retained: Paths::new(), wanted: Paths::new() }
    }
}

/// Reads all entries to the end of the stream, so that its checksum is looked at as well.
///
/// Where `selection.wanted` is not empty afterwards, the result lacks hard links: read again with
/// those retained.
pub(super) fn read(
    mut stream: Stream<'_>,
    selection: &mut Selection<'_>,
) -> Result<Vec<(String, Entry)>, ReadFault> {
    let limit = stream.remaining();
    let mut collector = Collector { selection, limit, end: 0, entries: Vec::new(), files: BTreeMap::new() };
    let outcome = collector.collect(&mut tar::Archive::new(&mut stream)).and_then(|()| {
        let offset = stream.position;
        stream.drain().map_err(|source| TarFault::Header { offset, source })
    });
    // What the stream says is the cause of whatever the tar reader made of it.
    if let Some(fault) = stream.fault.take() {
        return Err(ReadFault::Stream(fault));
    }
    outcome?;
    if stream.position <= collector.end {
        return Err(TarFault::NoEnd { offset: collector.end }.into());
    }
    Ok(collector.entries)
}

/// A regular file's part of an entry, for the hard links to it.
type Content = (Metadata, Bytes);

/// What a hard link finds at a path.
#[derive(Clone)]
struct File {
    /// The first path of the same file: what must be retained to have its contents.
    origin: String,
    /// None for what was not kept, and for symbolic links.
    content: Option<Content>,
}

struct Collector<'a, 'keep> {
    selection: &'a mut Selection<'keep>,
    /// Most bytes the archive may have.
    limit: u64,
    /// Where the last entry ends, its padding included.
    end: u64,
    entries: Vec<(String, Entry)>,
    /// Every path that is no directory.
    files: BTreeMap<String, File>,
}

impl Collector<'_, '_> {
    fn collect<R: Read>(&mut self, archive: &mut tar::Archive<R>) -> Result<(), TarFault> {
        let mut offset = 0;
        let header = |offset| move |source| TarFault::Header { offset, source };
        for entry in archive.entries().map_err(header(0))? {
            let mut entry = entry.map_err(header(offset))?;
            self.add(&mut entry)?;
            offset = entry.raw_header_position();
            let content_end = entry.raw_file_position().saturating_add(entry.size());
            self.end = content_end.next_multiple_of(512);
        }
        Ok(())
    }

    fn add<R: Read>(&mut self, entry: &mut tar::Entry<'_, R>) -> Result<(), TarFault> {
        let offset = entry.raw_header_position();
        let Some(path) = plain_path(&entry.path_bytes(), offset)? else {
            return Ok(());
        };
        refuse_attributes(entry, &path)?;
        let metadata = metadata(entry.header(), &path, offset)?;
        let kind = entry.header().entry_type();
        let special = |kind| TarFault::Special { offset, path: path.clone(), kind };
        match kind {
            EntryType::Directory => {
                self.entries.push((path, Entry { metadata, kind: Kind::Directory }));
                Ok(())
            }
            EntryType::Regular => self.add_file(entry, path, metadata),
            EntryType::Link => self.add_hard_link(entry, path),
            EntryType::Symlink => self.add_symlink(entry, path),
            EntryType::Char => Err(special("character device")),
            EntryType::Block => Err(special("block device")),
            EntryType::Fifo => Err(special("named pipe")),
            other => Err(TarFault::Unsupported { offset, path, kind: char::from(other.as_byte()) }),
        }
    }

    fn add_file<R: Read>(
        &mut self,
        entry: &mut tar::Entry<'_, R>,
        path: String,
        metadata: Metadata,
    ) -> Result<(), TarFault> {
        let offset = entry.raw_header_position();
        let size = entry.size();
        let limit = self.limit.saturating_sub(offset);
        if size > limit {
            return Err(TarFault::TooLarge { offset, path, size, limit });
        }
        let is_kept = (self.selection.keep)(&path);
        if !is_kept && !self.selection.retained.contains(&path) {
            return self.remember_own(path, offset, None);
        }
        let mut content = Vec::with_capacity(usize::try_from(size.min(RESERVE)).unwrap_or_default());
        entry.read_to_end(&mut content).map_err(|source| TarFault::Header { offset, source })?;
        let found = u64::try_from(content.len()).unwrap_or(u64::MAX);
        if found != size {
            return Err(TarFault::Short { offset, path, size, found });
        }
        content.shrink_to_fit();
        let content = Bytes::from(content);
        if is_kept {
            self.entries.push((path.clone(), Entry { metadata, kind: Kind::File(content.clone()) }));
        }
        self.remember_own(path, offset, Some((metadata, content)))
    }

    fn add_hard_link<R: Read>(
        &mut self,
        entry: &mut tar::Entry<'_, R>,
        path: String,
    ) -> Result<(), TarFault> {
        let offset = entry.raw_header_position();
        let target = entry.link_name_bytes().unwrap_or_default();
        let target = plain_path(&target, offset)?.unwrap_or_default();
        let Some(file) = self.files.get(&target).cloned() else {
            return Err(TarFault::LinkTarget { offset, path, target });
        };
        if (self.selection.keep)(&path) {
            match &file.content {
                Some((metadata, content)) => {
                    let entry = Entry { metadata: *metadata, kind: Kind::File(content.clone()) };
                    self.entries.push((path.clone(), entry));
                }
                // Retained and still without contents: a symbolic link.
                None if self.selection.retained.contains(&file.origin) => {
                    return Err(TarFault::LinkTarget { offset, path, target });
                }
                None => drop(self.selection.wanted.insert(file.origin.clone())),
            }
        }
        self.remember(path, offset, file)
    }

    fn add_symlink<R: Read>(&mut self, entry: &mut tar::Entry<'_, R>, path: String) -> Result<(), TarFault> {
        let offset = entry.raw_header_position();
        let target = entry.link_name_bytes().unwrap_or_default();
        let target = utf8(&target, offset)?.to_owned();
        if target.is_empty() {
            return Err(TarFault::NoTarget { offset, path });
        }
        if target.contains(char::is_control) {
            return Err(TarFault::Target { offset, path, target });
        }
        if (self.selection.keep)(&path) {
            let metadata = Metadata::root(0o777);
            self.entries.push((path.clone(), Entry { metadata, kind: Kind::Symlink(target) }));
        }
        self.remember_own(path, offset, None)
    }

    fn remember_own(&mut self, path: String, offset: u64, content: Option<Content>) -> Result<(), TarFault> {
        let file = File { origin: path.clone(), content };
        self.remember(path, offset, file)
    }

    fn remember(&mut self, path: String, offset: u64, file: File) -> Result<(), TarFault> {
        if self.files.contains_key(&path) {
            return Err(TarFault::Twice { offset, path });
        }
        self.files.insert(path, file);
        Ok(())
    }
}

fn utf8(bytes: &[u8], offset: u64) -> Result<&str, TarFault> {
    std::str::from_utf8(bytes)
        .map_err(|_| TarFault::Encoding { offset, path: String::from_utf8_lossy(bytes).into_owned() })
}

/// The path below the root, without the leading `./` and the trailing slash of directories; none for the root itself.
fn plain_path(bytes: &[u8], offset: u64) -> Result<Option<String>, TarFault> {
    let given = utf8(bytes, offset)?;
    let own = || given.to_owned();
    if given.starts_with('/') {
        return Err(TarFault::Absolute { offset, path: own() });
    }
    let path = given.strip_prefix("./").unwrap_or(given);
    let path = path.strip_suffix('/').unwrap_or(path);
    if matches!(path, "" | ".") && given.starts_with('.') {
        return Ok(None);
    }
    // dpkg's own lists have a line for each file.
    if path.contains(char::is_control)
        || path.split('/').any(|component| matches!(component, "" | "." | ".."))
    {
        return Err(TarFault::NotPlain { offset, path: own() });
    }
    Ok(Some(path.to_owned()))
}

fn metadata(header: &tar::Header, path: &str, offset: u64) -> Result<Metadata, TarFault> {
    let unusable = |field| move || TarFault::Field { offset, path: path.to_owned(), field };
    let mode = header.mode().map_err(|_| unusable("mode")())?;
    let owner = |value: io::Result<u64>, field| {
        value.ok().and_then(|number| u32::try_from(number).ok()).ok_or_else(unusable(field))
    };
    Ok(Metadata {
        // Some archivers put the file type into the upper bits.
        mode: u16::try_from(mode & 0o7777).map_err(|_| unusable("mode")())?,
        uid: owner(header.uid(), "owner")?,
        gid: owner(header.gid(), "group")?,
    })
}

/// Capabilities and the like would be lost in a [`crate::tree::Tree`]: better said than found out on a node.
fn refuse_attributes<R: Read>(entry: &mut tar::Entry<'_, R>, path: &str) -> Result<(), TarFault> {
    let offset = entry.raw_header_position();
    let damaged = |source| TarFault::Header { offset, source };
    let Some(attributes) = entry.pax_extensions().map_err(damaged)? else {
        return Ok(());
    };
    for attribute in attributes {
        let key = String::from_utf8_lossy(attribute.map_err(damaged)?.key_bytes()).into_owned();
        if !KNOWN_ATTRIBUTES.contains(&key.as_str()) {
            return Err(TarFault::Attribute { offset, path: path.to_owned(), key });
        }
    }
    Ok(())
}
