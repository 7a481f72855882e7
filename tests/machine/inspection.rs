//! Looks for secrets in all that leaves the operator's hands, unpacked as far as anybody would unpack it.

use std::fs::{self, File};
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::Path;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use firstboot::fat::{Fat, Stamp};
use firstboot::gpt::{BlockDisk, Lba, Window};
use flate2::read::MultiGzDecoder;
use imgbuild::format::{erofs, uki};
use imgbuild::identity::search::{Finding, Search};
use imgbuild::tree::Kind;
use imgbuild::xz;

use crate::Disk;

/// Packed things in packed things: a kernel module in an initrd in a UKI has four.
const DEPTH: usize = 8;
/// Where an EROFS image says that it is one, and what it says.
const EROFS: (usize, [u8; 4]) = (1024, 0xe0f5_e1e2_u32.to_le_bytes());
/// What begins an entry of a cpio archive, as the kernel takes it.
const CPIO: &[u8] = b"070701";

/// A search of one place after the other, and what it found.
#[derive(Debug)]
pub struct Inspection<'a> {
    search: &'a Search,
    /// How many files, members, sections and streams were looked through.
    pub looked: usize,
    /// A line for each finding: the place, the secret's name and how it is written.
    pub findings: Vec<String>,
}

impl<'a> Inspection<'a> {
    /// Has looked at nothing yet.
    pub fn new(search: &'a Search) -> Self {
        Self { search, looked: 0, findings: Vec::new() }
    }

    /// Fails where anything was found, or nothing was looked at.
    pub fn check(&self) -> anyhow::Result<()> {
        ensure!(self.looked > 0, "nothing was looked through");
        ensure!(self.findings.is_empty(), "secrets lie open:\n{}", self.findings.join("\n"));
        Ok(())
    }

    /// Looks through `content` as it is, and through all that is packed in it: EROFS images, sections of boot programs,
    /// members of cpio archives, what zstd, xz or gzip has compressed.
    pub fn content(&mut self, place: &str, content: &[u8]) -> anyhow::Result<()> {
        self.unpacked(place, content, DEPTH).with_context(|| format!("looking through {place}"))
    }

    /// Looks through a file; holes are passed over.
    pub fn file(&mut self, path: &Path) -> anyhow::Result<()> {
        let place = path.display().to_string();
        let found = self.sparse(path).with_context(|| format!("looking through `{place}`"))?;
        self.note(&place, found);
        Ok(())
    }

    /// Looks through every file below `folder`, and unpacks what is packed, but for disks: of those, [`Self::disk`].
    pub fn folder(&mut self, folder: &Path) -> anyhow::Result<()> {
        let reading = || format!("reading folder `{}`", folder.display());
        let mut entries: Vec<_> = fs::read_dir(folder).with_context(reading)?.collect::<Result<_, _>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let (path, kind) = (entry.path(), entry.file_type().with_context(reading)?);
            if kind.is_dir() {
                self.folder(&path)?;
            } else if kind.is_file() {
                self.file(&path)?;
                if path.extension().is_none_or(|extension| extension != "raw") {
                    let content = fs::read(&path).with_context(reading)?;
                    self.packed(&path.display().to_string(), &content, DEPTH)?;
                }
            }
        }
        Ok(())
    }

    /// Looks through a whole disk, and through each file of its EFI system partition.
    pub fn disk(&mut self, disk: &Disk) -> anyhow::Result<()> {
        self.file(disk.path())?;
        let esp = disk.partition("esp")?;
        let device = BlockDisk::over(File::open(disk.path())?, disk.sector_size().into());
        let device = device.context("looking at the disk")?;
        let fat = Fat::open(Window::new(device, Lba(esp.first), esp.sectors), Stamp::from_unix(0))?;
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            for item in fat.list(&folder)?.unwrap_or_default() {
                let path = if folder.is_empty() { item.name } else { format!("{folder}/{}", item.name) };
                if item.is_folder {
                    folders.push(path);
                } else {
                    let content = fat.read(&path)?.context("a file of the ESP is gone")?;
                    self.content(&format!("ESP of `{}`: {path}", disk.path().display()), &content)?;
                }
            }
        }
        Ok(())
    }

    fn note(&mut self, place: &str, found: Vec<Finding>) {
        self.looked += 1;
        let line = |Finding { offset, secret, form }| format!("{place}: {secret} {form} at byte {offset}");
        self.findings.extend(found.into_iter().map(line));
    }

    fn unpacked(&mut self, place: &str, content: &[u8], depth: usize) -> anyhow::Result<()> {
        let found = self.search.read(content)?;
        self.note(place, found);
        self.packed(place, content, depth)
    }

    /// What is in `content`, if that is a format that packs.
    fn packed(&mut self, place: &str, content: &[u8], depth: usize) -> anyhow::Result<()> {
        ensure!(depth > 0, "{place} is packed more than {DEPTH} times");
        for (name, inner) in parts(content)? {
            self.unpacked(&format!("{place}: {name}"), &inner, depth - 1)?;
        }
        Ok(())
    }

    /// The data of a file, section by section: a secret has no page of zeros in its middle.
    fn sparse(&self, path: &Path) -> anyhow::Result<Vec<Finding>> {
        let mut file = File::open(path)?;
        let (mut findings, mut position) = (Vec::new(), 0);
        loop {
            let start = match rustix::fs::seek(&file, rustix::fs::SeekFrom::Data(position)) {
                Ok(start) => start,
                Err(rustix::io::Errno::NXIO) => return Ok(findings),
                Err(error) => return Err(io::Error::from(error).into()),
            };
            position = rustix::fs::seek(&file, rustix::fs::SeekFrom::Hole(start)).map_err(io::Error::from)?;
            file.seek(SeekFrom::Start(start))?;
            let found = self.search.read((&file).take(position - start))?;
            findings.extend(found.into_iter().map(|it| Finding { offset: it.offset + start, ..it }));
        }
    }
}

/// Things that are packed in `content`, by their names.
fn parts(content: &[u8]) -> anyhow::Result<Vec<(String, Bytes)>> {
    let stream = |mut reader: Box<dyn Read + '_>, name: &str| {
        let mut unpacked = Vec::new();
        reader.read_to_end(&mut unpacked).with_context(|| format!("unpacking by {name}"))?;
        anyhow::Ok(vec![(name.to_owned(), unpacked.into())])
    };
    let (at, magic) = EROFS;
    if content.get(at..).is_some_and(|rest| rest.starts_with(&magic)) {
        let tree = erofs::read(&Bytes::copy_from_slice(content))?;
        let files = tree.iter().map(|(path, entry)| match &entry.kind {
            Kind::File(content) => (path.to_owned(), content.clone()),
            Kind::Symlink(target) => (path.to_owned(), target.clone().into()),
            Kind::Directory => (path.to_owned(), Bytes::new()),
        });
        return Ok(files.filter(|(_, content)| !content.is_empty()).collect());
    }
    match content {
        [0x28, 0xb5, 0x2f, 0xfd, ..] => stream(Box::new(zstd::Decoder::new(content)?), "zstd"),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => stream(Box::new(xz::decoder(content)?), "xz"),
        [0x1f, 0x8b, 8, ..] => stream(Box::new(MultiGzDecoder::new(content)), "gzip"),
        // A kernel of another architecture begins so as well, and is no PE file that is understood.
        [b'M', b'Z', ..] => Ok(uki::sections(content).map_or_else(
            |_| Vec::new(),
            |sections| {
                let part = |section: &uki::Section| {
                    let inner = section.content(content)?;
                    Some((section.name.clone(), Bytes::copy_from_slice(inner)))
                };
                sections.iter().filter_map(part).collect()
            },
        )),
        _ if content.starts_with(CPIO) => members(content),
        _ => Ok(Vec::new()),
    }
}

/// Files of a cpio archive (`Documentation/driver-api/early-userspace/buffer-format.rst`).
fn members(archive: &[u8]) -> anyhow::Result<Vec<(String, Bytes)>> {
    const HEADER: usize = 110;
    let mut members = Vec::new();
    let mut at = 0;
    while let Some(header) = archive.get(at..at + HEADER) {
        ensure!(header.starts_with(CPIO), "at byte {at} no entry of a cpio archive begins");
        let number = |index: usize| -> anyhow::Result<usize> {
            let digits = header.get(6 + index * 8..14 + index * 8).unwrap_or_default();
            Ok(usize::from_str_radix(std::str::from_utf8(digits)?, 16)?)
        };
        let (size, name_length) = (number(6)?, number(11)?);
        let data = (at + HEADER + name_length).next_multiple_of(4);
        let name = archive.get(at + HEADER..at + HEADER + name_length).context("a name is cut off")?;
        let name = String::from_utf8_lossy(name).trim_end_matches('\0').to_owned();
        if name == "TRAILER!!!" {
            break;
        }
        let content = archive.get(data..data + size).context("a member is cut off")?;
        members.push((name, Bytes::copy_from_slice(content)));
        at = (data + size).next_multiple_of(4);
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use imgbuild::format::cpio;
    use imgbuild::tree::{Metadata, Tree};
    use imgbuild::units::Timestamp;

    use super::*;

    const SECRET: &[u8] = b"0123456789abcdefghijklmnopqrstuv";

    fn found(content: &[u8]) -> Vec<String> {
        let search = Search::new([("ours", SECRET)]).unwrap();
        let mut inspection = Inspection::new(&search);
        inspection.content("place", content).unwrap();
        inspection.findings
    }

    fn archive() -> Vec<u8> {
        let mut tree = Tree::default();
        let content = [&[b'.'; 5][..], SECRET].concat();
        tree.write("folder/file", Metadata::FILE, content).unwrap();
        tree.write("other", Metadata::FILE, vec![b'.'; 9]).unwrap();
        let mut archive = Vec::new();
        let options = cpio::Options { timestamp: Timestamp(0), console: false };
        cpio::write(&tree, &options, &mut archive).unwrap();
        archive
    }

    #[test]
    fn finds_what_is_packed_in_what_is_packed() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(&archive()).unwrap();
        let packed = zstd::encode_all(&*gzip.finish().unwrap(), 3).unwrap();
        let lines = found(&packed);
        let expected = "place: zstd: gzip: folder/file: ours as it is at byte 5";
        assert_eq!(lines.last().map(String::as_str), Some(expected), "{lines:?}");
        // Once in the archive, once in its member.
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert_eq!(found(b"070701 is no archive, and it has no secret").len(), 0);
    }

    #[test]
    fn passes_over_holes_and_says_where_a_secret_lies() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sparse");
        let file = File::create(&path).unwrap();
        file.set_len(64 << 20).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, SECRET, (40 << 20) + 7).unwrap();
        let search = Search::new([("ours", SECRET)]).unwrap();
        let mut inspection = Inspection::new(&search);
        inspection.folder(folder.path()).unwrap();
        let expected = format!("{}: ours as it is at byte {}", path.display(), (40 << 20) + 7);
        assert_eq!(inspection.findings, [expected]);
        let fault = inspection.check().unwrap_err().to_string();
        assert!(fault.starts_with("secrets lie open:\n"), "{fault}");
    }
}
