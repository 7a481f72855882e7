//! fs-verity: the digest of a file that need not be read from its beginning to its end.
//!
//! It is a tree of hashes like dm-verity's, here without salt, and a descriptor that holds its top and the file's size.
//! Zeros cost nothing, all processors take part, and Linux computes the same of a file that it is to check as it is read.
//! Format: <https://docs.kernel.org/filesystems/fsverity.html>; subset: SHA-256, blocks of 4096 bytes, no salt.
//! `fsverity digest FILE` of fsverity-utils prints it.

use std::ops::Range;

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use super::{BLOCK, BLOCK_SIZE, Digester, levels};
use crate::units::{Bytes, Sha256};

/// Bytes of the file below one block of digests.
const SPAN: u64 = BLOCK_SIZE.0 * levels::PER_BLOCK;
/// Bytes of the descriptor that is hashed in the end.
const DESCRIPTOR: usize = 256;
/// Its version, the number of SHA-256 in it, and the binary logarithm of the block size.
const FIRST_BYTES: [u8; 3] = [1, 1, 12];

/// The digest of a file of `size` bytes, of which `read` gives the parts it is asked for, or `None` where a part is
/// nothing but zeros. It is called on all processors, for at most 512 KiB at a time.
pub fn file_digest<E: Send>(
    size: Bytes,
    read: impl Fn(Range<u64>) -> Result<Option<Vec<u8>>, E> + Sync,
) -> Result<Sha256, E> {
    let digester = Digester::new(&[]);
    let zero_span = digest_block(&digester, zeros(0..SPAN));
    let digest = |start: u64| {
        let range = start..start.saturating_add(SPAN).min(size.0);
        let data = match read(range.clone())? {
            None if range.end - range.start == SPAN => return Ok(zero_span),
            data => data.unwrap_or_else(|| zeros(range)),
        };
        // The tree of a file of one block is nothing but its digest.
        Ok(if size <= BLOCK_SIZE { digester.digest(&padded(data)) } else { digest_block(&digester, data) })
    };
    let spans = (0..size.0.div_ceil(SPAN)).into_par_iter().map(|span| digest(span.saturating_mul(SPAN)));
    let digests = spans.collect::<Result<Vec<Sha256>, E>>()?;
    let (_, top) = levels::build(&digester, digests.into_iter().flat_map(|digest| digest.0).collect());
    let mut descriptor = FIRST_BYTES.to_vec();
    descriptor.resize(8, 0);
    descriptor.extend(size.0.to_le_bytes());
    // An empty file has no top.
    descriptor.extend(top);
    descriptor.resize(DESCRIPTOR, 0);
    Ok(Sha256::of(&descriptor))
}

/// The digest of the block that holds the digests of all blocks of `data`.
fn digest_block(digester: &Digester, data: Vec<u8>) -> Sha256 {
    let digests = padded(data).chunks(BLOCK).flat_map(|block| digester.digest(block).0).collect();
    digester.digest(&padded(digests))
}

/// Filled with zeros to the end of the last block.
fn padded(mut data: Vec<u8>) -> Vec<u8> {
    data.resize(data.len().next_multiple_of(BLOCK), 0);
    data
}

fn zeros(range: Range<u64>) -> Vec<u8> {
    vec![0; usize::try_from(range.end - range.start).expect("a span has 512 KiB")]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The digest of `data`, and of the same told to be zeros wherever it is.
    fn of(data: &[u8]) -> String {
        let part = |range: Range<u64>| {
            let [start, end] = [range.start, range.end].map(|at| usize::try_from(at).unwrap());
            data[start..end].to_vec()
        };
        let size = Bytes::of(data);
        let read: Result<_, ()> = file_digest(size, |range| Ok(Some(part(range))));
        let skipped: Result<_, ()> = file_digest(size, |range| {
            let part = part(range);
            Ok(part.iter().any(|byte| *byte != 0).then_some(part))
        });
        assert_eq!(read, skipped);
        read.unwrap().to_string()
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

    #[test]
    fn a_part_that_cannot_be_read_has_no_digest() {
        let read = |range: Range<u64>| if range.start == 0 { Ok(None) } else { Err("torn") };
        assert_eq!(file_digest(Bytes(SPAN), read).err(), None);
        assert_eq!(file_digest(Bytes(SPAN + 1), read), Err("torn"));
    }
}
