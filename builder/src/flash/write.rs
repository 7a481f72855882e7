//! Writing a stick: by direct I/O, read back, and with marks that a stick which lies about its size does not keep.
//!
//! ```text
//! zeros that count -> marks all over the stick -> what is to be written -> flush
//!   -> marks and all that was written are read back -> marks go -> flush
//! ```
//!
//! A counterfeit stick tells a larger size than its memory has: what lies beyond comes back as nothing, or has been written
//! over something else. Marks are small, each of its own content, from the end of the image to the end of the stick.

mod aligned;
mod error;
mod marks;

use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{OFlags, major, minor};

pub use self::error::WriteError;

use self::aligned::Aligned;
use super::compose::{ALIGNMENT, Composed};
use super::device::Device;
use super::{look, udisks};
use crate::units::Bytes;

/// Written and read at a time: sticks are fastest with a few MiB.
const CHUNK: usize = 4 << 20;

/// What goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// What has to be zeros is looked at, and made so.
    Clearing,
    /// It is written.
    Writing,
    /// It is read back.
    Reading,
}

/// A disk that is open for writing, and that nobody else uses.
#[derive(Debug)]
pub struct Target<M = File> {
    pub(super) medium: M,
    pub(super) path: PathBuf,
    pub(super) size: Bytes,
    /// Nothing was there before, and it is as large as it says.
    pub(super) is_fresh: bool,
}

/// What bytes are put on.
pub trait Medium {
    /// Puts all of `data` at `at`.
    fn put(&self, data: &[u8], at: u64) -> io::Result<()>;
    /// Fills `buffer` from `at` on.
    fn get(&self, buffer: &mut [u8], at: u64) -> io::Result<()>;
    /// Returns once all that was put is kept.
    fn flush(&self) -> io::Result<()>;
}

impl Medium for File {
    fn put(&self, data: &[u8], at: u64) -> io::Result<()> {
        self.write_all_at(data, at)
    }

    fn get(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        self.read_exact_at(buffer, at)
    }

    fn flush(&self) -> io::Result<()> {
        self.sync_all()
    }
}

impl Target {
    /// Opens a disk, found below `system`, past the page cache. The kernel refuses where anything of it is in use; where the
    /// user may not, udisks is asked, and waited for while it `is_wanted`.
    pub fn open(system: &Path, device: &Device, is_wanted: &dyn Fn() -> bool) -> Result<Self, WriteError> {
        let path = device.path.clone();
        let name = system.join(path.strip_prefix("/").unwrap_or(&path));
        let flags = OFlags::EXCL | OFlags::DIRECT;
        let flags = flags.bits().cast_signed();
        let opened = OpenOptions::new().read(true).write(true).custom_flags(flags).open(&name);
        let medium = match opened {
            Ok(file) => file,
            Err(source) if source.kind() == io::ErrorKind::PermissionDenied => {
                let asked = udisks::open(&device.name, flags, is_wanted);
                asked.map_err(|udisks| WriteError::Denied { path: path.clone(), source, udisks })?
            }
            Err(source) if source.kind() == io::ErrorKind::ResourceBusy => {
                return Err(WriteError::Busy { path });
            }
            Err(source) => return Err(WriteError::Open { path, source }),
        };
        let mut target = Self { medium, path, size: device.size, is_fresh: false };
        if target.is(device, system) { Ok(target) } else { Err(WriteError::Changed { path: target.path }) }
    }

    /// Takes an empty file as a disk of `size`, sparse; `path` is what it is called.
    pub fn file(file: File, path: &Path, size: Bytes) -> Result<Self, WriteError> {
        let refused = |source| WriteError::Open { path: path.to_owned(), source };
        file.set_len(size.0).map_err(refused)?;
        Ok(Self { medium: file, path: path.to_owned(), size, is_fresh: true })
    }

    /// Names and numbers are given again to what comes next, but not while it is open: what is there now stays there.
    fn is(&mut self, device: &Device, system: &Path) -> bool {
        let Ok(metadata) = self.medium.metadata() else { return false };
        // Files stand for disks in tests.
        let is_number = (major(metadata.rdev()), minor(metadata.rdev())) == device.number;
        let is_same = look::all(system).is_ok_and(|all| all.iter().any(|other| other.is_same(device)));
        let size = self.medium.seek(SeekFrom::End(0));
        (is_number || metadata.is_file()) && is_same && size.is_ok_and(|size| size == device.size.0)
    }

    /// The disk that was written, for what is asked of it then.
    pub const fn disk(&self) -> &File {
        &self.medium
    }
}

impl<M: Medium> Target<M> {
    /// Writes the `sections` of `image`, reads them back, and lets them reach the stick. `told` hears of each piece, and
    /// says whether to go on.
    pub fn write(
        &self,
        image: &Composed,
        sections: &[Range<u64>],
        told: &mut dyn FnMut(Step, Bytes) -> bool,
    ) -> Result<Bytes, WriteError> {
        let marks =
            if self.is_fresh { Vec::new() } else { marks::between(sections).map_err(WriteError::Source)? };
        let mut buffer = Aligned::new();
        let cleared = self.clear(image, sections, &mut buffer, told)?;
        for mark in &marks {
            buffer.fill(&mark.content);
            self.put(buffer.first(ALIGNMENT), mark.at)?;
        }
        self.each(sections, Step::Writing, told, &mut |chunk, at| {
            let chunk = buffer.of(chunk);
            image.read_at(at, chunk).map_err(WriteError::Source)?;
            self.put(chunk, at)
        })?;
        self.flush()?;
        let mut read = Aligned::new();
        for mark in &marks {
            let found = read.first(ALIGNMENT);
            self.get(found, mark.at)?;
            if !found.starts_with(&mark.content) {
                let (path, told) = (self.path.clone(), self.size);
                return Err(WriteError::Counterfeit { path, told, at: mark.at });
            }
        }
        // Marks may lie in what was cleared, and go last.
        for mark in &marks {
            buffer.fill(&[]);
            self.put(buffer.first(ALIGNMENT), mark.at)?;
        }
        self.flush()?;
        let all = [sections, &cleared].concat();
        self.each(&all, Step::Reading, told, &mut |chunk, at| {
            let (expected, found) = (buffer.of(chunk), read.of(chunk));
            image.read_at(at, expected).map_err(WriteError::Source)?;
            self.get(found, at)?;
            if expected == found {
                return Ok(());
            }
            let same = expected.iter().zip(found.iter()).take_while(|(expected, found)| expected == found);
            let at = at.saturating_add(u64::try_from(same.count()).unwrap_or(0));
            Err(WriteError::Differs { path: self.path.clone(), at })
        })?;
        Ok(Bytes(all.iter().map(|range| range.end - range.start).sum()))
    }

    /// Makes zeros of what has to be zeros and is not; says where that was. To look is faster than to write.
    fn clear(
        &self,
        image: &Composed,
        sections: &[Range<u64>],
        buffer: &mut Aligned,
        told: &mut dyn FnMut(Step, Bytes) -> bool,
    ) -> Result<Vec<Range<u64>>, WriteError> {
        let mut cleared = Vec::new();
        let zeros = if self.is_fresh { Vec::new() } else { image.zeros(sections) };
        self.each(&zeros, Step::Clearing, told, &mut |chunk, at| {
            let found = buffer.of(chunk);
            self.get(found, at)?;
            if found.iter().any(|byte| *byte != 0) {
                found.fill(0);
                self.put(found, at)?;
                cleared.push(at..at + Bytes::of(found).0);
            }
            Ok(())
        })?;
        Ok(cleared)
    }

    fn each(
        &self,
        sections: &[Range<u64>],
        step: Step,
        told: &mut dyn FnMut(Step, Bytes) -> bool,
        act: &mut dyn FnMut(usize, u64) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        for section in sections {
            let mut at = section.start;
            while at < section.end {
                let length = usize::try_from(section.end - at).unwrap_or(usize::MAX).min(CHUNK);
                act(length, at)?;
                let done = u64::try_from(length).unwrap_or(0);
                at += done;
                if !told(step, Bytes(done)) {
                    return Err(WriteError::Stopped { path: self.path.clone() });
                }
            }
        }
        Ok(())
    }

    fn put(&self, data: &[u8], at: u64) -> Result<(), WriteError> {
        self.medium.put(data, at).map_err(self.refused("writing", at))
    }

    fn get(&self, buffer: &mut [u8], at: u64) -> Result<(), WriteError> {
        self.medium.get(buffer, at).map_err(self.refused("reading", at))
    }

    fn flush(&self) -> Result<(), WriteError> {
        self.medium.flush().map_err(self.refused("flushing", self.size.0))
    }

    fn refused(&self, action: &'static str, at: u64) -> impl Fn(io::Error) -> WriteError {
        let path = self.path.clone();
        move |source| WriteError::Disk { action, path: path.clone(), at, source }
    }
}
