//! fs-verity: the digest of a file that need not be read from its beginning to its end.
//!
//! It is a tree of hashes like dm-verity's, here without salt, and a descriptor that holds its top and the file's size.
//! Holes are passed over, all processors take part, and Linux computes the same of a file that it is to check as it is
//! read.
//! Format: <https://docs.kernel.org/filesystems/fsverity.html>; subset: SHA-256, blocks of 4096 bytes, no salt.
//! `fsverity digest FILE` of fsverity-utils prints it.

use std::ops::Range;

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use super::{BLOCK, BLOCK_SIZE, Digester, levels};
use crate::units::{Bytes, Sha256};

/// Bytes of the descriptor that is hashed in the end.
const DESCRIPTOR: usize = 256;
/// Its version, the number of SHA-256 in it, and the binary logarithm of the block size.
const FIRST_BYTES: [u8; 3] = [1, 1, 12];
/// Digests in a block.
const PER_BLOCK: usize = BLOCK / levels::DIGEST;
/// Bytes of a file below a block of level 0, which holds digests of data.
const SPAN: usize = PER_BLOCK * BLOCK;

/// A file that may have holes.
pub trait Sparse: Sync {
    /// Why it cannot be read.
    type Error: Send;

    /// Whether nothing but a hole lies in `range`.
    fn is_hole(&self, range: Range<u64>) -> Result<bool, Self::Error>;

    /// Fills `buffer` with what lies at `position`.
    fn read(&self, position: u64, buffer: &mut [u8]) -> Result<(), Self::Error>;
}

/// The digest of a file of `size` bytes. It is read on all processors, at most 512 KiB at a time; memory does not grow
/// with the size.
pub fn file_digest<F: Sparse>(file: &F, size: Bytes) -> Result<Sha256, F::Error> {
    let digester = Digester::new(&[]);
    let mut zeros = vec![parent(&digester, &[digester.digest(&[0; BLOCK]); PER_BLOCK])];
    while span(zeros.len() - 1) < size.0 {
        zeros.push(parent(&digester, &[zeros[zeros.len() - 1]; PER_BLOCK]));
    }
    let tree = Tree { file, size: size.0, digester, zeros };
    let top = match size {
        // Of nothing.
        Bytes(0) => Sha256([0; levels::DIGEST]),
        // The tree of one block is nothing but its digest.
        size if size <= BLOCK_SIZE => tree.data(0)?[0],
        _ => tree.digest(tree.zeros.len() - 1, 0)?,
    };
    let mut descriptor = FIRST_BYTES.to_vec();
    descriptor.resize(8, 0);
    descriptor.extend(size.0.to_le_bytes());
    descriptor.extend(top.0);
    descriptor.resize(DESCRIPTOR, 0);
    Ok(Sha256::of(&descriptor))
}

/// The tree of a file.
struct Tree<'a, F> {
    file: &'a F,
    size: u64,
    digester: Digester,
    /// The digest of a block over nothing but zeros, by level.
    zeros: Vec<Sha256>,
}

impl<F: Sparse> Tree<'_, F> {
    /// The digest of the block of this level that is over the bytes from `start` on.
    fn digest(&self, level: usize, start: u64) -> Result<Sha256, F::Error> {
        let end = start.saturating_add(span(level));
        if end <= self.size && self.file.is_hole(start..end)? {
            return Ok(self.zeros[level]);
        }
        let below = match level.checked_sub(1) {
            None => self.data(start)?,
            Some(below) => {
                let starts =
                    (0..PER_BLOCK).map(|index| start.saturating_add(span(below).saturating_mul(wide(index))));
                let starts: Vec<u64> = starts.take_while(|start| *start < self.size).collect();
                starts.into_par_iter().map(|start| self.digest(below, start)).collect::<Result<_, _>>()?
            }
        };
        Ok(parent(&self.digester, &below))
    }

    /// Digests of the blocks of data from `start` on, at most a span of them.
    fn data(&self, start: u64) -> Result<Vec<Sha256>, F::Error> {
        let length = usize::try_from(self.size.saturating_sub(start)).unwrap_or(SPAN).min(SPAN);
        // What the file lacks of its last block counts as zeros.
        let mut data = vec![0; length.next_multiple_of(BLOCK)];
        self.file.read(start, &mut data[..length])?;
        Ok(data.chunks(BLOCK).map(|block| self.digester.digest(block)).collect())
    }
}

/// The digest of the block that holds `digests`.
fn parent(digester: &Digester, digests: &[Sha256]) -> Sha256 {
    let mut block: Vec<u8> = digests.iter().flat_map(|digest| digest.0).collect();
    block.resize(BLOCK, 0);
    digester.digest(&block)
}

/// Bytes of a file below a block of this level.
fn span(level: usize) -> u64 {
    let factor = wide(PER_BLOCK).saturating_pow(u32::try_from(level).unwrap_or(u32::MAX));
    wide(SPAN).saturating_mul(factor)
}

fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Data of which every stretch of zeros is a hole, if there are holes.
    struct Data<'a> {
        bytes: &'a [u8],
        has_holes: bool,
    }

    impl Sparse for Data<'_> {
        type Error = ();

        fn is_hole(&self, range: Range<u64>) -> Result<bool, ()> {
            let [start, end] = [range.start, range.end].map(|at| usize::try_from(at).unwrap());
            Ok(self.has_holes && self.bytes[start..end].iter().all(|byte| *byte == 0))
        }

        fn read(&self, position: u64, buffer: &mut [u8]) -> Result<(), ()> {
            let start = usize::try_from(position).unwrap();
            buffer.copy_from_slice(&self.bytes[start..][..buffer.len()]);
            Ok(())
        }
    }

    /// The digest of `data`, with and without holes.
    fn of(bytes: &[u8]) -> String {
        let [read, passed_over] = [false, true]
            .map(|has_holes| file_digest(&Data { bytes, has_holes }, Bytes::of(bytes)).unwrap().to_string());
        assert_eq!(read, passed_over);
        read
    }

    /// What `fsverity digest` prints of the same files.
    #[test]
    fn is_the_digest_of_fsverity_utils() {
        let mut sparse = vec![0; 3_000_000];
        sparse[2_000_000..][..5].copy_from_slice(b"hello");
        for (data, expected) in [
            (Vec::new(), "3d248ca542a24fc62d1c43b916eae5016878e2533c88238480b26128a1f1af95"),
            (b"hello\n".to_vec(), "9c76eecc7b76fcb46199cb27b90cf59a660e10575bb0412128905129d5b1c2aa"),
            (vec![b'x'; 4096], "3f128b8d5a052638172857f47f0110dc2fc2c234dc0c712c08a3bc6f6c540483"),
            (vec![b'x'; 4097], "f54d7eca1ac49ae471f4abedb0d9309f0b84a51ec5c1733e3abb2aaf9f66c4ad"),
            (vec![b'x'; (512 << 10) + 1], "7321b423e2b765c00796ae1e5b0be1dbba66e2e76f0e06e0d6ea4f14142d8783"),
            (vec![0; 512 << 10], "2d15bd7832895de85aa3d5bdfb57251e27bbec75ff467408340ab3eba858a2e1"),
            (sparse, "073d0b74fa4cb6262ddae600a360641cde56edd1b69db77dfaa2917053637e07"),
        ] {
            assert_eq!(of(&data), expected, "{} bytes", data.len());
        }
    }

    /// A file that is one hole, and ends badly behind 64 TiB.
    struct Hole;

    impl Sparse for Hole {
        type Error = &'static str;

        fn is_hole(&self, range: Range<u64>) -> Result<bool, Self::Error> {
            if range.end <= 64 << 40 { Ok(true) } else { Err("torn") }
        }

        fn read(&self, _: u64, _: &mut [u8]) -> Result<(), Self::Error> {
            Err("read")
        }
    }

    #[test]
    fn holes_of_any_size_are_passed_over() {
        let [small, large] = [Bytes(64 << 20), Bytes(64 << 40)].map(|size| file_digest(&Hole, size).unwrap());
        assert_ne!(small, large);
    }

    #[test]
    fn what_cannot_be_read_has_no_digest() {
        assert_eq!(file_digest(&Hole, Bytes(4095)), Err("read"));
        assert_eq!(file_digest(&Hole, Bytes(65 << 40)), Err("torn"));
    }
}
