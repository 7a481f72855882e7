//! cpio archives in the `newc` form, which the kernel unpacks as an initrd.
//!
//! ```text
//! per entry   "070701" | 13 numbers of 8 hexadecimal digits | name NUL | pad to 4 | data | pad to 4
//! last entry  TRAILER!!!
//! ```
//! Format and what the kernel makes of it: `Documentation/driver-api/early-userspace/buffer-format.rst`
//! and `init/initramfs.c`. Inode numbers count up from 1, every time is the one given, hard links are
//! written as separate files.

use std::io::{self, Write};

use thiserror::Error;

use crate::tree::{Kind, Metadata, Tree};
use crate::units::{Bytes, Timestamp};

/// `PATH_MAX`: the kernel silently skips entries with longer names or link targets, NUL included.
const PATH_MAX: usize = 4096;
const TRAILER: &str = "TRAILER!!!";
const ALIGNMENT: u64 = 4;
/// Bytes of an entry before its name.
const HEADER: u64 = 110;
/// `S_IFDIR`.
const DIRECTORY: u32 = 0o040_000;

/// What an archive has beside its tree.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Options {
    /// Modification time of every entry; must fit 32 bits, that is, lie before the year 2106.
    pub timestamp: Timestamp,
    /// Adds the character device `dev/console`, for kernels whose built-in initramfs has none: without
    /// it `/init` starts with no standard streams. The tree must then have no such path.
    pub console: bool,
}

/// Why a tree cannot be written as a cpio archive.
#[derive(Debug, Error)]
pub enum CpioError {
    /// A path is longer than the kernel unpacks.
    #[error("path `{path}` has {length} bytes, the kernel unpacks {}", PATH_MAX - 1)]
    Path {
        /// Path in the tree.
        path: String,
        /// Its bytes.
        length: usize,
    },
    /// A link target is empty or longer than the kernel unpacks.
    #[error("the target of link `{path}` has {length} bytes, the kernel unpacks 1 to {}", PATH_MAX - 1)]
    Target {
        /// Path in the tree.
        path: String,
        /// Bytes of the target.
        length: usize,
    },
    /// A path or target holds a NUL byte, or a path is the name that ends an archive.
    #[error("`{}` cannot be named in a cpio archive", path.escape_debug())]
    Name {
        /// Path in the tree.
        path: String,
    },
    /// A mode has bits beyond the permissions.
    #[error("the mode of `{path}` is {mode:#o}, the greatest is 0o7777")]
    Mode {
        /// Path in the tree.
        path: String,
        /// The mode as given.
        mode: u16,
    },
    /// A number does not fit eight hexadecimal digits.
    #[error("{field} of `{path}` is {value}, cpio holds at most {}", u32::MAX)]
    Number {
        /// Path in the tree.
        path: String,
        /// Name of the number in the format.
        field: &'static str,
        /// Its value.
        value: u64,
    },
    /// The device to be added is in the tree already.
    #[error("`{path}` is in the tree and was to be added")]
    Console {
        /// `dev/console`, or `dev` where it is no directory.
        path: String,
    },
    /// The output does not take the bytes.
    #[error("writing the archive")]
    Write {
        /// Why not.
        #[from]
        source: io::Error,
    },
}

/// Writes all entries of `tree` but its root to `out` and returns the archive's size, a multiple of 4.
/// The same tree and options give the same bytes.
pub fn write(tree: &Tree, options: &Options, out: &mut impl Write) -> Result<Bytes, CpioError> {
    // Names need no padding of their own: the format's is enough.
    write_aligned(tree, options, 1, out)
}

/// As [`write`], with the data of every file beginning at a multiple of `alignment`.
/// For what the kernel uses in place; names are made longer by NULs, which it passes over.
pub fn write_aligned(
    tree: &Tree,
    options: &Options,
    alignment: u64,
    out: &mut impl Write,
) -> Result<Bytes, CpioError> {
    let mut archive = Archive { out, options, alignment, position: 0, last_inode: 0 };
    if options.console {
        archive.console(tree)?;
    }
    for (path, entry) in tree.iter() {
        let is_written = options.console && path == "dev";
        if is_written {
            continue;
        }
        let (file_type, links, data) = match &entry.kind {
            Kind::Directory => (DIRECTORY, 2, &[][..]),
            Kind::File(content) => (0o100_000, 1, &content[..]),
            Kind::Symlink(target) => (0o120_000, 1, check_target(path, target)?),
        };
        archive.entry(&Header { path, file_type, metadata: entry.metadata, links, device: None }, data)?;
    }
    archive.trailer()?;
    Ok(Bytes(archive.position))
}

fn check_target<'tree>(path: &str, target: &'tree str) -> Result<&'tree [u8], CpioError> {
    if !(1..PATH_MAX).contains(&target.len()) {
        return Err(CpioError::Target { path: path.to_owned(), length: target.len() });
    }
    if target.contains('\0') {
        return Err(CpioError::Name { path: path.to_owned() });
    }
    Ok(target.as_bytes())
}

/// The numbers of one entry that are not the same for all.
struct Header<'tree> {
    path: &'tree str,
    /// `S_IFMT` of the mode.
    file_type: u32,
    metadata: Metadata,
    links: u32,
    /// Major and minor number of a device.
    device: Option<(u32, u32)>,
}

struct Archive<'out, W> {
    out: &'out mut W,
    options: &'out Options,
    /// Of files' data.
    alignment: u64,
    position: u64,
    last_inode: u32,
}

impl<W: Write> Archive<'_, W> {
    /// `dev` before anything else, for an entry's directory must precede it; then the device.
    fn console(&mut self, tree: &Tree) -> Result<(), CpioError> {
        let path = "dev/console";
        let directory = match tree.get("dev") {
            Some(entry) if entry.kind == Kind::Directory => entry.metadata,
            None => Metadata::DIRECTORY,
            Some(_) => return Err(CpioError::Console { path: "dev".to_owned() }),
        };
        if tree.get(path).is_some() {
            return Err(CpioError::Console { path: path.to_owned() });
        }
        let directory =
            Header { path: "dev", file_type: DIRECTORY, metadata: directory, links: 2, device: None };
        self.entry(&directory, &[])?;
        let metadata = Metadata::root(0o600);
        self.entry(&Header { path, file_type: 0o020_000, metadata, links: 1, device: Some((5, 1)) }, &[])
    }

    fn entry(&mut self, header: &Header<'_>, data: &[u8]) -> Result<(), CpioError> {
        let path = header.path;
        if path.len() >= PATH_MAX {
            return Err(CpioError::Path { path: path.to_owned(), length: path.len() });
        }
        if path.contains('\0') || path == TRAILER {
            return Err(CpioError::Name { path: path.to_owned() });
        }
        if header.metadata.mode > 0o7777 {
            return Err(CpioError::Mode { path: path.to_owned(), mode: header.metadata.mode });
        }
        let number = |field, value| {
            u32::try_from(value).map_err(|_| CpioError::Number { path: path.to_owned(), field, value })
        };
        let mtime = number("mtime", self.options.timestamp.0)?;
        let filesize = number("filesize", Bytes::of(data).0)?;
        self.last_inode = number("ino", u64::from(self.last_inode) + 1)?;
        self.header(self.last_inode, header, mtime, filesize)?;
        self.out.write_all(data)?;
        self.position += u64::from(filesize);
        self.pad()?;
        Ok(())
    }

    fn trailer(&mut self) -> io::Result<()> {
        let header =
            Header { path: TRAILER, file_type: 0, metadata: Metadata::root(0), links: 1, device: None };
        self.header(0, &header, 0, 0)
    }

    fn header(&mut self, inode: u32, header: &Header<'_>, mtime: u32, filesize: u32) -> io::Result<()> {
        let Header { path, file_type, metadata: Metadata { mode, uid, gid }, links, device } = *header;
        let mode = file_type | u32::from(mode);
        let (rdev_major, rdev_minor) = device.unwrap_or_default();
        let (dev_major, dev_minor, check) = (0, 0, 0);
        let name_end = self.position + HEADER + Bytes::of(path.as_bytes()).0 + 1;
        let alignment = if filesize > 0 { self.alignment } else { 1 };
        let padding = usize::try_from(name_end.next_multiple_of(alignment) - name_end);
        let padding = padding.expect("the alignment of data is a small number");
        let namesize = path.len().checked_add(1).and_then(|length| length.checked_add(padding));
        let namesize = namesize.and_then(|length| u32::try_from(length).ok());
        let namesize = namesize.expect("a path was checked to be below PATH_MAX");
        let numbers = [
            inode, mode, uid, gid, links, mtime, filesize, dev_major, dev_minor, rdev_major, rdev_minor,
            namesize, check,
        ];
        let numbers = numbers.map(|number| format!("{number:08X}")).concat();
        let text = format!("070701{numbers}{path}\0{}", "\0".repeat(padding));
        self.out.write_all(text.as_bytes())?;
        self.position += Bytes::of(text.as_bytes()).0;
        self.pad()
    }

    fn pad(&mut self) -> io::Result<()> {
        while !self.position.is_multiple_of(ALIGNMENT) {
            self.out.write_all(&[0])?;
            self.position += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
