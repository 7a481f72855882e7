//! Sparse files: digests and differences of disk images whose holes are not read.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

use rustix::fs::SeekFrom;
use rustix::io::Errno;

use super::manifest::DiskFacts;
use crate::format::verity::{self, Sparse};
use crate::units::Bytes;

/// Bytes read, hashed or compared at a time.
const BUFFER: usize = 256 << 10;

impl Sparse for File {
    type Error = io::Error;

    fn is_hole(&self, range: Range<u64>) -> io::Result<bool> {
        Ok(data_from(self, range)?.is_empty())
    }

    fn read(&self, position: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.read_exact_at(buffer, position)
    }
}

/// Size and fs-verity digest of a disk image, for which holes are neither read nor hashed.
pub fn facts(file: &File) -> io::Result<DiskFacts> {
    let size = Bytes(file.metadata()?.len());
    Ok(DiskFacts { size, fs_verity: verity::file_digest(file, size)? })
}

/// The sections with data of a file of this size, in order, as the file system knows them.
pub fn sections(file: &File, size: Bytes) -> io::Result<Vec<Range<u64>>> {
    let mut sections = Vec::new();
    let mut position = 0;
    while position < size.0 {
        let data = data_from(file, position..size.0)?;
        position = data.end;
        if !data.is_empty() {
            sections.push(data);
        }
    }
    Ok(sections)
}

/// Whether a part of a file has nothing but zeros.
pub fn is_zero(file: &File, range: Range<u64>) -> io::Result<bool> {
    let mut position = range.start;
    let mut buffer = vec![0; BUFFER];
    while position < range.end {
        let data = data_from(file, position..range.end)?;
        position = data.start;
        while position < data.end {
            let chunk = chunk(&mut buffer, data.end.saturating_sub(position));
            file.read_exact_at(chunk, position)?;
            if chunk.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            position = position.saturating_add(Bytes::of(chunk).0);
        }
    }
    Ok(true)
}

/// Distance to the first byte in which two parts of `length` bytes differ, each given by file and start.
pub fn first_difference(one: (&File, u64), other: (&File, u64), length: u64) -> io::Result<Option<u64>> {
    let (mut left, mut right) = (vec![0; BUFFER], vec![0; BUFFER]);
    let mut at = 0_u64;
    let next = |(file, start): (&File, u64), at: u64| {
        let range = start.saturating_add(at)..start.saturating_add(length);
        Ok::<_, io::Error>(data_from(file, range)?.start.saturating_sub(start))
    };
    while at < length {
        // Where both have a hole, they are equal.
        at = next(one, at)?.min(next(other, at)?);
        let rest = length.saturating_sub(at);
        let (left, right) = (chunk(&mut left, rest), chunk(&mut right, rest));
        one.0.read_exact_at(left, one.1.saturating_add(at))?;
        other.0.read_exact_at(right, other.1.saturating_add(at))?;
        if let Some(index) = left.iter().zip(right.iter()).position(|(left, right)| left != right) {
            return Ok(Some(at.saturating_add(u64::try_from(index).unwrap_or(u64::MAX))));
        }
        at = at.saturating_add(Bytes::of(left).0);
    }
    Ok(None)
}

/// The beginning of a buffer, of at most `length` bytes.
fn chunk(buffer: &mut [u8], length: u64) -> &mut [u8] {
    let length = usize::try_from(length).unwrap_or(usize::MAX).min(buffer.len());
    &mut buffer[..length]
}

/// The first data within `range`, up to the next hole; empty at its end where there is none.
fn data_from(file: &File, range: Range<u64>) -> io::Result<Range<u64>> {
    let start = next(file, SeekFrom::Data(range.start))?.unwrap_or(range.end).min(range.end);
    if start == range.end {
        // Behind the end of the file there is no hole but nothing.
        let length = file.metadata()?.len();
        return if length < range.end { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(start..start) };
    }
    let end = next(file, SeekFrom::Hole(start))?.unwrap_or(range.end).min(range.end);
    Ok(start..end)
}

/// Where the next data or hole begins; `None` behind the last one.
fn next(file: &File, seek: SeekFrom) -> io::Result<Option<u64>> {
    match rustix::fs::seek(file, seek) {
        Ok(position) => Ok(Some(position)),
        Err(Errno::NXIO) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const SIZE: u64 = 3 << 20;

    /// A file of 3 MiB with data at some places, the rest holes.
    fn file(data: &[(u64, &[u8])]) -> File {
        let file = tempfile::tempfile().unwrap();
        file.set_len(SIZE).unwrap();
        for (at, data) in data {
            file.write_all_at(data, *at).unwrap();
        }
        file
    }

    #[test]
    fn holes_are_zeros() {
        let sparse = file(&[(1 << 20, b"data")]);
        let mut dense = tempfile::tempfile().unwrap();
        let mut content = vec![0; 3 << 20];
        content[1 << 20..][..4].copy_from_slice(b"data");
        dense.write_all(&content).unwrap();
        assert_eq!(facts(&sparse).unwrap(), facts(&dense).unwrap());
        assert_ne!(facts(&sparse).unwrap(), facts(&file(&[(2 << 20, b"data")])).unwrap());
        assert!(is_zero(&sparse, 0..1 << 20).unwrap() && is_zero(&dense, 2 << 20..SIZE).unwrap());
        assert!(!is_zero(&sparse, 0..SIZE).unwrap() && !is_zero(&dense, 0..SIZE).unwrap());
    }

    #[test]
    fn sections_are_all_that_is_no_zero() {
        let sparse = file(&[(1 << 20, b"data"), (SIZE - 4, b"data")]);
        let sections = sections(&sparse, Bytes(SIZE)).unwrap();
        let [one, last] = &sections[..] else { panic!("{sections:?}") };
        assert!(one.contains(&(1 << 20)) && one.end < SIZE - 4 && last.end == SIZE, "{sections:?}");
        assert!(super::sections(&file(&[]), Bytes(SIZE)).unwrap().is_empty());
        assert!(super::sections(&sparse, Bytes(SIZE + 1)).is_err());
    }

    #[test]
    fn finds_the_first_different_byte_also_in_a_hole() {
        let one = file(&[(0, b"same"), (2 << 20, b"one")]);
        let found = |other: &[(u64, &[u8])]| first_difference((&one, 0), (&file(other), 0), SIZE).unwrap();
        assert_eq!(found(&[(0, b"same"), (2 << 20, b"one")]), None);
        assert_eq!(found(&[(0, b"same"), (2 << 20, b"onE")]), Some((2 << 20) + 2));
        assert_eq!(found(&[(0, b"same")]), Some(2 << 20));
        assert_eq!(found(&[(0, b"same"), (1 << 20, b"x"), (2 << 20, b"one")]), Some(1 << 20));
        let shifted = file(&[(512, b"same")]);
        assert_eq!(first_difference((&one, 0), (&shifted, 512), 1 << 20).unwrap(), None);
    }

    #[test]
    fn a_file_that_ends_too_early_is_no_hole() {
        let short = file(&[]);
        let fault = is_zero(&short, 0..SIZE + 1).unwrap_err();
        assert_eq!(fault.kind(), io::ErrorKind::UnexpectedEof);
        let fault = first_difference((&short, 0), (&file(&[]), 0), SIZE + 1).unwrap_err();
        assert_eq!(fault.kind(), io::ErrorKind::UnexpectedEof);
    }
}
