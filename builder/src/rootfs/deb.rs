//! A Debian package as its .deb file holds it: control information, maintainer scripts, files.
//!
//! Nothing is run and nothing touches the host's disk. Only the contents of files that the filter
//! keeps stay in memory. Format: deb(5), version 2.0; members compressed by xz, zstd, gzip or not at all.
//! Decompressing xz is most of the work, so copies of packages in another compression can be kept for the next time.

mod control;
mod copy;
mod fault;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use bytes::Bytes;

pub use self::control::{Control, ControlFault, ScriptKind};
pub use self::fault::{DebError, Fault};

use self::copy::Copy;
use crate::derived::DerivedCache;
use crate::rootfs::ar;
use crate::rootfs::stream::{self, Compression};
use crate::rootfs::tarball::{self, Selection};
use crate::tree::{Entry, Kind};
use crate::units::{self, Sha256};

/// Most that `data.tar` may unpack to. The largest packages of an image (generic kernels) have 170 MiB;
/// more than this is taken for a decompression bomb.
pub const DATA_LIMIT: units::Bytes = units::Bytes(1 << 30);
/// Most that `control.tar` may unpack to; the largest in the archive (md5sums of icon themes) stay below 8 MiB.
pub const CONTROL_LIMIT: units::Bytes = units::Bytes(16 << 20);

/// A package read into memory.
#[derive(Clone, Debug)]
pub struct Deb {
    /// Name, version, architecture and the whole stanza.
    pub control: Control,
    /// Maintainer scripts and triggers that the package has, unmodified.
    pub scripts: BTreeMap<ScriptKind, Vec<u8>>,
    /// Paths below the root that the package declares as configuration files, in its order.
    pub conffiles: Vec<String>,
    /// The package's own `md5sums` file (lines `<md5>  <path>`), empty where it has none.
    pub md5sums: String,
    /// Files, links and directories in the package's order. Directories are never filtered:
    /// whether an excluded one is needed is known only when its files are.
    pub entries: Vec<(String, Entry)>,
}

impl Deb {
    /// Reads the .deb at `path`, keeping the files and links whose path below the root `keep` says yes to.
    ///
    /// `sha256` is the file's digest, by which `cache` may have a copy that is read faster.
    pub fn read(
        path: &Path,
        sha256: Sha256,
        keep: &dyn Fn(&str) -> bool,
        cache: &dyn DerivedCache,
    ) -> Result<Self, DebError> {
        let open = || File::open(path).map_err(|source| Fault::Open { source });
        let read = copy::read_through(cache, sha256, keep, open);
        read.map_err(|fault| DebError { path: path.to_owned(), fault })
    }

    /// Reads a .deb from an open file or a buffer.
    pub fn parse(reader: impl Read + Seek, keep: &dyn Fn(&str) -> bool) -> Result<Self, Fault> {
        Self::parse_and_copy(reader, keep, false).map(|(deb, _)| deb)
    }

    /// Makes a copy on the way too, where one is wanted, is read any faster and can be made.
    fn parse_and_copy(
        reader: impl Read + Seek,
        keep: &dyn Fn(&str) -> bool,
        is_copied: bool,
    ) -> Result<(Self, Option<Copy>), Fault> {
        let mut archive = ar::Archive::open(reader)?;
        check_version(&mut archive)?;
        let control_member = expect_tar(&mut archive, "control.tar")?;
        let mut files = read_control(&mut archive, &control_member)?;
        let no_control = || Fault::NoControl { member: control_member.name.clone() };
        let control = files.remove("control").ok_or_else(no_control)?;
        let control = Control::parse(&control::text("control", &control)?)?;

        let data_member = expect_tar(&mut archive, "data.tar")?;
        let is_slow = data_member.name == "data.tar.xz";
        let begun = (is_copied && is_slow).then(|| Copy::begin(&mut archive, &control_member));
        let mut copy = begun.and_then(Result::ok);
        let entries = read_data(&mut archive, &data_member, keep, copy.as_mut())?;
        refuse_second(&mut archive)?;

        let text_of = |name| files.get(name).map(|content| control::text(name, content)).transpose();
        let conffiles = control::parse_conffiles(&text_of("conffiles")?.unwrap_or_default());
        let md5sums = text_of("md5sums")?.unwrap_or_default();
        let scripts = ScriptKind::ALL
            .into_iter()
            .filter_map(|kind| files.get(kind.file_name()).map(|content| (kind, content.to_vec())))
            .collect();
        Ok((Self { control, scripts, conffiles, md5sums, entries }, copy))
    }
}

/// The first member says which version of the format this is.
fn check_version<R: Read + Seek>(archive: &mut ar::Archive<R>) -> Result<(), Fault> {
    let member = archive.next_member()?.ok_or(Fault::Missing { member: "debian-binary" })?;
    if member.name != "debian-binary" {
        return Err(Fault::Missing { member: "debian-binary" });
    }
    let mut version = String::new();
    let offset = member.offset;
    archive
        .content(&member)?
        .take(16)
        .read_to_string(&mut version)
        .map_err(|source| ar::ArError::Read { offset, source })?;
    // A higher minor version only adds what old readers may ignore (deb(5)).
    if version.starts_with("2.") { Ok(()) } else { Err(Fault::Version { found: version }) }
}

/// The next member that counts must be the tar called `stem`; members beginning with `_` are for others (deb(5)).
fn expect_tar<R: Read + Seek>(archive: &mut ar::Archive<R>, stem: &'static str) -> Result<ar::Member, Fault> {
    while let Some(member) = archive.next_member()? {
        if member.name.starts_with('_') {
            continue;
        }
        if member.name.starts_with(stem) {
            return Ok(member);
        }
        if stem == "data.tar" && member.name.starts_with("control.tar") {
            return Err(Fault::Duplicate { member: member.name, offset: member.offset });
        }
        break;
    }
    Err(Fault::Missing { member: stem })
}

/// What follows `data.tar` is ignored (deb(5)), but a second set of contents is no valid package.
fn refuse_second<R: Read + Seek>(archive: &mut ar::Archive<R>) -> Result<(), Fault> {
    while let Some(member) = archive.next_member()? {
        if member.name.starts_with("control.tar") || member.name.starts_with("data.tar") {
            return Err(Fault::Duplicate { member: member.name, offset: member.offset });
        }
    }
    Ok(())
}

fn read_control<R: Read + Seek>(
    archive: &mut ar::Archive<R>,
    member: &ar::Member,
) -> Result<BTreeMap<String, Bytes>, Fault> {
    let mut selection = Selection::new(&|_| true);
    let entries = read_tar(archive, member, "control.tar", CONTROL_LIMIT, &mut selection, None)?;
    let files = entries.into_iter().filter_map(|(path, entry)| match entry.kind {
        Kind::File(content) => Some((path, content)),
        Kind::Directory | Kind::Symlink(_) => None,
    });
    Ok(files.collect())
}

/// Reads the package's files; a second time where a kept hard link leads to a file that was not kept.
fn read_data<R: Read + Seek>(
    archive: &mut ar::Archive<R>,
    member: &ar::Member,
    keep: &dyn Fn(&str) -> bool,
    copy: Option<&mut Copy>,
) -> Result<Vec<(String, Entry)>, Fault> {
    let mut selection = Selection::new(keep);
    let entries = read_tar(archive, member, "data.tar", DATA_LIMIT, &mut selection, copy)?;
    let wanted = std::mem::take(&mut selection.wanted);
    if wanted.is_empty() {
        return Ok(entries);
    }
    selection.retained = wanted;
    read_tar(archive, member, "data.tar", DATA_LIMIT, &mut selection, None)
}

fn read_tar<R: Read + Seek>(
    archive: &mut ar::Archive<R>,
    member: &ar::Member,
    stem: &str,
    limit: units::Bytes,
    selection: &mut Selection<'_>,
    copy: Option<&mut Copy>,
) -> Result<Vec<(String, Entry)>, Fault> {
    let compression = Compression::of_suffix(member.name.strip_prefix(stem).unwrap_or_default())
        .ok_or_else(|| Fault::Compression { member: member.name.clone() })?;
    let content = archive.content(member)?;
    let name = || member.name.clone();
    let stream = stream::Stream::new(content, compression, limit)
        .map_err(|fault| Fault::Stream { member: name(), fault })?;
    let stream = match copy {
        Some(copy) => stream.copying_to(copy),
        None => stream,
    };
    tarball::read(stream, selection).map_err(|fault| match fault {
        tarball::ReadFault::Stream(fault) => Fault::Stream { member: name(), fault },
        tarball::ReadFault::Tar(fault) => Fault::Tar { member: name(), fault },
    })
}
