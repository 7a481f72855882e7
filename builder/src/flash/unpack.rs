//! Disk images that were compressed for their way: unpacked to a file without a name, which goes with the process.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use thiserror::Error;

use crate::rootfs::stream::Compression;
use crate::units::Bytes;

/// Unpacked at a time; as many zeros are a hole.
const BUFFER: usize = 256 << 10;

/// What a file is, by its first bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// A disk, byte by byte.
    Raw,
    /// gzip (RFC 1952).
    Gzip,
    /// xz.
    Xz,
    /// Zstandard (RFC 8878).
    Zstd,
    /// Something that holds a disk in a way that is not read here.
    Other(&'static str),
}

impl Form {
    /// Of the file that begins with `head`.
    pub fn of(head: &[u8]) -> Self {
        const ALL: [(&[u8], Form); 10] = [
            (&[0x1f, 0x8b], Form::Gzip),
            (b"\xfd7zXZ\0", Form::Xz),
            (&[0x28, 0xb5, 0x2f, 0xfd], Form::Zstd),
            (b"BZh", Form::Other("bzip2")),
            (b"PK\x03\x04", Form::Other("zip")),
            (b"7z\xbc\xaf\x27\x1c", Form::Other("7z")),
            (b"QFI\xfb", Form::Other("qcow2")),
            (b"KDMV", Form::Other("vmdk")),
            (b"vhdxfile", Form::Other("vhdx")),
            (b"conectix", Form::Other("vhd")),
        ];
        ALL.iter().find(|(magic, _)| head.starts_with(magic)).map_or(Self::Raw, |(_, form)| *form)
    }
}

/// Why there is no disk.
#[derive(Debug, Error)]
pub enum UnpackError {
    /// It cannot be read, or is damaged.
    #[error("unpacking `{path}`")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// It is no disk image, as far as is known here.
    #[error("`{path}` is {form}, and no disk image as it is or by gzip, xz or zstd")]
    Form {
        /// The file.
        path: String,
        /// What it is.
        form: &'static str,
    },
    /// It is larger than any stick may be.
    #[error("more than {most} come out of `{path}`, the most that is taken for a stick")]
    Large {
        /// The file.
        path: String,
        /// The limit.
        most: Bytes,
    },
    /// There is nowhere to unpack it.
    #[error("unpacking `{path}` to `{folder}`")]
    Write {
        /// The file.
        path: String,
        /// Where there is no room.
        folder: String,
        /// What the system said.
        source: io::Error,
    },
}

/// What `file`, which is called `path`, is; an error where no disk comes out of it.
pub fn form(file: &File, path: &Path) -> Result<Form, UnpackError> {
    let unreadable = |source| UnpackError::Read { path: path.display().to_string(), source };
    let mut head = [0; 8];
    let mut length = 0;
    while length < head.len() {
        let at = u64::try_from(length).unwrap_or(u64::MAX);
        match file.read_at(&mut head[length..], at).map_err(unreadable)? {
            0 => break,
            count => length += count,
        }
    }
    match Form::of(&head[..length]) {
        Form::Other(form) => Err(UnpackError::Form { path: path.display().to_string(), form }),
        form => Ok(form),
    }
}

/// The disk in `file`, which is called `path`; unpacked below `folder` where it is compressed, to `most` bytes. `told` hears
/// how many bytes of the file were read.
pub fn unpack(
    file: File,
    path: &Path,
    folder: &Path,
    most: Bytes,
    told: &dyn Fn(u64),
) -> Result<File, UnpackError> {
    let name = || path.display().to_string();
    let unreadable = |source| UnpackError::Read { path: name(), source };
    let reader = BufReader::with_capacity(BUFFER, Counted { file: &file, told });
    let compression = match form(&file, path)? {
        Form::Raw | Form::Other(_) => return Ok(file),
        Form::Gzip => Compression::Gzip,
        Form::Xz => Compression::Xz,
        Form::Zstd => Compression::Zstd,
    };
    let mut decoder = compression.decoder(reader).map_err(unreadable)?;
    let unwritable =
        |source| UnpackError::Write { path: name(), folder: folder.display().to_string(), source };
    let mut disk = tempfile::tempfile_in(folder).map_err(unwritable)?;
    let mut buffer = vec![0; BUFFER];
    let mut size = Bytes(0);
    loop {
        let chunk = fill(&mut decoder, &mut buffer).map_err(unreadable)?;
        if chunk.is_empty() {
            break;
        }
        size = Bytes(size.0.saturating_add(Bytes::of(chunk).0));
        if size > most {
            return Err(UnpackError::Large { path: name(), most });
        }
        let put = if chunk.iter().all(|byte| *byte == 0) {
            disk.seek_relative(i64::try_from(chunk.len()).unwrap_or(0))
        } else {
            disk.write_all(chunk)
        };
        put.map_err(unwritable)?;
    }
    disk.set_len(size.0).map_err(unwritable)?;
    Ok(disk)
}

/// As much as there is, up to the whole buffer.
fn fill<'a>(reader: &mut dyn Read, buffer: &'a mut [u8]) -> io::Result<&'a [u8]> {
    let mut length = 0;
    while length < buffer.len() {
        match reader.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(&buffer[..length])
}

/// Tells what is read.
struct Counted<'a> {
    file: &'a File,
    told: &'a dyn Fn(u64),
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        (self.told)(u64::try_from(count).unwrap_or(0));
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// A disk with a hole, and the same by each way of compression.
    fn disk() -> (Vec<u8>, Vec<(Form, Vec<u8>)>) {
        let mut disk = vec![0; 3 << 20];
        disk[..5].copy_from_slice(b"first");
        disk[(3 << 20) - 700_000..][..4].copy_from_slice(b"last");
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        // Two members, as parallel programs make them.
        let mut members = Vec::new();
        for half in disk.chunks(2 << 20) {
            gzip.write_all(half).unwrap();
            let next = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            members.extend(std::mem::replace(&mut gzip, next).finish().unwrap());
        }
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
        xz.write_all(&disk).unwrap();
        let zstd = zstd::encode_all(&disk[..], 1).unwrap();
        let all = vec![
            (Form::Raw, disk.clone()),
            (Form::Gzip, members),
            (Form::Xz, xz.finish().unwrap()),
            (Form::Zstd, zstd),
        ];
        (disk, all)
    }

    fn unpacked(content: &[u8], most: u64) -> Result<(Vec<u8>, u64), String> {
        let folder = tempfile::tempdir().unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        file.rewind().unwrap();
        let read = Cell::new(0);
        let told = |count| read.set(read.get() + count);
        let disk = unpack(file, Path::new("a.img"), folder.path(), Bytes(most), &told);
        let disk = disk.map_err(|fault| crate::diagnostic::chain(&fault))?;
        let mut out = vec![0; usize::try_from(disk.metadata().unwrap().len()).unwrap()];
        disk.read_exact_at(&mut out, 0).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        Ok((out, read.get()))
    }

    #[test]
    fn what_is_compressed_comes_out_as_it_was() {
        let (disk, all) = disk();
        for (form, content) in all {
            assert_eq!(Form::of(&content), form);
            let (out, read) = unpacked(&content, 3 << 20).unwrap();
            assert!(out == disk, "{form:?}");
            let expected = if form == Form::Raw { 0 } else { Bytes::of(&content).0 };
            assert_eq!(read, expected, "{form:?}");
        }
    }

    #[test]
    fn what_is_damaged_too_large_or_something_else_is_said() {
        let (_, all) = disk();
        for (form, content) in all.iter().skip(1) {
            let fault = unpacked(&content[..content.len() - 5], 3 << 20).unwrap_err();
            assert!(fault.starts_with("unpacking `a.img`: "), "{form:?}: {fault}");
            let fault = unpacked(content, (3 << 20) - 1).unwrap_err();
            let expected = "more than 2.9 MiB come out of `a.img`, the most that is taken for a stick";
            assert_eq!(fault, expected, "{form:?}");
        }
        for (head, form) in [(&b"QFI\xfb\0\0\0\x03"[..], "qcow2"), (b"PK\x03\x04", "zip"), (b"BZh9", "bzip2")]
        {
            let expected = format!("`a.img` is {form}, and no disk image as it is or by gzip, xz or zstd");
            assert_eq!(unpacked(head, 3 << 20).unwrap_err(), expected);
        }
        assert_eq!(unpacked(b"", 1).unwrap().0, b"");
    }
}
